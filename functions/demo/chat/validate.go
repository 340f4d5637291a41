package chat

import "net/http"

// maxWishBytes is more than a client can put into the frame that a wish comes in.
const maxWishBytes = 256 << 10

// validate answers POST /demo/validate, the project's validate_url: Centrifuge
// asks whether this user, who has shown a good token, may connect with these
// permissions. Status 403 would say no; 200 says yes, and may narrow the
// permissions and tell others who the user is. Visitors get these categories,
// whatever they wished for: Centrifuge grants what is in both.
func (a application) validate(w http.ResponseWriter, r *http.Request) {
	var in struct{ User string }
	if !read(w, r, maxWishBytes, &in) {
		return
	}
	if in.User == "" {
		fail(w, http.StatusForbidden, "there are no anonymous visitors")
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"permissions": map[string][]string{
			// An empty list is the whole category.
			"chat": {}, "news": {}, "python": {}, "room": {}, "live": {},
			// In the private category everybody has a channel of their own, and no other.
			"user": {in.User},
		},
		"info": map[string]string{"name": in.User},
	})
}
