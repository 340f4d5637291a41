package chat

import "net/http"

// wave answers POST /demo/wave: it notifies one user for {"from", "token", "to"}. It
// publishes to the channel with the name of that user in the private category user;
// no other user is granted this channel. The token proves who sends the wave.
func (a application) wave(w http.ResponseWriter, r *http.Request) {
	var in struct{ From, Token, To string }
	if !readJSON(w, r, maxBodyBytes, &in) {
		return
	}
	secret, ok := a.secret(w, r)
	if !ok {
		return
	}
	if !a.validToken(secret, in.From, in.Token) {
		writeError(w, http.StatusForbidden, "invalid token: send the token of the user in from")
		return
	}
	if !validText(in.To, maxNameRunes) {
		writeError(w, http.StatusBadRequest, invalidName)
		return
	}
	if err := a.publish(r.Context(), secret, "user", in.To, map[string]string{"wave": in.From}); err != nil {
		a.publishFailed(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"waved": true})
}
