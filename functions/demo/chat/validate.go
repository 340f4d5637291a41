package chat

import "net/http"

// permissions are the channels that a user may use: an empty list grants the whole category.
func permissions(user string) map[string][]string {
	return map[string][]string{
		"chat": {}, "news": {}, "python": {}, "room": {}, "scores": {}, "live": {},
		// In the private category user, a user gets the channel of its own name only.
		"user": {user},
	}
}

// maxValidateBytes is larger than the largest message of a client, 128 KB, in which it
// requests permissions.
const maxValidateBytes = 256 << 10

// validate answers POST /demo/validate, the validate_url of the project. Centrifuge
// calls it when a client of the classic protocol, with a valid token, requests permissions. Status 403 refuses the
// user. Status 200 accepts it; the response may narrow the permissions and may contain
// info that other clients see. Every visitor gets the same categories, whatever the
// client requests: Centrifuge grants the intersection of both.
func (a application) validate(w http.ResponseWriter, r *http.Request) {
	var in struct{ User string }
	if !readJSON(w, r, maxValidateBytes, &in) {
		return
	}
	if in.User == "" {
		writeError(w, http.StatusForbidden, "anonymous users are not allowed: use a token with a user")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"permissions": permissions(in.User),
		"info":        map[string]string{"name": in.User},
	})
}
