// Package classic is the wire format that Centrifuge spoke when it was first
// described in 2013: methods auth, subscribe, unsubscribe and broadcast, a reply
// with "ack" to each, pushes without it.
//
// It is a pure codec: frames in, values of the domain out, and back. It knows no
// connection, no store and no route, and decides nothing. This page is the
// reference of the protocol for whoever writes a client, and so tells what the
// service behind the codec does, too. In the examples -> is what a client sends
// and <- what it receives; a test holds each of them to decoder, encoder and
// schema.
//
// The folder schema holds the JSON Schemas of every frame. The decoder accepts
// exactly what they accept, which a fuzz test holds, but for permissions that are
// too large or name a category twice, which no schema can say.
//
// # Frames
//
// A frame is one WebSocket text message that holds one JSON object in UTF-8. There
// are no batches and no ping. A client sends commands: schema/envelope.json, and
// for the params a schema for each method. The id is a string, optional, and
// comes back in the reply. Other keys are passed over; keys differ by case.
//
// Every command gets one reply, schema/reply.json. Its ack is true, and of result
// and error one is null. Whatever has no ack is a push. Commands of one connection
// are carried out side by side, so that replies may overtake each other: tell them
// apart by id, and await the reply to auth before anything else is sent.
//
// # auth
//
// Says who the client is. The params, schema/auth.json, are all required.
//
//	-> {"id":"1","method":"auth","params":{"token":"6b0f1f5c…","user":"alice",
//	    "project_id":"demo","permissions":{}}}
//	<- {"ack":true,"id":"1","method":"auth","result":true,"error":null}
//
// The token is a HMAC or a JWT as package auth describes them; the user is "" for
// an anonymous client, which needs a token as well. Permissions are an object,
// category to list of channels: {} wishes for everything, {"chat":[]} for a whole
// category, {"chat":["lobby"]} for a channel. A JWT that states permissions
// overrides the wish, and the project's validate_url may narrow it.
//
// While a client is in, another auth changes nothing, and succeeds even where its
// token is not good. When a JWT has expired the connection stays open, is in no
// channel, and may authenticate and subscribe again.
//
// # subscribe
//
// Enters channels: schema/subscribe.json. What was not granted, and categories that
// do not exist, are named in refused; all else is subscribed to. To subscribe again
// does no harm, and an empty to is a way to say that one is still there. Where it
// exceeds a limit nothing is subscribed to.
//
//	-> {"id":"2","method":"subscribe","params":{"to":{"chat":["lobby"],"staff":["room"]}}}
//	<- {"ack":true,"id":"2","method":"subscribe","result":true,"error":null,
//	    "refused":{"staff":["room"]}}
//	-> {"id":"3","method":"subscribe","params":{"to":{}}}
//	<- {"ack":true,"id":"3","method":"subscribe","result":true,"error":null}
//
// # unsubscribe
//
// Leaves channels: schema/unsubscribe.json. Those that the client is not in are
// passed over. Each is named: here an empty list stands for no channel.
//
//	-> {"id":"4","method":"unsubscribe","params":{"from":{"chat":["lobby"]}}}
//	<- {"ack":true,"id":"4","method":"unsubscribe","result":true,"error":null}
//
// An application takes users out of channels by the same method of POST /rpc, whose
// params are those of schema/rpc-unsubscribe.json.
//
// # broadcast
//
// Sends data, an object, to everybody in a channel: schema/broadcast.json. The
// category must be bidirectional and the channel granted; the sender need not be
// subscribed to it, and receives the push where it is. The reply tells that the
// message has been posted to those who are there, not that each has it.
//
//	-> {"id":"5","method":"broadcast","params":{"category":"chat","channel":"lobby",
//	    "data":{"text":"hello"}}}
//	<- {"ack":true,"id":"5","method":"broadcast","result":true,"error":null}
//	-> {"id":"6","method":"broadcast","params":{"category":"news","channel":"all","data":{}}}
//	<- {"ack":true,"id":"6","method":"broadcast","result":null,"error":"one-way category"}
//
// # presence
//
// Tells who is in a channel of a category with presence: schema/presence.json. The
// channel must be granted; nobody need be subscribed. Clients are listed by
// connection; conn_info is what the application attached to the user, if anything.
//
//	-> {"id":"7","method":"presence","params":{"category":"chat","channel":"lobby"}}
//	<- {"ack":true,"id":"7","method":"presence","result":{"presence":{
//	    "Kx2PqfW1vHcCFjQ=":{"client":"Kx2PqfW1vHcCFjQ=","user":""},
//	    "L0SM9cOFvHcCIhw=":{"client":"L0SM9cOFvHcCIhw=","user":"alice","conn_info":{"name":"Alice"}}}},"error":null}
//
// # Pushes
//
// A message in a channel is a push, schema/push.json. The event_id is unique to the
// message: 24 hexadecimal digits, by which a client tells the message that, rarely,
// comes twice. Data is an object where a client sent it and any JSON value where the
// application did. Messages published at the same time may come in either order,
// and a push may come before the reply to the command that caused it.
//
//	<- {"project_id":"demo","project":"demo","category_id":"6b02a1f00123456789abcdef",
//	    "category":"chat","event_id":"6b02b29b0123456789abcdef","channel":"lobby",
//	    "data":{"text":"hello"}}
//
// # Joins and leaves
//
// In a category with join_leave everybody in a channel, whoever joins included, is
// told who comes and goes: a push with event and client in place of data. A
// connection that dies silently leaves when a post finds it gone or API Gateway gives
// it up, whichever is first.
//
//	<- {"project_id":"demo","project":"demo","category_id":"6b02a1f00123456789abcdef",
//	    "category":"chat","event_id":"6b02b29c0123456789abcdef","channel":"lobby",
//	    "event":"join","client":{"client":"L0SM9cOFvHcCIhw=","user":"alice","conn_info":{"name":"Alice"}}}
//	<- {"project_id":"demo","project":"demo","category_id":"6b02a1f00123456789abcdef",
//	    "category":"chat","event_id":"6b02b2a10123456789abcdef","channel":"lobby",
//	    "event":"leave","client":{"client":"Kx2PqfW1vHcCFjQ=","user":""}}
//
// # Errors
//
// An error is a message, which a colon and a detail may follow. The connection stays
// open. Frames that cannot be read, and commands before auth, are answered without
// id and method. Only what is marked "try again" is worth sending again as it was.
//
//	<- {"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data"}
//	<- {"ack":true,"id":null,"method":null,"result":null,"error":"params is required"}
//	<- {"ack":true,"id":null,"method":null,"result":null,"error":"unauthorized"}
//	<- {"ack":true,"id":"8","method":"publish","result":null,"error":"unknown method publish"}
//	<- {"ack":true,"id":"9","method":"presence","result":null,
//	    "error":"not available: category news has no presence"}
//
// Beside what is wrong with a frame, these are all:
//
//   - unauthorized: auth must come first.
//   - token expired: get a new token and authenticate.
//   - project not found, invalid token: the same params never succeed.
//   - permission denied: validate_url said no, or the page's Origin may not connect.
//   - permission validation error: validate_url gave no answer. Try again.
//   - category does not exist or permission denied: the two look alike on purpose.
//   - one-way category: only the application publishes there.
//   - channel permission denied: the category is granted, this channel is not.
//   - not available: the category has no presence.
//   - limit exceeded, message too large, bad request: the detail says what is wrong.
//   - connection not found: the connection is over on the other side. Connect again.
//   - internal server error: the cause is in the log of the service. Try again.
//
// # Closing
//
// Nothing in this protocol closes a connection: a client closes its own, and API
// Gateway closes it after ten minutes without a frame, after two hours in any case,
// where a frame is over 32 KB or a message over 128 KB (1009), is binary (1003) or not
// UTF-8 (1007), and when the application disconnects the user. No push announces it.
// A client sends a frame every few minutes and, when it was cut off, connects after a
// random wait that grows, authenticates and subscribes anew: nothing is kept for it
// meanwhile.
//
// # Differences from 2013
//
// Methods, keys, replies and the texts of errors about permissions are those of 2013.
// New are the method presence, the pushes that tell who joined or left, and in the
// reply to subscribe the key "refused", which names the channels that were not
// granted, by category, and is absent where all were. Tokens are HMAC-SHA256 or JWTs,
// and HMAC-MD5 only where the project allows it. A refusal by validate_url is final.
// Names, data and the number of channels have limits. What is invalid is answered
// and goes no further. A user, and the name of a channel, may hold any character.
// There is no SockJS: a client needs a WebSocket.
package classic
