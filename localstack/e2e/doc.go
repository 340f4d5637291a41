// Package e2e runs conversations: text scripts of frames and HTTP calls that are
// sent to a complete Centrifuge over real sockets.
//
// It knows a target by its URLs, by the secret and the API key of the seeded
// project, and by the names of the features that it lacks. It does not know how the
// target is made; FromEnvironment describes one that runs already.
//
// A script has one step per line. Empty lines and lines that start with # are
// ignored. The script is expanded as a text/template first, with the functions of
// script.go.
//
//	open NAME [?QUERY] [ORIGIN]          open a socket
//	refused STATUS [?QUERY] [ORIGIN]     expect the handshake to fail with a status, * for any
//	send NAME FRAME                      send a text frame
//	fragments NAME SIZE FRAME            send a text message in frames of at most SIZE bytes
//	binary NAME TEXT                     send a binary frame
//	expect NAME JSON [JSON…]             expect these frames next, in any order
//	quiet NAME                           expect that no other frame was received
//	only NAME CHANNEL                    ignore pushes of other channels from here on, and
//	                                     entries of the feed about other channels
//	close NAME                           close the socket
//	closed NAME CODE                     expect that the server closes the socket, with * any code
//	api KEY METHOD JSON                  POST /api/METHOD
//	rpc SECRET PROJECT JSON              POST /rpc/PROJECT, signed
//	http METHOD PATH [NAME:VALUE…] [| BODY]
//	status CODE [JSON]                   expect this answer to the last api, rpc or http
//	becomes CODE [JSON]                  repeat that call until it has this answer
//	needs NAME                           skip the steps up to the next end on a target
//	end                                  that lacks NAME; Skipped returns these parts
//	guess NAME TEXT                      the steps up to the next end show TEXT, which AWS does
//	end                                  not document; they are skipped like those of needs
//
// In an expected JSON document the string "*" matches any value. "$name" matches any
// value the first time and the same value afterwards.
//
// A guess uses sockets that it opens, so that nothing depends on it. Where
// Target.ReportGuesses is set, a guess that is wrong ends, and Run returns it.
//
// Consecutive "expect" and "quiet" rely on the order of frames, which AWS does not
// document either. Where Target.ReportGuesses is set, a frame that comes before its turn
// is kept for the steps that expect it, and Run returns the order as a wrong guess. A
// frame that no step expects fails the conversation.
//
// "quiet" does not wait: it sends a command and expects its reply as the next frame.
// A publish is answered after its messages are handed to the sockets, so a message
// that was published before would arrive before that reply.
package e2e
