package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"centrifuge/pkg/hub"
)

// connected is the beginning of most conversations: c1 is connected as u1.
const connected = `
	open c1 ?p
	c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
	c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
`

// TestConversations plays conversations of clients of Centrifugo's protocol, frame by frame.
func TestConversations(t *testing.T) {
	for _, c := range []struct {
		name           string
		options        hub.ProjectOptions
		defaultProject string
		script         string
	}{
		{name: "connect with a token", script: connected},
		{name: "connect with a token that ends", script: `
			open c1 ?p
			c1 > {"connect":{"token":"JWT{"sub":"u1","exp":1800000060,"info":{"n":1},"meta":{"m":1}}"},"id":1}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":50,"ping":7200,"pong":true}}
		`},
		{name: "connect with a token that has expired, and with another one", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1799999999}"}}
			c1 < {"id":1,"error":{"code":109,"message":"token expired"}}
			c1 closed
			open c2 ?p
			c2 > {"id":2,"connect":{"token":"JWT{"sub":"u1"}"}}
			c2 < {"id":2,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}
		`},
		{name: "connect with a token that is invalid", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"x"}}
			c1 < {"id":1,"error":{"code":3500,"message":"invalid token"}}
			c1 closed
		`},
		{name: "connect without a token", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{}}
			c1 < {"id":1,"error":{"code":3501,"message":"bad request"}}
			c1 closed
		`},
		{name: "an anonymous client", options: hub.ProjectOptions{AllowAnonymousConnectWithoutToken: true}, script: `
			open c1 ?p
			c1 > {"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"plain:x"}}\n{"id":3,"subscribe":{"channel":"chat:x"}}\n{"id":4,"presence":{"channel":"chat:x"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"error":{"code":103,"message":"permission denied"}}\n{"id":3,"subscribe":{}}
			c1 < {"id":4,"error":{"code":103,"message":"permission denied"}}
		`},
		{name: "a client of an insecure project", options: hub.ProjectOptions{Insecure: true}, script: `
			open c1 ?p
			c1 > {"id":1,"connect":{}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
			c1 > {"id":2,"subscribe":{"channel":"closed:x"}}\n{"id":3,"subscribe":{"channel":"$chat:x"}}\n{"id":4,"publish":{"channel":"plain:x","data":1}}
			c1 < {"id":2,"subscribe":{}}\n{"id":3,"error":{"code":103,"message":"permission denied"}}\n{"id":4,"publish":{}}
		`},
		{name: "tokens that have expired, in an insecure project", options: hub.ProjectOptions{Insecure: true}, script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1799999999}"}}\n{"id":2,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","expire_at":1799999999}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
			c1 > {"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800000060}"}}\n{"id":4,"sub_refresh":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","exp":1800000060}"}}
			c1 < {"id":3,"refresh":{"client":"c1","version":"centrifuge"}}\n{"id":4,"sub_refresh":{}}
			later 61s
			app publish closed:x 1
			c1 < {"push":{"channel":"closed:x","pub":{"data":1}}}
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"x"}}
			c2 < {"id":1,"error":{"code":3500,"message":"invalid token"}}
			c2 closed
			app secure
			c1 > {"id":5,"publish":{"channel":"chat:x","data":1}}
			c1 closed
		`},
		{name: "a refresh with other channels", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["plain:a","plain:b"]}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","subs":{"plain:a":{},"plain:b":{}},"ping":7200,"pong":true}}
			c1 > {"id":2,"refresh":{"token":"JWT{"sub":"u1","subs":{"plain:b":{},"plain:a":{"info":1}}}"}}
			c1 < {"id":2,"refresh":{"client":"c1","version":"centrifuge"}}
			app subscribe u1 plain:c
			c1 < {"push":{"channel":"plain:c","subscribe":{}}}
			c1 > {"id":3,"refresh":{"token":"JWT{"sub":"u1","channels":["plain:b","plain:a"]}"}}
			c1 < {"id":3,"refresh":{"client":"c1","version":"centrifuge"}}
			c1 > {"id":4,"refresh":{"token":"JWT{"sub":"u1","channels":["plain:a"]}"}}
			c1 closed
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}
			c2 > {"id":2,"refresh":{"token":"JWT{"sub":"u1","channels":["plain:a"]}"}}
			c2 closed
		`},
		{name: "a second connect", script: connected + `
			c1 > {"id":2,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":2,"error":{"code":3501,"message":"bad request"}}
			c1 closed
		`},
		{name: "two connects in a frame", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}\n{"id":2,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"error":{"code":3501,"message":"bad request"}}
			c1 closed
		`},
		{name: "a project that does not exist", defaultProject: "absent", script: `
			open c1 ?absent
			c1 status 404
			open c2
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c2 < {"id":1,"error":{"code":3501,"message":"project not found"}}
			c2 closed
		`},
		{name: "no project", script: `
			open c1
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":1,"error":{"code":3501,"message":"no ?project=ID in the URL"}}
			c1 closed
		`},
		{name: "the project of the deployment", defaultProject: projectID, script: `
			open c1
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
		`},
		{name: "an origin that the project does not list", options: hub.ProjectOptions{Origins: []string{"https://good.example"}}, defaultProject: projectID, script: `
			open c1 ?p https://bad.example
			c1 status 403
			open c2 https://bad.example
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c2 < {"id":1,"error":{"code":3507,"message":"permission denied"}}
			c2 closed
			open c3 ?p https://good.example
			c3 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c3 < {"id":1,"connect":{"client":"c3","version":"centrifuge","ping":7200,"pong":true}}
		`},
		{name: "an origin that the project does not list, which the handshake leaves to the login", options: hub.ProjectOptions{Origins: []string{"https://good.example"}}, script: `
			open c1 ?p&origin=later https://bad.example
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":1,"error":{"code":3507,"message":"permission denied"}}
			c1 closed
			open c2 ?p&origin=none https://bad.example
			c2 status 403
		`},
		{name: "the feed, on a page of an origin that the project does not list", options: hub.ProjectOptions{Origins: []string{"https://good.example"}}, script: `
			open c1 ?p&origin=later https://admin.example
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"","feed":true,"exp":1800007200}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":7190,"subs":{":admin:feed":{}},"ping":7200,"pong":true}}
			app publish shown:a {"text":"<b>","n":12345678901234567890}
			c1 < {"push":{"channel":":admin:feed","pub":{"data":{"category":"shown","channel":"a","id":"E","text":"{\"text\":\"<b>\",\"n\":12345678901234567890}"}}}}
			app publish shownlog:b 1
			c1 < {"push":{"channel":":admin:feed","pub":{"data":{"category":"shownlog","channel":"b","id":"E","text":"1"}}}}
			app publish chat:c 1
			c1 > {"id":2,"subscribe":{"channel":"chat:c"}}\n{"id":3,"publish":{"channel":":admin:feed","data":1}}\n{"id":4,"history":{"channel":"log:a"}}
			c1 < {"id":2,"error":{"code":103,"message":"permission denied"}}\n{"id":3,"error":{"code":107,"message":"bad request: the name of a channel without a category must not contain \":\""}}\n{"id":4,"error":{"code":103,"message":"permission denied"}}
			c1 > {"id":5,"refresh":{"token":"JWT{"sub":"","feed":true,"exp":1800014400}"}}
			c1 < {"id":5,"refresh":{"client":"c1","version":"centrifuge","expires":true,"ttl":14390}}
			app publish shown:a 2
			c1 < {"push":{"channel":":admin:feed","pub":{"data":{"category":"shown","channel":"a","id":"E","text":"2"}}}}
			later 5h
			app publish shown:a 3
		`},
		{name: "a subscription to the feed without its token", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":":admin:feed"}}
			c1 < {"id":2,"error":{"code":107,"message":"bad request: the name of a channel without a category must not contain \":\""}}
		`},
		{name: "a token with the feed among its channels", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","channels":[":admin:feed"]}"}}
			c1 < {"id":1,"error":{"code":3500,"message":"invalid token"}}
			c1 closed
		`},
		{name: "a token with subscriptions, and the personal channel", options: hub.ProjectOptions{SubscribeToUserPersonalChannel: true}, script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["chat:a","log:b"]}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","subs":{"#u1":{},"chat:a":{},"log:b":{}},"ping":7200,"pong":true}}
			app publish chat:a 1
			c1 < {"push":{"channel":"chat:a","pub":{"data":1}}}
			app publish log:b 2
			c1 < {"push":{"channel":"log:b","pub":{"data":2,"offset":1,"epoch":"E"}}}
			app publish #u1 3
			c1 < {"push":{"channel":"#u1","pub":{"data":3}}}
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","subs":{"#u2":{}},"ping":7200,"pong":true}}
			c2 > {"id":2,"subscribe":{"channel":"#u1"}}
			c2 < {"id":2,"error":{"code":103,"message":"permission denied"}}
		`},
		{name: "a token with a subscription to a stream, and the requests of the application about its user", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["log:b"]}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","subs":{"log:b":{}},"ping":7200,"pong":true}}
			app subscribe u1 chat:z
			c1 < {"push":{"channel":"chat:z","subscribe":{}}}
			app subscribe u1 news:z
			c1 < {"push":{"channel":"news:z","subscribe":{"recoverable":true,"epoch":"E","positioned":true}}}
			app publish chat:z 1
			c1 < {"push":{"channel":"chat:z","pub":{"data":1}}}
			app publish news:z 2
			c1 < {"push":{"channel":"news:z","pub":{"data":2,"offset":1,"epoch":"E"}}}
			app unsubscribe u1 chat:z
			c1 < {"push":{"channel":"chat:z","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}
			app disconnect u1
			c1 < {"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}
			c1 closed
		`},
		{name: "a token with a subscription that cannot be made", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","channels":["chat:a","absent:x"]}"}}
			c1 < {"id":1,"error":{"code":102,"message":"unknown channel"}}
			c1 closed
			app publish chat:a 1
		`},
		{name: "a frame with a connect and subscribes", script: `
			open c1 ?p
			c1 > {"connect":{"token":"JWT{"sub":"u1"}","name":"js"},"id":1}\n{"subscribe":{"channel":"chat:x","flag":1},"id":2}\n{"subscribe":{"channel":"absent:x"},"id":3}\n{"subscribe":{"channel":"closed:x"},"id":4}\n{"subscribe":{"channel":"log:x","flag":1},"id":5}\n
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"error":{"code":102,"message":"unknown channel"}}\n{"id":4,"error":{"code":103,"message":"permission denied"}}\n{"id":5,"subscribe":{}}
			app publish chat:x 1
			c1 < {"push":{"channel":"chat:x","pub":{"data":1}}}
			app publish log:x 2
			c1 < {"push":{"channel":"log:x","pub":{"data":2,"offset":1,"epoch":"E"}}}
		`},
		{name: "a bad line in the middle of a frame", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"chat:x"}}\n{"id":3,"bad\n{"id":4,"ping":{}}
			c1 < {"id":2,"subscribe":{}}
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
		`},
		{name: "junk from a client of Centrifugo's protocol", script: connected + `
			c1 > junk
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
		`},
		{name: "null", script: connected + `
			c1 > null
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
		`},
		{name: "an unknown command", script: connected + `
			c1 > {"id":2,"jump":{}}
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
		`},
		{name: "junk from a classic client", script: `
			open c1 ?p
			c1 > {"id":"1","method":"auth","params":{"token":"JWT{"sub":"u1","exp":1800001000}","user":"u1","project_id":"p","permissions":{}}}
			c1 < {"ack":true,"id":"1","method":"auth","result":true,"error":null}
			c1 > junk
			c1 < {"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data","code":107,"detail":"line 1, column 1: invalid character 'j' looking for beginning of value"}
			c1 > {"id":1,"connect":{}}
			c1 < {"ack":true,"id":null,"method":null,"result":null,"error":"method is required","code":107,"detail":"a command is {\"id\": \"1\", \"method\": \"…\", \"params\": {…}}"}
			c1 > {}
			c1 < {"ack":true,"id":null,"method":null,"result":null,"error":"method is required","code":107,"detail":"a command is {\"id\": \"1\", \"method\": \"…\", \"params\": {…}}"}
		`},
		{name: "a pong before a connect, to the error of API Gateway", script: `
			open c1 ?p
			c1 > {}
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
		`},
		{name: "junk before a connect", script: `
			open c1 ?p
			c1 > junk
			c1 < {"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data","code":107,"detail":"line 1, column 1: invalid character 'j' looking for beginning of value"}
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
		`},
		{name: "a connect that is wrong", script: `
			open c1 ?p
			c1 > {"id":1,"connect":[]}
			c1 < {"id":1,"error":{"code":3501,"message":"bad request: connect is not an object"}}
			c1 closed
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"x","subs":{"chat:x":null}}}
			c2 < {"id":1,"error":{"code":3501,"message":"bad request: connect.subs[\"chat:x\"] is not an object"}}
			c2 closed
			open c3 ?p
			c3 > {"connect":{}}
			c3 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c3 closed
		`},
		{name: "a connect, and something wrong", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}\n{"id":2,"publish":[]}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x"}"}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}
			c2 < {"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}
			c2 closed
		`},
		{name: "frames of a connection that is over", script: `
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}
			c1 closed
			c2 > {"id":1,"subscribe":{"channel":"chat:x"}}
			c2 closed
			c3 > junk
			c3 closed
		`},
		{name: "a pong", script: connected + "\n c1 > {}"},
		{name: "pings", script: connected + `
			c1 > {"id":2,"ping":{}}
			c1 < {"id":2,"ping":{}}
			c1 > {}\n{"id":3,"ping":{}}\n{"id":4,"ping":{}}
			c1 < {"id":3,"ping":{}}\n{"id":4,"ping":{}}
		`},
		{name: "send", script: connected + `
			c1 > {"send":{"data":1}}
			c1 < {"push":{"disconnect":{"code":3508,"reason":"not available"}}}
			c1 closed
		`},
		{name: "a command without a connect", script: `
			open c1 ?p
			c1 > {"id":2,"subscribe":{"channel":"chat:x"}}
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
		`},
		{name: "options of subscribes", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"news:x"}}\n{"id":3,"subscribe":{"channel":"log:x","positioned":true}}\n{"id":4,"subscribe":{"channel":"log:y","recoverable":true}}\n{"id":5,"subscribe":{"channel":"plain:x","recoverable":true,"positioned":true}}
			c1 < {"id":2,"subscribe":{"recoverable":true,"epoch":"E","positioned":true}}\n{"id":3,"subscribe":{"epoch":"E","positioned":true}}\n{"id":4,"subscribe":{"recoverable":true,"epoch":"E","positioned":true}}\n{"id":5,"subscribe":{}}
			c1 > {"id":6,"subscribe":{"channel":"chat:x","join_leave":true}}
			c1 < {"id":6,"subscribe":{}}
			c1 < {"push":{"channel":"chat:x","join":{"info":{"user":"u1","client":"c1"}}}}
		`},
		{name: "subscribes of what does not exist", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"chat:x","tf":{}}}\n{"id":3,"subscribe":{"channel":"chat:x","type":1}}\n{"id":4,"subscribe":{"channel":"chat:$x"}}
			c1 < {"id":2,"error":{"code":108,"message":"not available: filters of tags do not exist: leave out tf"}}\n{"id":3,"error":{"code":108,"message":"not available: only subscriptions to streams exist: leave out type and phase"}}\n{"id":4,"error":{"code":107,"message":"bad request: the channel is written \"$chat:x\""}}
		`},
		{name: "channels that require a token, and channels of users", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"$chat:x"}}\n{"id":3,"subscribe":{"channel":"$chat:x","token":"JWT{"sub":"u1","channel":"$chat:x"}"}}
			c1 < {"id":2,"error":{"code":103,"message":"permission denied"}}\n{"id":3,"subscribe":{}}
			c1 > {"id":4,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","exp":1800000060}"}}\n{"id":5,"subscribe":{"channel":"closed:y","token":"bad"}}\n{"id":6,"subscribe":{"channel":"closed:y","token":"JWT{"sub":"u1","channel":"closed:y","exp":1799999999}"}}
			c1 < {"id":4,"subscribe":{"expires":true,"ttl":50}}\n{"id":5,"error":{"code":103,"message":"permission denied: the subscription token is invalid"}}\n{"id":6,"error":{"code":109,"message":"token expired"}}
			c1 > {"id":7,"subscribe":{"channel":"chat:x#u1,u2"}}\n{"id":8,"subscribe":{"channel":"chat:x#u2"}}
			c1 < {"id":7,"subscribe":{}}\n{"id":8,"error":{"code":103,"message":"permission denied"}}
			app publish $chat:x 1
			c1 < {"push":{"channel":"$chat:x","pub":{"data":1}}}
			app publish chat:x#u1,u2 2
			c1 < {"push":{"channel":"chat:x#u1,u2","pub":{"data":2}}}
		`},
		{name: "a subscription token of another channel", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:y"}"}}
			c1 < {"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}
			c1 closed
		`},
		{name: "a subscription token of another user", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u2","channel":"closed:x"}"}}
			c1 < {"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}
			c1 closed
		`},
		{name: "a subscription token of another client", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","client":"c2"}"}}
			c1 < {"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}
			c1 closed
		`},
		{name: "a subscription token that is renewed", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","exp":1800000060}"}}
			c1 < {"id":2,"subscribe":{"expires":true,"ttl":50}}
			c1 > {"id":3,"sub_refresh":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x","exp":1800000120}"}}
			c1 < {"id":3,"sub_refresh":{"expires":true,"ttl":110}}
			later 61s
			app publish closed:x 1
			c1 < {"push":{"channel":"closed:x","pub":{"data":1}}}
			later 60s
			c1 > {"id":4,"sub_refresh":{"channel":"closed:x","token":"JWT{"sub":"u1","channel":"closed:x"}"}}
			c1 < {"id":4,"sub_refresh":{}}
			c1 < {"push":{"channel":"closed:x","unsubscribe":{"code":2500,"reason":"insufficient state"}}}
			app publish closed:x 2
			c1 < {"push":{"channel":"closed:x","unsubscribe":{"code":2501,"reason":"subscription expired"}}}
			app publish closed:x 3
			c1 > {"id":5,"sub_refresh":{"channel":"closed:y","token":"JWT{"sub":"u1","channel":"closed:y"}"}}\n{"id":6,"sub_refresh":{"channel":"closed:x"}}
			c1 < {"id":5,"error":{"code":103,"message":"permission denied: the connection is not subscribed to the channel"}}\n{"id":6,"error":{"code":107,"message":"bad request: sub_refresh has no token"}}
		`},
		{name: "a subscription to a stream that has expired", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"log:x","recoverable":true,"token":"JWT{"sub":"u1","channel":"log:x","exp":1800000060}"}}\n{"id":3,"subscribe":{"channel":"log:y"}}
			c1 < {"id":2,"subscribe":{"expires":true,"ttl":50,"recoverable":true,"epoch":"E","positioned":true}}\n{"id":3,"subscribe":{}}
			later 60s
			app publish log:x 1
			c1 < {"push":{"channel":"log:x","unsubscribe":{"code":2501,"reason":"subscription expired"}}}
			app publish log:y 2
			c1 < {"push":{"channel":"log:y","pub":{"data":2,"offset":1,"epoch":"E"}}}
			c1 > {"id":4,"subscribe":{"channel":"log:x","recoverable":true,"recover":true,"token":"JWT{"sub":"u1","channel":"log:x","exp":1800000120}"}}
			c1 < {"id":4,"subscribe":{"expires":true,"ttl":50,"recoverable":true,"epoch":"E","publications":[{"data":1,"offset":1}],"recovered":true,"positioned":true,"was_recovering":true}}
			app publish log:x 3
			c1 < {"push":{"channel":"log:x","pub":{"data":3,"offset":2,"epoch":"E"}}}
		`},
		{name: "a second subscribe renews the first", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"log:x","recoverable":true}}
			c1 < {"id":2,"subscribe":{"recoverable":true,"epoch":"E","positioned":true}}
			app publish log:x 1
			c1 < {"push":{"channel":"log:x","pub":{"data":1,"offset":1,"epoch":"E"}}}
			c1 > {"id":3,"subscribe":{"channel":"log:x","recoverable":true}}
			c1 < {"id":3,"subscribe":{"recoverable":true,"epoch":"E","offset":1,"positioned":true}}
			app publish log:x 2
			c1 < {"push":{"channel":"log:x","pub":{"data":2,"offset":2,"epoch":"E"}}}
			c1 > {"id":4,"subscribe":{"channel":"chat:x"}}\n{"id":5,"subscribe":{"channel":"chat:x"}}
			c1 < {"id":4,"subscribe":{}}\n{"id":5,"subscribe":{}}
			app publish chat:x 3
			c1 < {"push":{"channel":"chat:x","pub":{"data":3}}}
		`},
		{name: "recoveries", script: `
			app publish log:x 1
			app publish log:x 2
		` + connected + `
			c1 > {"id":2,"subscribe":{"channel":"log:x","recoverable":true,"recover":true,"offset":1}}
			c1 < {"id":2,"subscribe":{"recoverable":true,"epoch":"E","publications":[{"data":2,"offset":2}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}}
			c1 > {"id":3,"subscribe":{"channel":"log:x","recoverable":true,"recover":true,"offset":1,"epoch":"another"}}
			c1 < {"id":3,"subscribe":{"recoverable":true,"epoch":"E","offset":2,"positioned":true,"was_recovering":true}}
			app publish log:x 3
			c1 < {"push":{"channel":"log:x","pub":{"data":3,"offset":3,"epoch":"E"}}}
		`},
		{name: "recoveries of a stream that does not exist", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"log:x","recoverable":true,"recover":true}}\n{"id":3,"subscribe":{"channel":"log:y","recoverable":true,"recover":true,"offset":1}}\n{"id":4,"subscribe":{"channel":"log:z","recoverable":true,"recover":true,"epoch":"another"}}
			c1 < {"id":2,"subscribe":{"recoverable":true,"epoch":"E","recovered":true,"positioned":true,"was_recovering":true}}\n{"id":3,"subscribe":{"recoverable":true,"epoch":"E","positioned":true,"was_recovering":true}}\n{"id":4,"subscribe":{"recoverable":true,"epoch":"E","positioned":true,"was_recovering":true}}
			app publish log:x 1
			c1 < {"push":{"channel":"log:x","pub":{"data":1,"offset":1,"epoch":"E"}}}
		`},
		{name: "a recovery that fails and is to be rejected", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"log:x","recoverable":true,"recover":true,"offset":7,"epoch":"another","flag":2}}
			c1 < {"id":2,"error":{"code":112,"message":"unrecoverable position"}}
			app publish log:x 1
			later 41s
			app publish log:x 2
		`},
		{name: "unsubscribes", script: connected + `
			c1 > {"id":2,"unsubscribe":{"channel":"chat:x"}}\n{"id":3,"subscribe":{"channel":"chat:x"}}\n{"id":4,"unsubscribe":{"channel":"chat:x"}}\n{"id":5,"unsubscribe":{"channel":"absent:x"}}
			c1 < {"id":2,"unsubscribe":{}}\n{"id":3,"subscribe":{}}
			c1 < {"id":4,"unsubscribe":{}}\n{"id":5,"unsubscribe":{}}
			app publish chat:x 1
		`},
		{name: "publishes", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"chat:x"}}\n{"id":3,"subscribe":{"channel":"log:x"}}
			c1 < {"id":2,"subscribe":{}}\n{"id":3,"subscribe":{}}
			c1 > {"id":4,"publish":{"channel":"chat:x","data":{"a":1}}}
			c1 < {"push":{"channel":"chat:x","pub":{"data":{"a":1},"info":{"user":"u1","client":"c1"}}}}
			c1 < {"id":4,"publish":{}}
			c1 > {"id":5,"publish":{"channel":"log:x","data":null}}
			c1 < {"push":{"channel":"log:x","pub":{"data":null,"info":{"user":"u1","client":"c1"},"offset":1,"epoch":"E"}}}
			c1 < {"id":5,"publish":{}}
			c1 > {"id":6,"publish":{"channel":"plain:x","data":1}}\n{"id":7,"publish":{"channel":"absent:x","data":1}}\n{"id":8,"publish":{"channel":"chat:x"}}
			c1 < {"id":6,"error":{"code":103,"message":"permission denied"}}\n{"id":7,"error":{"code":102,"message":"unknown channel"}}\n{"id":8,"error":{"code":107,"message":"bad request: publish has no data"}}
		`},
		{name: "the info of a subscription", script: `
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"chat:x","join_leave":true}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
			c2 < {"push":{"channel":"chat:x","join":{"info":{"user":"u2","client":"c2"}}}}
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","info":{"n":1}}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}
			c1 > {"id":2,"subscribe":{"channel":"chat:x","token":"JWT{"sub":"u1","channel":"chat:x","info":{"r":1}}"}}
			c1 < {"id":2,"subscribe":{}}
			c2 < {"push":{"channel":"chat:x","join":{"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":1}}}}}
			c1 > {"id":3,"publish":{"channel":"chat:x","data":1}}
			c1 < {"push":{"channel":"chat:x","pub":{"data":1,"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":1}}}}}
			c1 < {"id":3,"publish":{}}
			c2 < {"push":{"channel":"chat:x","pub":{"data":1,"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":1}}}}}
			c1 > {"id":4,"publish":{"channel":"chat:y","data":1}}\n{"id":5,"presence":{"channel":"chat:x"}}
			c1 < {"id":4,"publish":{}}\n{"id":5,"presence":{"presence":{"c1":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":1}},"c2":{"user":"u2","client":"c2"}}}}
			c1 > {"id":6,"sub_refresh":{"channel":"chat:x","token":"JWT{"sub":"u1","channel":"chat:x","info":{"r":2}}"}}
			c1 < {"id":6,"sub_refresh":{}}
			c1 > {"id":7,"unsubscribe":{"channel":"chat:x"}}
			c1 < {"id":7,"unsubscribe":{}}
			c2 < {"push":{"channel":"chat:x","leave":{"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":2}}}}}
			c1 > {"id":8,"subscribe":{"channel":"chat:x"}}
			c1 < {"id":8,"subscribe":{}}
			c2 < {"push":{"channel":"chat:x","join":{"info":{"user":"u1","client":"c1","conn_info":{"n":1}}}}}
			c1 > {"id":9,"sub_refresh":{"channel":"chat:x","token":"JWT{"sub":"u1","channel":"chat:x","info":{"r":3}}"}}
			c1 < {"id":9,"sub_refresh":{}}
			app unsubscribe u1 chat:x
			c1 < {"push":{"channel":"chat:x","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}
			c2 < {"push":{"channel":"chat:x","leave":{"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":3}}}}}
			c1 > {"id":10,"subscribe":{"channel":"chat:x","token":"JWT{"sub":"u1","channel":"chat:x","info":{"r":4}}"}}
			c1 < {"id":10,"subscribe":{}}
			c2 < {"push":{"channel":"chat:x","join":{"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":4}}}}}
			app disconnect u1
			c1 < {"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}
			c1 closed
			c2 < {"push":{"channel":"chat:x","leave":{"info":{"user":"u1","client":"c1","conn_info":{"n":1},"chan_info":{"r":4}}}}}
		`},
		{name: "a client that a token hides", script: `
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"chat:x","join_leave":true}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
			c2 < {"push":{"channel":"chat:x","join":{"info":{"user":"u2","client":"c2"}}}}
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","subs":{"chat:x":{"override":{"presence":{"value":false},"join_leave":{"value":false}}}}}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","subs":{"chat:x":{}},"ping":7200,"pong":true}}
			c2 > {"id":3,"presence":{"channel":"chat:x"}}\n{"id":4,"presence_stats":{"channel":"chat:x"}}
			c2 < {"id":3,"presence":{"presence":{"c2":{"user":"u2","client":"c2"}}}}\n{"id":4,"presence_stats":{"num_clients":1,"num_users":1}}
			app publish chat:x 1
			c1 < {"push":{"channel":"chat:x","pub":{"data":1}}}
			c2 < {"push":{"channel":"chat:x","pub":{"data":1}}}
			c1 > {"id":2,"unsubscribe":{"channel":"chat:x"}}
			c1 < {"id":2,"unsubscribe":{}}
			c1 > {"id":3,"subscribe":{"channel":"chat:x","token":"JWT{"sub":"u1","channel":"chat:x","override":{"join_leave":{"value":false}}}"}}
			c1 < {"id":3,"subscribe":{}}
			c2 > {"id":5,"presence_stats":{"channel":"chat:x"}}
			c2 < {"id":5,"presence_stats":{"num_clients":2,"num_users":2}}
			c1 > {"id":4,"subscribe":{"channel":"chat:y"}}
			c1 < {"id":4,"subscribe":{}}
			app disconnect u1
			c1 < {"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}
			c1 closed
			c2 > {"id":6,"presence_stats":{"channel":"chat:x"}}
			c2 < {"id":6,"presence_stats":{"num_clients":1,"num_users":1}}
		`},
		{name: "a client that a token announces", script: `
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"plain:x","token":"JWT{"sub":"u2","channel":"plain:x","override":{"join_leave":{"value":true},"force_push_join_leave":{"value":true}}}"}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
			c2 < {"push":{"channel":"plain:x","join":{"info":{"user":"u2","client":"c2"}}}}
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}\n{"id":2,"subscribe":{"channel":"plain:x"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}
			c1 > {"id":3,"unsubscribe":{"channel":"plain:x"}}
			c1 < {"id":3,"unsubscribe":{}}
			c1 > {"id":4,"subscribe":{"channel":"plain:x","token":"JWT{"sub":"u1","channel":"plain:x","override":{"join_leave":{"value":true}}}"}}
			c1 < {"id":4,"subscribe":{}}
			c2 < {"push":{"channel":"plain:x","join":{"info":{"user":"u1","client":"c1"}}}}
			app disconnect u1
			c1 < {"push":{"disconnect":{"code":3503,"reason":"force disconnect"}}}
			c1 closed
			c2 < {"push":{"channel":"plain:x","leave":{"info":{"user":"u1","client":"c1"}}}}
		`},
		{name: "the info of a subscription to a stream", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"log:x","token":"JWT{"sub":"u1","channel":"log:x","info":{"r":1}}"}}
			c1 < {"id":2,"subscribe":{}}
			c1 > {"id":3,"publish":{"channel":"log:x","data":1}}
			c1 < {"push":{"channel":"log:x","pub":{"data":1,"info":{"user":"u1","client":"c1","chan_info":{"r":1}},"offset":1,"epoch":"E"}}}
			c1 < {"id":3,"publish":{}}
			c1 > {"id":4,"history":{"channel":"log:x","limit":1}}
			c1 < {"id":4,"history":{"publications":[{"data":1,"info":{"user":"u1","client":"c1","chan_info":{"r":1}},"offset":1}],"epoch":"E","offset":1}}
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"log:x","recoverable":true,"recover":true}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{"recoverable":true,"epoch":"E","publications":[{"data":1,"info":{"user":"u1","client":"c1","chan_info":{"r":1}},"offset":1}],"recovered":true,"positioned":true,"was_recovering":true}}
		`},
		{name: "presence, history and rpc", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"chat:x"}}
			c1 < {"id":2,"subscribe":{}}
			app publish log:x {"a":1}
			c1 > {"id":3,"presence":{"channel":"chat:x"}}\n{"id":4,"presence_stats":{"channel":"chat:x"}}\n{"id":5,"history":{"channel":"log:x","limit":10}}\n{"id":6,"history":{"channel":"log:x"}}\n{"id":7,"rpc":{"method":"m"}}
			c1 < {"id":3,"presence":{"presence":{"c1":{"user":"u1","client":"c1"}}}}\n{"id":4,"presence_stats":{"num_clients":1,"num_users":1}}\n{"id":5,"history":{"publications":[{"data":{"a":1},"offset":1}],"epoch":"E","offset":1}}\n{"id":6,"history":{"publications":[],"epoch":"E","offset":1}}\n{"id":7,"error":{"code":108,"message":"not available"}}
			c1 > {"id":8,"presence":{"channel":"log:x"}}\n{"id":9,"history":{"channel":"news:x","limit":1}}\n{"id":10,"presence":{"channel":"absent:x"}}\n{"id":11,"history":{"channel":"log:x","limit":1,"since":{"offset":0,"epoch":"another"}}}
			c1 < {"id":8,"error":{"code":108,"message":"not available: category log has no presence"}}\n{"id":9,"error":{"code":103,"message":"permission denied"}}\n{"id":10,"error":{"code":102,"message":"unknown channel"}}\n{"id":11,"error":{"code":112,"message":"unrecoverable position"}}
		`},
		{name: "a token that is renewed before its end, and one after", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800000060}"}}\n{"id":2,"subscribe":{"channel":"plain:x"}}\n{"id":3,"subscribe":{"channel":"log:x","recoverable":true}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":50,"ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"subscribe":{"recoverable":true,"epoch":"E","positioned":true}}
			c1 > {"id":4,"refresh":{"token":"JWT{"sub":"u1","exp":1800000120}"}}
			c1 < {"id":4,"refresh":{"client":"c1","version":"centrifuge","expires":true,"ttl":110}}
			later 61s
			app publish plain:x 1
			c1 < {"push":{"channel":"plain:x","pub":{"data":1}}}
			app publish log:x 1
			c1 < {"push":{"channel":"log:x","pub":{"data":1,"offset":1,"epoch":"E"}}}
			later 60s
			app publish plain:x 2
			app publish log:x 2
			c1 > {"id":5,"refresh":{"token":"JWT{"sub":"u1","exp":1800001120}"}}
			c1 closed
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800001120}"}}\n{"id":2,"subscribe":{"channel":"plain:x"}}\n{"id":3,"subscribe":{"channel":"log:x","recoverable":true,"recover":true,"offset":1}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","expires":true,"ttl":989,"ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"subscribe":{"recoverable":true,"epoch":"E","publications":[{"data":2,"offset":2}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}}
		`},
		{name: "commands after the end of the token", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","exp":1800000060}"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","expires":true,"ttl":50,"ping":7200,"pong":true}}
			later 60s
			c1 > {"id":2,"publish":{"channel":"chat:x","data":1}}
			c1 closed
		`},
		{name: "a refresh with the token of another user", script: connected + `
			c1 > {"id":2,"refresh":{"token":"JWT{"sub":"u2"}"}}
			c1 < {"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}
			c1 closed
		`},
		{name: "a refresh with a token that is invalid", script: connected + `
			c1 > {"id":2,"refresh":{"token":"x"}}
			c1 < {"push":{"disconnect":{"code":3500,"reason":"invalid token"}}}
			c1 closed
		`},
		{name: "a refresh with a token that has expired", script: connected + `
			c1 > {"id":2,"refresh":{"token":"JWT{"sub":"u1","exp":1799999999}"}}
			c1 closed
		`},
		{name: "a refresh without a token", script: connected + `
			c1 > {"id":2,"refresh":{}}
			c1 < {"push":{"disconnect":{"code":3501,"reason":"bad request"}}}
			c1 closed
		`},
		{name: "refreshes that overtake each other", script: connected + `
			c1 > {"id":3,"refresh":{"token":"JWT{"sub":"u1","exp":1800003720}"}}
			c1 < {"id":3,"refresh":{"client":"c1","version":"centrifuge","expires":true,"ttl":3710}}
			c1 > {"id":2,"refresh":{"token":"JWT{"sub":"u1","exp":1800000320}"}}
			c1 < {"id":2,"refresh":{"client":"c1","version":"centrifuge","expires":true,"ttl":3710}}
		`},
		{name: "a refresh with other permissions and info", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1","info":1,"permissions":{"closed":[],"chat":[]}}"}}\n{"id":2,"subscribe":{"channel":"closed:x"}}\n{"id":3,"subscribe":{"channel":"chat:x"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"subscribe":{}}
			c1 > {"id":4,"refresh":{"token":"JWT{"sub":"u1","info":2}"}}
			c1 < {"id":4,"refresh":{"client":"c1","version":"centrifuge"}}
			c1 > {"id":5,"presence":{"channel":"chat:x"}}
			c1 < {"id":5,"presence":{"presence":{"c1":{"user":"u1","client":"c1","conn_info":2}}}}
			app publish closed:x 1
			c1 < {"push":{"channel":"closed:x","unsubscribe":{"code":2500,"reason":"insufficient state"}}}
			c1 > {"id":6,"subscribe":{"channel":"closed:x"}}
			c1 < {"id":6,"error":{"code":103,"message":"permission denied"}}
		`},
		{name: "a category that becomes private", script: `
			open c1 ?p
			c1 > {"id":1,"connect":{"token":"JWT{"sub":"u1"}"}}\n{"id":2,"subscribe":{"channel":"plain:x"}}\n{"id":3,"subscribe":{"channel":"log:x"}}
			c1 < {"id":1,"connect":{"client":"c1","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"subscribe":{}}
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}\n{"id":2,"subscribe":{"channel":"plain:x","token":"JWT{"sub":"u2","channel":"plain:x"}"}}\n{"id":3,"subscribe":{"channel":"log:x","token":"JWT{"sub":"u2","channel":"log:x"}"}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}\n{"id":2,"subscribe":{}}\n{"id":3,"subscribe":{}}
			app close plain
			app close log
			app publish plain:x 1
			c1 < {"push":{"channel":"plain:x","unsubscribe":{"code":2500,"reason":"insufficient state"}}}
			c2 < {"push":{"channel":"plain:x","pub":{"data":1}}}
			app publish log:x 1
			c1 < {"push":{"channel":"log:x","unsubscribe":{"code":2500,"reason":"insufficient state"}}}
			c2 < {"push":{"channel":"log:x","pub":{"data":1,"offset":1,"epoch":"E"}}}
			app publish plain:x 2
			c2 < {"push":{"channel":"plain:x","pub":{"data":2}}}
			c1 > {"id":4,"subscribe":{"channel":"plain:x"}}
			c1 < {"id":4,"error":{"code":103,"message":"permission denied"}}
		`},
		{name: "a category that is deleted", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"chat:x"}}
			c1 < {"id":2,"subscribe":{}}
			app delete chat
			c1 > {"id":3,"publish":{"channel":"chat:x","data":1}}\n{"id":4,"subscribe":{"channel":"chat:x"}}\n{"id":5,"unsubscribe":{"channel":"chat:x"}}
			c1 < {"id":3,"error":{"code":102,"message":"unknown channel"}}\n{"id":4,"error":{"code":102,"message":"unknown channel"}}\n{"id":5,"unsubscribe":{}}
		`},
		{name: "a secret that is replaced", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"plain:x"}}
			c1 < {"id":2,"subscribe":{}}
			open c2 ?p
			c2 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}
			c2 < {"id":1,"connect":{"client":"c2","version":"centrifuge","ping":7200,"pong":true}}
			app rotate another
			app publish plain:x 1
			c1 closed
			c2 > {"id":2,"subscribe":{"channel":"plain:x"}}
			c2 closed
			open c3 ?p
			c3 > {"id":1,"connect":{"token":"JWT{"sub":"u2"}"}}
			c3 < {"id":1,"connect":{"client":"c3","version":"centrifuge","ping":7200,"pong":true}}
		`},
		{name: "a classic client and one of Centrifugo's protocol in a channel", script: connected + `
			c1 > {"id":2,"subscribe":{"channel":"chat:x","join_leave":true}}
			c1 < {"id":2,"subscribe":{}}
			c1 < {"push":{"channel":"chat:x","join":{"info":{"user":"u1","client":"c1"}}}}
			open c2 ?p
			c2 > {"id":"1","method":"auth","params":{"token":"JWT{"sub":"u2","exp":1800001000}","user":"u2","project_id":"p","permissions":{}}}
			c2 < {"ack":true,"id":"1","method":"auth","result":true,"error":null}
			c2 > {"id":"2","method":"subscribe","params":{"to":{"chat":["x"]}}}
			c1 < {"push":{"channel":"chat:x","join":{"info":{"user":"u2","client":"c2"}}}}
			c2 < {"project_id":"p","project":"P","category_id":"","category":"chat","event_id":"E","channel":"x","event":"join","client":{"client":"c2","user":"u2"}}
			c2 < {"ack":true,"id":"2","method":"subscribe","result":true,"error":null}
			c2 > {"id":"3","method":"broadcast","params":{"category":"chat","channel":"x","data":{"a":1}}}
			c1 < {"push":{"channel":"chat:x","pub":{"data":{"a":1},"info":{"user":"u2","client":"c2"}}}}
			c2 < {"project_id":"p","project":"P","category_id":"","category":"chat","event_id":"E","channel":"x","data":{"a":1}}
			c2 < {"ack":true,"id":"3","method":"broadcast","result":true,"error":null}
			c1 > {"id":3,"publish":{"channel":"chat:x","data":{"b":1}}}
			c1 < {"push":{"channel":"chat:x","pub":{"data":{"b":1},"info":{"user":"u1","client":"c1"}}}}
			c1 < {"id":3,"publish":{}}
			c2 < {"project_id":"p","project":"P","category_id":"","category":"chat","event_id":"E","channel":"x","data":{"b":1}}
			c2 > {"id":"4","method":"presence","params":{"category":"chat","channel":"x"}}
			c2 < {"ack":true,"id":"4","method":"presence","result":{"presence":{"c1":{"client":"c1","user":"u1"},"c2":{"client":"c2","user":"u2"}}},"error":null}
			c1 > {"id":4,"presence":{"channel":"chat:x"}}
			c1 < {"id":4,"presence":{"presence":{"c1":{"user":"u1","client":"c1"},"c2":{"user":"u2","client":"c2"}}}}
			c1 > {"id":5,"unsubscribe":{"channel":"chat:x"}}
			c1 < {"id":5,"unsubscribe":{}}
			c2 < {"project_id":"p","project":"P","category_id":"","category":"chat","event_id":"E","channel":"x","event":"leave","client":{"client":"c1","user":"u1"}}
		`},
	} {
		t.Run(c.name, func(t *testing.T) {
			newRigIn(t, c.options, c.defaultProject).converse(t, c.script)
		})
	}
}

// TestChannelLimit subscribes to more channels than a connection may be in.
func TestChannelLimit(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	frame, replies := []string{}, []string{}
	for n := range hub.MaxChannels + 1 {
		frame = append(frame, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"plain:%d"}}`, n+2, n))
		replies = append(replies, fmt.Sprintf(`{"id":%d,"subscribe":{}}`, n+2))
	}
	replies[hub.MaxChannels] = `{"id":130,"error":{"code":106,"message":"limit exceeded: a connection may be in at most 128 channels"}}`
	r.converse(t, connected+"c1 > "+strings.Join(frame, `\n`)+"\nc1 < "+strings.Join(replies, `\n`)+`
		c1 > {"id":131,"subscribe":{"channel":"plain:7"}}
		c1 < {"id":131,"subscribe":{}}
		c1 > {"id":132,"unsubscribe":{"channel":"plain:7"}}\n{"id":133,"subscribe":{"channel":"plain:128"}}
		c1 < {"id":132,"unsubscribe":{}}\n{"id":133,"subscribe":{}}
	`)
}

// TestLongReplies asks for more than fits into a frame of API Gateway.
func TestLongReplies(t *testing.T) {
	r := newRig(t, hub.ProjectOptions{})
	long := `"` + strings.Repeat("x", 20<<10) + `"`
	publication := `{"publications":[{"data":` + long + `,"offset":1}],"epoch":"E","offset":1}}`
	r.converse(t, "app publish log:x "+long+connected+`
		c1 > {"id":2,"history":{"channel":"log:x","limit":1}}\n{"id":3,"ping":{}}\n{"id":4,"history":{"channel":"log:x","limit":1}}
		c1 < {"id":2,"history":`+publication+`\n{"id":3,"ping":{}}
		c1 < {"id":4,"history":`+publication+`
	`)
}
