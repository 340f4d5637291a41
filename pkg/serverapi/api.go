package serverapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
)

// The limits of requests that do many things.
const (
	// MaxBroadcastChannels is how many channels one broadcast may name.
	MaxBroadcastChannels = 1000
	// MaxCommands is how many commands a batch or a stream may have.
	MaxCommands = 1000
)

// maxConcurrentPublishes bounds the concurrent messages of one broadcast. The dispatcher
// bounds their posts.
const maxConcurrentPublishes = 16

// method runs one method of /api for a project and returns the value of the key "result".
type method func(a *api, ctx context.Context, p *hub.Project, params []byte) (any, error)

// methods are the methods of /api except batch, which runs them.
var methods = map[string]method{
	"publish":        (*api).publish,
	"broadcast":      (*api).broadcast,
	"subscribe":      (*api).subscribe,
	"unsubscribe":    (*api).unsubscribe,
	"disconnect":     (*api).disconnect,
	"refresh":        (*api).refresh,
	"channels":       (*api).channels,
	"info":           (*api).info,
	"presence":       (*api).presence,
	"presence_stats": (*api).presenceStats,
	"history":        (*api).history,
	"history_remove": (*api).historyRemove,
	"rpc":            (*api).extension,
}

// methodNames are the methods of /api, in alphabetical order.
var methodNames = slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(methods)), batch)))

// failure is an error as Centrifugo's server API renders it.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// answer is a reply as Centrifugo's server API renders it.
type answer struct {
	Result any      `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

func fail(e *hub.Error) answer { return answer{Error: &failure{e.Code, e.Text()}} }

// call answers POST /api/{method}: 401 without a valid API key, 404 for an unknown
// method, 400 and 413 for an invalid body, otherwise 200 with a result or an error. Where the
// caller asks for it, every error has a status of its own.
func (a *api) call(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	p, body, status, err := a.request(r)
	var reply any
	// Without a key nobody learns what exists.
	if err != nil && (p == nil || slices.Contains(methodNames, method)) {
		reply = fail(hub.Public(err))
	} else {
		status, reply = a.answer(r.Context(), p, method, body)
	}
	if failed, ok := reply.(answer); ok && failed.Error != nil && asksForStatus(r) {
		if status == http.StatusOK {
			status = statusOf(failed.Error.Code)
		}
		reply = failed.Error
	}
	write(w, status, reply)
}

// request authenticates a request and reads its body. It returns an error that the caller may
// see, with its status. The project is nil where the key is not valid.
func (a *api) request(r *http.Request) (p *hub.Project, text []byte, status int, err error) {
	p, err = a.project(r)
	if err != nil {
		e := a.public(r.Context(), err)
		return nil, nil, authStatus(e), e
	}
	text, err = body(r)
	if err != nil {
		return p, nil, bodyStatus(err), err
	}
	return p, text, http.StatusOK, nil
}

// asksForStatus reports whether a caller wants errors as statuses, with the error itself as
// the body: the transport error mode of Centrifugo.
func asksForStatus(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("X-Centrifugo-Error-Mode"), "transport")
}

// statuses are those of errors in the transport error mode. Centrifugo's server API has no
// error 106, 111 or 413.
var statuses = map[int]int{
	hub.ErrUnauthorized.Code:          http.StatusUnauthorized,
	hub.ErrCategoryNotFound.Code:      http.StatusNotFound,
	hub.ErrMethodNotFound.Code:        http.StatusNotFound,
	hub.ErrLimitExceeded.Code:         http.StatusBadRequest,
	hub.ErrBadRequest.Code:            http.StatusBadRequest,
	hub.ErrNotAvailable.Code:          http.StatusBadRequest,
	hub.ErrTooManyRequests.Code:       http.StatusTooManyRequests,
	hub.ErrUnrecoverablePosition.Code: http.StatusRequestedRangeNotSatisfiable,
	hub.ErrConflict.Code:              http.StatusConflict,
	hub.ErrTooLarge.Code:              http.StatusRequestEntityTooLarge,
}

// statusOf is the status of an error in the transport error mode.
func statusOf(code int) int { return cmp.Or(statuses[code], http.StatusInternalServerError) }

// centrifugoMethods are the methods of Centrifugo's server API that do not exist here.
var centrifugoMethods = []string{
	"map_publish", "map_remove", "map_read_state", "map_read_stream", "map_stats", "map_clear", "shared_poll_publish",
	"connections", "update_user_status", "get_user_status", "delete_user_status", "block_user", "unblock_user", "revoke_token",
	"invalidate_user_tokens",
}

// unknownMethod is the error for a method that does not exist.
func unknownMethod(name string) *hub.Error {
	if slices.Contains(centrifugoMethods, name) {
		return hub.ErrMethodNotFound.WithHelp(name + " is a method of Centrifugo, which is not supported")
	}
	return hub.ErrMethodNotFound.WithHelp(suggest(name, methodNames))
}

// answer runs a method for a project. The reply is an answer, or that of a batch.
func (a *api) answer(ctx context.Context, p *hub.Project, method string, body []byte) (status int, reply any) {
	if !slices.Contains(methodNames, method) {
		return http.StatusNotFound, fail(unknownMethod(method))
	}
	// The data of a message is passed on as it is; batch looks into its commands itself.
	opaque := "data"
	if method == batch {
		opaque = "commands"
	}
	if wrong := hub.SyntaxError(body, opaque); wrong != "" {
		return http.StatusBadRequest, fail(hub.ErrBadRequest.With("the body is not JSON").WithHelp(wrong))
	}
	if method == batch {
		return http.StatusOK, a.batch(ctx, p, body)
	}
	return http.StatusOK, a.execute(ctx, p, method, body)
}

// errTimeOver: the time of a request ended before one of its commands began.
var errTimeOver = hub.ErrLimitExceeded.With("the time of the request is over").WithHelp("send fewer commands in one request")

// execute runs one method other than batch. It does not begin after ctx has ended.
func (a *api) execute(ctx context.Context, p *hub.Project, method string, params []byte) answer {
	run, ok := methods[method]
	switch {
	case !ok:
		return fail(unknownMethod(method))
	case ctx.Err() != nil:
		return fail(errTimeOver)
	}
	result, err := run(a, ctx, p, params)
	if err != nil {
		return fail(a.public(ctx, err))
	}
	return answer{Result: result}
}

// Call runs a method for a project without an API key. The caller has
// authorized the request. Status and reply are those of POST /api/{method} with this
// body.
func Call(ctx context.Context, h *hub.Publisher, log *slog.Logger, p *hub.Project, method string, body []byte) (status int, reply []byte) {
	a := &api{Options{Hub: h, Log: log}}
	status, answer := a.answer(ctx, p, method, body)
	var b bytes.Buffer
	encode(&b, answer)
	return status, b.Bytes()
}

// project returns the project whose API key a request carries.
func (a *api) project(r *http.Request) (*hub.Project, error) {
	key, err := apiKey(r)
	if err != nil {
		return nil, err
	}
	return auth.ProjectByAPIKey(r.Context(), a.APIKeys, key)
}

// apiKey finds the key where clients of Centrifugo send it: in one of two headers, or else in
// the URL. It fails with hub.ErrUnauthorized, which says what was sent instead.
func apiKey(r *http.Request) (string, error) {
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key, nil
	}
	authorization := r.Header.Get("Authorization")
	scheme, key, _ := strings.Cut(authorization, " ")
	if key = strings.TrimSpace(key); key != "" && strings.EqualFold(scheme, "apikey") {
		return key, nil
	}
	if key := r.URL.Query().Get("api_key"); key != "" {
		return key, nil
	}
	wrong := "no API key"
	switch {
	case authorization != "" && !strings.EqualFold(scheme, "apikey"):
		wrong = "the API key is in the wrong header"
	case r.Header.Get("X-Centrifuge-Auth") != "":
		wrong = "a signature is for /rpc, not for /api"
	}
	return "", hub.ErrUnauthorized.With(wrong).WithHelp("send the header X-API-Key: KEY, or Authorization: apikey KEY")
}

func authStatus(e *hub.Error) int {
	if e.Code == hub.ErrUnauthorized.Code {
		return http.StatusUnauthorized
	}
	return http.StatusInternalServerError
}

func bodyStatus(err error) int {
	if errors.Is(err, errTooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

type empty struct{}

// message is what publish and broadcast have in common.
type message struct {
	Data           json.RawMessage   `json:"data"`
	B64Data        string            `json:"b64data"`
	IdempotencyKey string            `json:"idempotency_key"`
	SkipHistory    bool              `json:"skip_history"`
	Tags           map[string]string `json:"tags"`
	Version        uint64            `json:"version"`
	VersionEpoch   string            `json:"version_epoch"`
	// Delta asks for deltas for clients that have negotiated them. None can.
	Delta ignored `json:"delta"`
}

// check decodes b64data, which comes before data.
func (m *message) check() (err error) {
	m.Data, err = jsonValue(m.Data, "b64data", m.B64Data)
	if err == nil && len(m.Data) == 0 {
		err = hub.ErrBadRequest.With("data is required")
	}
	return err
}

// jsonValue is the JSON value in base64, or else value. name is that of the field with base64.
func jsonValue(value json.RawMessage, name, encoded string) (json.RawMessage, error) {
	if encoded == "" {
		return value, nil
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, hub.ErrBadRequest.With(name + " is not base64").WithHelp("use the standard alphabet, with padding")
	}
	if wrong := hub.SyntaxError(b); wrong != "" {
		return nil, hub.ErrBadRequest.With(name + " does not hold JSON").WithHelp("only JSON can be sent: " + wrong)
	}
	return b, nil
}

func (a *api) publish(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		Channel string `json:"channel"`
		message
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	return a.publishTo(ctx, p, q.Channel, q.message)
}

// published is the result of a publish.
type published struct {
	// Delivered is the number of posts of a message that was sent direct. Clients of Centrifugo
	// ignore it.
	Delivered *int `json:"delivered,omitempty"`
	// Offset and Epoch are those of a message in a stream.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
}

func (a *api) publishTo(ctx context.Context, p *hub.Project, channel string, m message) (any, error) {
	ch, err := hub.ParseChannel(p.ID, channel)
	if err != nil {
		return nil, err
	}
	result, err := a.Hub.Publish(ctx, p, ch, m.Data, hub.PublishOptions{
		IdempotencyKey: m.IdempotencyKey, SkipHistory: m.SkipHistory, Tags: m.Tags, Version: m.Version, VersionEpoch: m.VersionEpoch,
	})
	switch {
	case err != nil:
		return nil, err
	case result.Position != hub.Position{}:
		return published{Offset: result.Position.Offset, Epoch: result.Position.Epoch}, nil
	}
	return published{Delivered: &result.Delivered}, nil
}

// broadcast publishes to many channels. It has a response for each, in their order. An
// error in one channel does not stop the others.
func (a *api) broadcast(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		Channels []string `json:"channels"`
		message
	}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	if len(q.Channels) == 0 {
		return nil, hub.ErrBadRequest.With("channels is required")
	}
	if len(q.Channels) > MaxBroadcastChannels {
		return nil, hub.ErrLimitExceeded.With(fmt.Sprintf("%d channels, at most %d are allowed", len(q.Channels), MaxBroadcastChannels))
	}
	var result struct {
		Responses []answer `json:"responses"`
	}
	result.Responses = make([]answer, len(q.Channels))
	var g errgroup.Group
	g.SetLimit(maxConcurrentPublishes)
	for i, channel := range q.Channels {
		g.Go(func() error {
			published, err := a.publishTo(ctx, p, channel, q.message)
			if err != nil {
				result.Responses[i] = fail(a.public(ctx, err))
			} else {
				result.Responses[i].Result = published
			}
			return nil
		})
	}
	return result, g.Wait()
}

// DefaultChannels is how many channels an answer has where the request sets no limit.
const DefaultChannels = 1000

// channels lists the channels that have subscribers, a page at a time.
func (a *api) channels(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	q := struct {
		Pattern string  `json:"pattern"`
		Limit   float64 `json:"limit"`
		Cursor  string  `json:"cursor"`
	}{Limit: DefaultChannels}
	if err := decode(body, &q); err != nil {
		return nil, err
	}
	// A number such as 10.0 is an integer in JSON.
	if q.Limit != math.Trunc(q.Limit) || math.Abs(q.Limit) > hub.MaxChannelPage {
		q.Limit = 0
	}
	after, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	page, err := a.Hub.Channels(ctx, p, q.Pattern, after, int(q.Limit))
	if err != nil {
		return nil, err
	}
	type occupancy struct {
		Clients int `json:"num_clients"`
	}
	result := struct {
		Channels map[string]occupancy `json:"channels"`
		// Cursor is absent on the last page.
		Cursor string `json:"cursor,omitempty"`
	}{Channels: make(map[string]occupancy, len(page.Subscribers))}
	for ch, n := range page.Subscribers {
		result.Channels[ch.String()] = occupancy{n}
	}
	if page.More {
		result.Cursor = cursorAfter(slices.Max(slices.Collect(maps.Keys(result.Channels))))
	}
	return result, nil
}

// info describes the installation as one node of Centrifugo.
func (a *api) info(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	if err := decode(body, &empty{}); err != nil {
		return nil, err
	}
	usage, err := a.Hub.Usage(ctx, p, "")
	if err != nil {
		return nil, err
	}
	type node struct {
		UID           string `json:"uid"`
		Name          string `json:"name"`
		Version       string `json:"version"`
		Clients       int    `json:"num_clients"`
		Users         int    `json:"num_users"`
		Channels      int    `json:"num_channels"`
		Subscriptions int    `json:"num_subs"`
	}
	n := node{UID: "centrifuge", Name: "centrifuge", Version: Version,
		Clients: usage.Clients, Users: len(usage.Users), Channels: len(usage.Subscribers)}
	for _, subscribers := range usage.Subscribers {
		n.Subscriptions += subscribers
	}
	return struct {
		Nodes []node `json:"nodes"`
	}{[]node{n}}, nil
}
