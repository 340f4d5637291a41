// Package centrifugo is the codec of the JSON form of Centrifugo's client protocol, version 2.
// It decodes frames to commands and encodes replies and pushes to frames.
//
// It knows no connection, no store and no route, and decides nothing: whether a command is
// allowed, and what becomes of a connection, is decided elsewhere. README.md in this folder says
// what of the protocol exists here.
//
// Where the protocol leaves a choice, the frames are those of Centrifugo 6.9: the same keys in
// the same order. Tests compare them byte by byte, and read them with the decoder of the module
// github.com/centrifugal/protocol, which Centrifugo and its Go client use.
package centrifugo
