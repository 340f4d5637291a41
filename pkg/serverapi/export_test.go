package serverapi

// Methods are the methods of /api.
var Methods = methodNames
