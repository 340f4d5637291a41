package admin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"centrifuge/pkg/auth"
)

// feedTokenAge is longer than the two hours that API Gateway keeps a connection, so
// that a token does not expire during a connection. For the next connection the page
// requests a new token, which requires a session.
const feedTokenAge = 2*time.Hour + 20*time.Minute

// feedData is the data of feed.html.
type feedData struct {
	// Categories are the categories whose messages appear in the feed, by name. Others
	// are those whose messages do not.
	Categories []string
	Others     []feedChoice
	// Address is what the page connects to.
	Address string
}

// feedChoice is a category that the page offers to add to the feed.
type feedChoice struct {
	Name string
	// Chosen is false for a private category, whose messages are for some users only.
	Chosen bool
}

// feedPage handles GET /admin/projects/{project}/feed.
func (s *site) feedPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	// The origins of the project are those of its own pages. The token exempts this one.
	d := feedData{Address: s.WebSocketURL + "?" + url.Values{"project": {p.ID}, "origin": {"later"}}.Encode()}
	for _, name := range slices.Sorted(maps.Keys(p.Categories)) {
		if p.Categories[name].PublishToAdmins {
			d.Categories = append(d.Categories, name)
		} else {
			d.Others = append(d.Others, feedChoice{name, !p.Categories[name].Private})
		}
	}
	s.render(w, r, http.StatusOK, "feed.html", d)
}

// submitFeedCategories handles POST /admin/projects/{project}/feed/categories: it adds
// the chosen categories to the feed.
func (s *site) submitFeedCategories(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	chosen, done := r.PostForm["category"], ""
	if len(chosen) > 0 {
		done = "feed-changed"
	}
	if err := s.showInFeed(r.Context(), p, chosen); err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, r, projectPath(p, "feed"), done)
}

// feedToken handles POST /admin/projects/{project}/feed/token. The response has a JWT that
// subscribes a client of Centrifugo's protocol to the feed of this project, and grants
// nothing else.
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
	writeJSON(w, http.StatusOK, map[string]string{"token": token})
}
