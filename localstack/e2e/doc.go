// Package e2e runs conversations: text scripts of frames and HTTP calls, played
// against a whole Centrifuge over real sockets, whatever it runs on.
//
// It knows a target by its URLs, the seeded project by its secret and key, and what
// the target lacks by name, and nothing of how the target is made: FromEnvironment
// reads all that for one which somebody else has started. A script is a line a step; empty lines and
// lines that start with # are passed over. Every line is a text/template with the
// functions of script.go first.
//
//	open NAME [?QUERY] [ORIGIN]          open a socket
//	refused STATUS [?QUERY] [ORIGIN]     open a socket and be refused with a status, * for any
//	send NAME FRAME                      send a text frame
//	fragments NAME SIZE FRAME            send a text message in frames of so many bytes
//	binary NAME TEXT                     send a binary frame
//	expect NAME JSON [JSON…]             receive these frames, in any order
//	quiet NAME                           have received nothing but what was expected
//	only NAME CHANNEL                    from here on pass over pushes in other channels
//	close NAME                           close the socket
//	closed NAME CODE                     find the socket closed by the other side
//	api KEY METHOD JSON                  POST /api/METHOD
//	rpc SECRET PROJECT JSON              POST /rpc/PROJECT, signed
//	http METHOD PATH [NAME:VALUE…] [| BODY]
//	status CODE [JSON]                   the answer to the last of the three above
//	becomes CODE [JSON]                  the same, after making that call again until it is so
//	needs NAME                           pass over what follows, up to the next end, on a
//	end                                  target that lacks NAME; Gaps tells what that was
//
// In an expected JSON document the string "*" stands for any value, and "$name"
// for any value the first time and for the same value after that.
//
// "quiet" does not wait: it sends a command and expects its reply to be the next
// frame. Whatever was published before has been handed to the socket before the
// publisher was answered, and so would have come first.
package e2e
