package chat

import "net/http"

// wave answers POST /demo/wave: {"from", "token", "to"} notifies one user. It goes
// to the channel of that user's name in the private category user, which nobody
// else was granted. Who waves is not taken on trust: the token proves it.
func (a application) wave(w http.ResponseWriter, r *http.Request) {
	var in struct{ From, Token, To string }
	if !read(w, r, maxBodyBytes, &in) {
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	if !a.genuine(secret, in.From, in.Token) {
		fail(w, http.StatusForbidden, "this is not the token of who waves")
		return
	}
	if !validText(in.To, maxNameRunes) {
		fail(w, http.StatusBadRequest, badName)
		return
	}
	if a.push(w, r, secret, "user", in.To, map[string]string{"wave": in.From}) {
		answer(w, http.StatusOK, map[string]bool{"waved": true})
	}
}
