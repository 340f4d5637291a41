// Package gateway is Amazon API Gateway in process: a WebSocket API, its
// @connections management API and an HTTP API behind one http.Handler. They invoke
// Lambda functions of the same process. It is to API Gateway what net/http/httptest
// is to a web server.
//
//	gw := gateway.New(gateway.Options{
//		Routes: map[string]gateway.Function{
//			"$default": gateway.NewFunction(handle),
//		},
//	})
//	defer gw.Close()
//	server := httptest.NewServer(gw) // ws://…/dev, http://…/dev/@connections/{id}
//
// It builds events in the JSON form of AWS and applies these rules of AWS:
//
//   - $connect accepts or refuses the handshake. A post to a connection fails until
//     its $connect has returned.
//   - Each message of a client is an invocation of its own. Invocations run
//     concurrently. A route with a mock integration invokes nothing.
//   - A frame has at most 32 KB and a message at most 128 KB. Binary frames are
//     refused.
//   - A connection ends after ten minutes without a message of the client, and after
//     two hours.
//   - A post to a client that does not read is answered with 429, a post to a client
//     that is gone with 410.
//   - $disconnect is best effort: Options.LoseDisconnect skips it.
//
// Options.Jitter makes frames and posts overtake each other. Options.Faults injects
// failures of posts.
//
// AWS does not document every detail. localstack/README.md lists each behaviour with
// its source; only a run on AWS shows what AWS does where none is named.
//
// The package does not know what the functions do or how they are packaged. A
// signature on @connections is required but not verified. There are no authorizers,
// stage variables, throttling, CORS or compression.
package gateway
