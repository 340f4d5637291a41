package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"centrifuge/pkg/hub"
)

// guide helps to start with a project: URLs, and examples to copy.
type guide struct {
	WebSocketURL, HTTPURL, Project string
	// Publish is a shell command that publishes, Token one that makes a client token,
	// Connect a script for a page that subscribes.
	Publish, Token, Connect string
	// Category is the category in the examples. Exists is false where the project has
	// none yet.
	Category string
	Exists   bool
}

// guide makes a guide with an API key, or with a placeholder for "". It never contains
// the secret, which belongs on servers and not into the history of a shell.
func (s *site) guide(p *hub.Project, apiKey string) guide {
	g := guide{WebSocketURL: s.WebSocketURL, HTTPURL: s.HTTPURL, Project: p.ID, Category: "chat"}
	if all := sortedCategories(p); len(all) > 0 {
		g.Category, g.Exists = all[0].Name, true
	}
	body := fmt.Sprintf(`{"channel":%s,"data":{"text":"Hello"}}`, literal(hub.Channel{Category: g.Category, Name: "lobby"}.String()))
	g.Publish = strings.Replace(curl(s.HTTPURL, "publish", []byte(body)), keyPlaceholder, cmp.Or(apiKey, keyPlaceholder), 1)
	g.Token = printJWT
	g.Connect = fmt.Sprintf(`// Ask your backend, which has the secret, for a token.
const client = new Centrifuge(%s, { token: "TOKEN" });
const subscription = client.newSubscription(%s);
subscription.on("publication", ({ channel, data }) => console.log(channel, data));
subscription.subscribe();
client.connect();`, script(s.WebSocketURL+"?"+url.Values{"project": {p.ID}}.Encode()), script(hub.Channel{Category: g.Category, Name: "lobby"}.String()))
	return g
}

// printJWT prints a JSON Web Token of the user alice, for an hour. Its parts are base64url.
const printJWT = `part() { openssl base64 -A | tr +/ -_ | tr -d =; };
token=$(printf '{"alg":"HS256"}' | part).$(printf '{"sub":"alice","exp":%d}' $(($(date +%s) + 3600)) | part);
echo "$token.$(printf %s "$token" | openssl dgst -sha256 -hmac "$SECRET" -binary | part)"`

// script returns a text as a JavaScript literal.
func script(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // strings always encode
	}
	return string(b)
}
