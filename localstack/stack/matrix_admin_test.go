package stack_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// The rows of the matrix that begin with an administrator. After each of them functions have
// nothing cached: what is acknowledged holds within the five seconds of a cache.

// admin makes a request to the admin pages.
func (m *matrix) admin(t *testing.T, method, path, body string) answer {
	t.Helper()
	status, text := request(t, m.session, method, m.AdminURL+path, body)
	return answer{text, status < http.StatusBadRequest}
}

// removed makes a request that removes something. Where it was removed without an answer,
// the repetition does not find it.
func (m *matrix) removed(t *testing.T, path string, absent *hub.Error) answer {
	t.Helper()
	a := m.admin(t, http.MethodDelete, path, "")
	return answer{a.text, a.success || strings.Contains(a.text, absent.Message)}
}

// shown returns the secret or the API key that a page shows.
func shown(t *testing.T, what, page string) string {
	t.Helper()
	found := regexp.MustCompile(`data-testid="` + what + `">([^<]+)<`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page shows no %s: %s", what, page)
	}
	return found[1]
}

var confirmed = url.Values{"confirm": {"yes"}}

func createsCategory(t *testing.T, c cell) {
	c.converges(t, "save", func() answer {
		return c.admin(t, http.MethodPut, "api/projects/demo/categories/c"+c.id, `{"private":true}`)
	})
	if category := c.project(t, "demo").Categories["c"+c.id]; !category.Private || category.Incarnation == "" {
		t.Errorf("category %+v", category)
	}
}

// changesCategory changes the options of a category in which one client is confirmed by a
// token, and others are not. Those stay and further ones may come, or they receive nothing
// more.
func changesCategory(o hub.CategoryOptions, stay bool) func(*testing.T, cell) {
	return func(t *testing.T, c cell) {
		p := c.tenant(t, "p"+c.id, hub.ProjectOptions{}, hub.Category{Name: "chat"})
		joinWith(t, c.Stack, p.member("chat", ""), "x")
		token, err := auth.SignJWT(p.secret, map[string]any{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix(), "permissions": map[string]any{"chat": []string{}}})
		if err != nil {
			t.Fatal(err)
		}
		ada := joinWith(t, c.Stack, member{p.id, token, "chat", "ada"}, "x")
		former := c.project(t, p.id)
		body, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		c.converges(t, "save", func() answer {
			return c.admin(t, http.MethodPut, "api/projects/"+p.id+"/categories/chat", string(body))
		})
		if !stay {
			c.delivers(t, p.id, "chat:x", 1, ada)
			return
		}
		c.delivers(t, p.id, "chat:x", 2, ada)
		c.forget()
		bob := joinWith(t, c.Stack, p.member("chat", "bob"), "x")
		c.delivers(t, p.id, "chat:x", 3, ada, bob)
		c.deliversTo(t, former, "chat:x", 3, ada, bob)
	}
}

// deletesCategory deletes a category and creates it again. Who was in it receives nothing of
// the new one before another subscribe.
func deletesCategory(t *testing.T, c cell) {
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{}, hub.Category{Name: "chat"})
	ada := joinWith(t, c.Stack, p.member("chat", "ada"), "x")
	c.converges(t, "delete", func() answer {
		return c.removed(t, "api/projects/"+p.id+"/categories/chat", hub.ErrCategoryNotFound)
	})
	if _, exists := c.project(t, p.id).Categories["chat"]; exists {
		t.Error("the category exists")
	}
	c.recreate(t, p.id, hub.Category{Name: "chat"})
	c.delivers(t, p.id, "chat:x", 0)
	bob := joinWith(t, c.Stack, p.member("chat", "bob"), "x")
	c.delivers(t, p.id, "chat:x", 1, bob)
	succeeds(t, ada, subscribeFrame("x"))
	c.delivers(t, p.id, "chat:x", 2, ada, bob)
}

// deletesProject deletes a project and creates it again under its id. Nothing of the former
// one is left: no key, no entry in the list, and no client that receives a message.
func deletesProject(t *testing.T, c cell) {
	chat := hub.Category{Name: "chat"}
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{}, chat)
	ada := joinWith(t, c.Stack, p.member("chat", "ada"), "x")
	c.converges(t, "delete", func() answer { return c.removed(t, "api/projects/"+p.id, hub.ErrProjectNotFound) })
	if left := c.items(t, p); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	c.forget()
	if a := reply(t, ada, subscribeFrame("y")); a.success {
		t.Errorf("subscribe: %s", a.text)
	}
	if a := c.api(t, p.key, "info", "{}"); a.success {
		t.Errorf("info: %s", a.text)
	}
	if err := c.App.Store.PutProject(t.Context(), &hub.Project{ID: p.id, Name: p.id, Secret: "another secret"}); err != nil {
		t.Fatal(err)
	}
	c.recreate(t, p.id, chat)
	c.delivers(t, p.id, "chat:x", 0)
}

// items returns the keys of the items of a project, of its entry in the list and of its API
// key that are in the table.
func (m *matrix) items(t *testing.T, p tenant) (keys []string) {
	t.Helper()
	for pages := dynamodb.NewScanPaginator(m.client(), &dynamodb.ScanInput{TableName: &m.App.Config.Table}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			partition, _ := i[schema.PartitionKey].(*types.AttributeValueMemberS)
			sort, _ := i[schema.SortKey].(*types.AttributeValueMemberS)
			switch partition.Value {
			case "P#" + p.id, "K#" + auth.HashAPIKey(p.key):
			case "L":
				if sort.Value != p.id {
					continue
				}
			default:
				continue
			}
			keys = append(keys, partition.Value+" "+sort.Value)
		}
	}
	return keys
}

func createsProject(t *testing.T, c cell) {
	a := c.converges(t, "create", func() answer {
		return c.admin(t, http.MethodPut, "api/projects/p"+c.id, `{"name":"P","idempotency_key":"the creation of p`+c.id+`"}`)
	})
	var made struct {
		Secret string `json:"secret"`
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(a.text), &made); err != nil {
		t.Fatal(err)
	}
	p, err := auth.ProjectByAPIKey(t.Context(), c.App.Store, made.APIKey)
	if err != nil || p.ID != "p"+c.id || p.Secret != made.Secret || len(p.APIKeyHashes) != 1 {
		t.Errorf("the answer %s is not that of the project %+v, error %v", a.text, p, err)
	}
	if a := c.admin(t, http.MethodGet, "api/projects", ""); !strings.Contains(a.text, `"id":"p`+c.id+`"`) {
		t.Errorf("the project is not listed: %s", a.text)
	}
}

// rotatesSecret replaces the secret of a project. The connections that it signed end.
func rotatesSecret(t *testing.T, c cell) {
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{}, hub.Category{Name: "chat"})
	ada := joinWith(t, c.Stack, p.member("chat", "ada"), "x")
	a := c.converges(t, "regenerate", func() answer {
		return c.admin(t, http.MethodPost, "projects/"+p.id+"/keys/regenerate", confirmed.Encode())
	})
	former := p.secret
	p.secret = shown(t, "secret", a.text)
	if stored := c.project(t, p.id).Secret; stored != p.secret || stored == former {
		t.Errorf("the secret is %q, shown is %q", stored, p.secret)
	}
	c.delivers(t, p.id, "chat:x", 0)
	closes(t, ada)
	c.forget()
	bob := joinWith(t, c.Stack, p.member("chat", "bob"), "x")
	c.delivers(t, p.id, "chat:x", 1, bob)
}

// closes reads from a connection that is being closed. The test fails when that takes half a
// minute.
func closes(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, frame, err := conn.Read(ctx); websocket.CloseStatus(err) == -1 {
		t.Errorf("received %s, error %v", frame, err)
	}
}

// createsAPIKey creates an API key. Every key of the project but its first one was shown.
func createsAPIKey(t *testing.T, c cell) {
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{})
	form := url.Values{"name": {"backend"}, "key": {"the key of the request " + c.id}}
	a := c.converges(t, "create", func() answer {
		return c.admin(t, http.MethodPost, "projects/"+p.id+"/keys/create", form.Encode())
	})
	for _, key := range []string{p.key, shown(t, "api-key", a.text)} {
		if a := c.api(t, key, "info", "{}"); !a.success {
			t.Errorf("info: %s", a.text)
		}
	}
	if n := len(c.project(t, p.id).APIKeyHashes); n != 2 {
		t.Errorf("the project has %d API keys", n)
	}
}

func revokesAPIKey(t *testing.T, c cell) {
	p := c.tenant(t, "p"+c.id, hub.ProjectOptions{})
	form := url.Values{"confirm": {"yes"}, "hash": {auth.HashAPIKey(p.key)}}
	c.converges(t, "revoke", func() answer {
		return c.admin(t, http.MethodPost, "projects/"+p.id+"/keys/revoke", form.Encode())
	})
	c.forget()
	if a := c.api(t, p.key, "info", "{}"); a.success {
		t.Errorf("info: %s", a.text)
	}
	if hashes := c.project(t, p.id).APIKeyHashes; len(hashes) > 0 {
		t.Errorf("the project has the API keys %v", hashes)
	}
}
