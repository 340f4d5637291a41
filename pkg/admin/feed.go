package admin

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"centrifuge/pkg/auth"
)

// feedTokenAge is longer than API Gateway lets a connection live: a feed ends with
// its connection, and not in the middle of it. After that the page comes back for
// another token, which needs the session still to be there.
const feedTokenAge = 2*time.Hour + 20*time.Minute

// feedData is the data of feed.html.
type feedData struct {
	// Categories are those whose messages the feed shows, by name.
	Categories []string
}

// feed answers GET /admin/projects/{project}/feed.
func (s *site) feed(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	var d feedData
	for _, name := range slices.Sorted(maps.Keys(p.Categories)) {
		if p.Categories[name].PublishToAdmins {
			d.Categories = append(d.Categories, name)
		}
	}
	s.render(w, r, http.StatusOK, "feed.html", d)
}

// feedToken answers POST /admin/projects/{project}/feed/token with what the page
// needs to connect as an ordinary client of the classic protocol: a JWT that grants
// the feed of this project and nothing else.
func (s *site) feedToken(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	token, err := auth.SignJWT(p.Secret, map[string]any{
		"sub":  "",
		"exp":  s.Now().Add(feedTokenAge).Unix(),
		"feed": true,
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"url": s.WebSocketURL, "project": p.ID, "user": "", "token": token})
}
