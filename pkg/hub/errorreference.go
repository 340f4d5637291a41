package hub

// ErrorEntry explains an error to people.
type ErrorEntry struct {
	*Error
	// Cause says when it occurs, Cure what to do. Both are sentences.
	Cause, Cure string
}

// ErrorReference explains every error of this package, in the order of their codes. The
// table of the documents and the admin pages show it.
var ErrorReference = []ErrorEntry{
	{ErrInternal, "A failure of the service.",
		"Repeat later. The log has the cause, with the id of the request."},
	{ErrUnauthorized, "A command came before auth has succeeded. In the server API: no API key, an unknown one, a key in another header, or a wrong signature; the detail says which.",
		"Send auth first and wait for its reply. Send the key as X-API-Key. Sign project id and body with the secret of the project in the URL."},
	{ErrCategoryNotFound, "An application named a category that its project does not have.",
		"Create the category, or correct its name. A channel is written category:name; without a category it belongs to the category without a name."},
	{ErrPermissionDenied, "validate_url refused the user, the origin of the page is not in origins, or the options of the category do not let a client of Centrifugo's protocol do this.",
		"Check the answer of validate_url. Add the origin, exactly as the browser sends it. The detail names the option; a token of the channel comes before all options."},
	{ErrMethodNotFound, "The method does not exist.",
		"Correct its name. The detail lists the methods."},
	{ErrLimitExceeded, "A value exceeds a limit.",
		"The detail names the limit. Send less."},
	{ErrBadRequest, "The request cannot be understood: no JSON, a missing or unknown field, a value of the wrong type.",
		"The detail says what is wrong, at which position in the JSON, and what the request looks like."},
	{ErrNotAvailable, "The category does not have the requested feature, or the method of the server API has no effect yet.",
		"Turn on the option of the category, such as presence."},
	{ErrTokenExpired, "The exp of the JWT has passed.",
		"Get a new token from the application, and send auth again. Check the clock of the application."},
	{ErrExpired, "The application answered a proxy with an expire_at that has passed, or that a subscription has expired.",
		"Connect or subscribe again. Check the clock of the application."},
	{ErrTooManyRequests, "A connection sends commands faster than 50, or 200 KB, a second. In a stream: 1,000 messages wait for their dispatch.",
		"Send fewer commands, and several channels in one. A connection that goes on is closed. Publish slower."},
	{ErrUnrecoverablePosition, "The epoch of since is not that of the stream: the stream has ended since, and another one has begun.",
		"Read the present state, and go on from the position of the answer."},
	{ErrConflict, "A publish with the same idempotency key is running, another administrator changed the same object, or a later auth of the connection is in force.",
		"Repeat after a moment. An administrator first reads the object again. Do not repeat an earlier auth."},
	{ErrProjectNotFound, "No project has this id.",
		"Correct the id, or create the project."},
	{ErrInvalidToken, "The token was not made with the secret of this project for this user, or the project does not allow its kind.",
		"A classic token is hex(HMAC-SHA256(secret, user + project_id)). A JWT is signed with HS256 and the same secret; its sub is the user. Use the current secret."},
	{ErrValidation, "validate_url gave no valid answer in any attempt.",
		"Repeat later. The log of the function auth has the cause."},
	{ErrCategoryDenied, "A client named a category that does not exist, is private, or is not granted; the detail says which.",
		"Create the category. Request it in the permissions of auth. A private category requires a JWT or a validate_url that grants it."},
	{ErrOneWay, "A client broadcast into a category that is not bidirectional.",
		"Publish through the application, or set bidirectional."},
	{ErrChannelDenied, "A client used a channel that is not granted in its category, that requires a confirmed grant because of \"$\" or \"#\", or whose name does not match channel_regex; the detail says which.",
		"Request the channel in the permissions of auth, and grant it in the JWT or in validate_url."},
	{ErrIdentity, "An auth on an authenticated connection has another user or project, or its token ends before the present one.",
		"Open another connection for another user. Renew a token with one that ends later."},
	{ErrConnectionNotFound, "The connection is over, or was never opened.",
		"Connect again."},
	{ErrTooLarge, "The data exceeds max_message_bytes, or the push 128 KB.",
		"Send less, such as an id that clients load. Raise max_message_bytes, up to 128 KB."},
}
