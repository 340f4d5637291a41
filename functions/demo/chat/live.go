package chat

import (
	"context"
	"net/http"
	"slices"
)

// teas are what is voted on.
var teas = []string{"Assam", "Earl Grey", "Rooibos", "Sencha"}

// live answers GET /demo/live: {"applause", "votes"}, the totals for a page that
// has just connected. From then on it hears of them by push.
func (a application) live(w http.ResponseWriter, r *http.Request) {
	applause, err := a.Count(r.Context(), "applause", 0)
	if err != nil {
		a.uncounted(w, r, err)
		return
	}
	votes, err := a.votes(r.Context(), "")
	if err != nil {
		a.uncounted(w, r, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"applause": applause, "votes": votes})
}

// applaud answers POST /demo/applaud, which has no body: the new total goes to
// everybody in live:counter.
func (a application) applaud(w http.ResponseWriter, r *http.Request) {
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	applause, err := a.Count(r.Context(), "applause", 1)
	if err != nil {
		a.uncounted(w, r, err)
		return
	}
	data := map[string]int{"applause": applause}
	if a.push(w, r, secret, "live", "counter", data) {
		answer(w, http.StatusOK, data)
	}
}

// vote answers POST /demo/vote: {"option"} is a tea, and the totals of all teas go
// to everybody in live:poll. Each message has them all, so that one that got lost
// does not matter.
func (a application) vote(w http.ResponseWriter, r *http.Request) {
	var in struct{ Option string }
	if !read(w, r, maxBodyBytes, &in) {
		return
	}
	if !slices.Contains(teas, in.Option) {
		fail(w, http.StatusBadRequest, "there is no such tea")
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	votes, err := a.votes(r.Context(), in.Option)
	if err != nil {
		a.uncounted(w, r, err)
		return
	}
	data := map[string]any{"votes": votes}
	if a.push(w, r, secret, "live", "poll", data) {
		answer(w, http.StatusOK, data)
	}
}

// votes adds a vote for one tea, or for none, and returns the totals of all.
func (a application) votes(ctx context.Context, voted string) (map[string]int, error) {
	totals := make(map[string]int, len(teas))
	for _, tea := range teas {
		by := 0
		if tea == voted {
			by = 1
		}
		total, err := a.Count(ctx, "votes for "+tea, by)
		if err != nil {
			return nil, err
		}
		totals[tea] = total
	}
	return totals, nil
}

func (a application) uncounted(w http.ResponseWriter, r *http.Request, err error) {
	a.Log.ErrorContext(r.Context(), "nothing was counted", "error", err)
	fail(w, http.StatusServiceUnavailable, "nothing can be counted at the moment")
}
