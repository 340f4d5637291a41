// Package classic is the codec of the classic protocol, the wire format of Centrifuge
// of 2013. It decodes frames to values of the domain, and encodes values to frames.
//
// It knows no connection, no store and no route, and decides nothing. README.md in
// this folder is the reference of the protocol for authors of clients. Tests check each
// example in it with decoder, encoder and schema.
//
// The folder schema holds the JSON Schemas of every frame. The decoder accepts
// exactly what they accept, which a fuzz test checks, except what no schema can express:
// text that hub.SyntaxError refuses, and permissions that are too large or name a category
// twice.
package classic
