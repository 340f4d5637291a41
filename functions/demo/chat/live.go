package chat

import (
	"context"
	"net/http"
	"slices"
)

// teas are the options of the poll.
var teas = []string{"Assam", "Earl Grey", "Rooibos", "Sencha"}

// live answers GET /demo/live with the current totals: {"applause", "votes"}. The page
// requests them when it is connected; changes arrive as pushes.
func (a application) live(w http.ResponseWriter, r *http.Request) {
	applause, err := a.Count(r.Context(), "applause", 0)
	if err != nil {
		a.countFailed(w, r, err)
		return
	}
	votes, err := a.countVotes(r.Context(), "")
	if err != nil {
		a.countFailed(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"applause": applause, "votes": votes})
}

// applaud answers POST /demo/applaud, which has no body: it counts and publishes the
// new total to the channel live:counter.
func (a application) applaud(w http.ResponseWriter, r *http.Request) {
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	applause, err := a.Count(r.Context(), "applause", 1)
	if err != nil {
		a.countFailed(w, r, err)
		return
	}
	data := map[string]int{"applause": applause}
	if err := a.publish(r.Context(), secret, "live", "counter", data); err != nil {
		a.publishFailed(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, data)
}

// vote answers POST /demo/vote: it counts a vote for the tea in {"option"} and
// publishes the totals of all teas to the channel live:poll. Every message has all
// totals, so a lost message does no harm.
func (a application) vote(w http.ResponseWriter, r *http.Request) {
	var in struct{ Option string }
	if !readJSON(w, r, maxBodyBytes, &in) {
		return
	}
	if !slices.Contains(teas, in.Option) {
		writeError(w, http.StatusBadRequest, "unknown option: vote for Assam, Earl Grey, Rooibos or Sencha")
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	votes, err := a.countVotes(r.Context(), in.Option)
	if err != nil {
		a.countFailed(w, r, err)
		return
	}
	data := map[string]any{"votes": votes}
	if err := a.publish(r.Context(), secret, "live", "poll", data); err != nil {
		a.publishFailed(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, data)
}

// countVotes adds a vote for one tea, or none if it is "", and returns all totals.
func (a application) countVotes(ctx context.Context, voted string) (map[string]int, error) {
	totals := make(map[string]int, len(teas))
	for _, tea := range teas {
		delta := 0
		if tea == voted {
			delta = 1
		}
		total, err := a.Count(ctx, "votes for "+tea, delta)
		if err != nil {
			return nil, err
		}
		totals[tea] = total
	}
	return totals, nil
}

// countFailed logs an error of Count and writes the error response.
func (a application) countFailed(w http.ResponseWriter, r *http.Request, err error) {
	a.Log.ErrorContext(r.Context(), "count failed", "error", err)
	writeError(w, http.StatusServiceUnavailable, "the database is not available: try again later")
}
