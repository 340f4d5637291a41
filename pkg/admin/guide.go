package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"centrifuge/pkg/hub"
)

// guide is what somebody needs who starts to use a project: addresses, and what to
// paste.
type guide struct {
	WebSocketURL, HTTPURL, Project string
	// Publish is a command for a shell that publishes, Token one that makes a client
	// token, Connect a script for a page that subscribes.
	Publish, Token, Connect string
	// Category is the one that they use; it is made up where there is none.
	Category string
	Exists   bool
}

// placeholder of keys that are not to be shown.
const keyPlaceholder = "YOUR_KEY"

// guide makes a guide with an API key, or "" for a placeholder. The secret is in
// none: it belongs on servers, and not into the history of a shell.
func (s *site) guide(p *hub.Project, apiKey string) guide {
	g := guide{WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, Project: p.ID, Category: "chat"}
	if all := sortedCategories(p); len(all) > 0 {
		g.Category, g.Exists = all[0].Name, true
	}
	body := fmt.Sprintf(`{"channel":%s,"data":{"text":"Hello"}}`, literal(g.Category+":lobby"))
	g.Publish = strings.Replace(curl(s.HTTPURL, "publish", []byte(body)), keyPlaceholder, cmp.Or(apiKey, keyPlaceholder), 1)
	g.Token = fmt.Sprintf("printf %%s %s | openssl dgst -sha256 -hmac \"$SECRET\" -r | cut -c -64", quote("alice"+p.ID))
	g.Connect = fmt.Sprintf(`import { Centrifuge } from "./centrifuge.js";

const centrifuge = new Centrifuge({
  // Ask your backend, which has the secret, for a token.
  credentials: async () => ({
    url: %s,
    project: %s,
    user: "alice",
    token: "TOKEN",
  }),
  to: { %s: ["lobby"] },
  onMessage: ({ channel, data }) => console.log(channel, data),
  onState: (state) => console.log(state),
});
centrifuge.start();`, script(s.WebSocketURL), script(p.ID), script(g.Category))
	return g
}

// script writes a text for JavaScript.
func script(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // strings always have a JSON form
	}
	return string(b)
}
