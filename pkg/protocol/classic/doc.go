// Package classic is the wire format that Centrifuge spoke when it was first
// described in 2013: methods auth, subscribe, unsubscribe and broadcast, a reply
// with "ack" to each, pushes without it.
//
// It is a pure codec: frames in, values of the domain out, and back. It knows no
// connection, no store and no route, and decides nothing.
//
//	-> {"id":"1","method":"subscribe","params":{"to":{"chat":["lobby"]}}}
//	<- {"ack":true,"id":"1","method":"subscribe","result":true,"error":null}
//	<- {"project_id":"demo","project":"demo","category_id":"…","category":"chat",
//	    "event_id":"…","channel":"lobby","data":{"text":"hello"}}
//
// The folder schema holds the JSON Schemas of every frame. The decoder accepts
// exactly what they accept, which a fuzz test holds, but for permissions that are
// too large or name a category twice, which no schema can say. Beyond the format
// of 2013 there is one key: "refused" in the reply to subscribe names the channels
// that were not granted, by category, and is absent where all were.
package classic
