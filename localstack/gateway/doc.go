// Package gateway is Amazon API Gateway in process: a WebSocket API, its
// @connections management API and an HTTP API behind one http.Handler, which
// invoke Lambda functions that live in the same process. It is to API Gateway
// what net/http/httptest is to a web server.
//
//	gw := gateway.New(gateway.Options{
//		Routes: map[string]gateway.Function{
//			"$default": gateway.NewFunction(handle),
//		},
//	})
//	defer gw.Close()
//	server := httptest.NewServer(gw) // ws://…/dev, http://…/dev/@connections/{id}
//
// It builds the JSON events that AWS builds, and keeps the rules that
// applications trip over: $connect decides about the handshake; nothing can be
// posted to a connection before its $connect has returned; each frame is an
// invocation of its own that waits for no other; a frame holds 32 KB, a message
// 128 KB, binary is refused; connections end when idle for ten minutes and after
// two hours; a client that does not read gets its posters a 429, a client that is
// gone a 410; $disconnect may be lost. Options.Jitter lets frames and posts
// overtake each other, Options.Faults and Options.LoseDisconnect make AWS fail on
// purpose.
//
// Where AWS's behaviour is not documented the stricter reading is taken, so that
// what works here works there.
//
// It refuses to know what the functions do, how they are packaged, and who may
// call them: signatures on @connections must be present but are not verified,
// there are no authorizers, no stage variables, no throttling, no CORS and no
// compression.
package gateway
