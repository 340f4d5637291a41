package hub

// Version is the version of Centrifuge. The server API and the command cent report it.
const Version = "0.1.0"
