package serverapi

import (
	"bytes"
	"context"
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

// MaxBroadcastChannels is how many channels one broadcast may name.
const MaxBroadcastChannels = 1000

// maxConcurrentPublishes bounds the concurrent messages of one broadcast. The dispatcher
// bounds their posts.
const maxConcurrentPublishes = 16

// method runs one method of /api for a project and returns the value of the key "result".
type method func(a *api, ctx context.Context, p *hub.Project, body []byte) (any, error)

var methods = map[string]method{
	"publish":        (*api).publish,
	"broadcast":      (*api).broadcast,
	"unsubscribe":    (*api).unsubscribe,
	"disconnect":     (*api).disconnect,
	"channels":       (*api).channels,
	"info":           (*api).info,
	"presence":       (*api).presence,
	"presence_stats": (*api).presenceStats,
	"history":        (*api).history,
	"history_remove": (*api).historyRemove,
}

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
// method, 400 and 413 for an invalid body, otherwise 200 with a result or an error.
func (a *api) call(w http.ResponseWriter, r *http.Request) {
	p, err := a.project(r)
	if err != nil {
		e := a.public(r.Context(), err)
		write(w, authStatus(e), fail(e))
		return
	}
	b, err := body(r)
	if err != nil && methods[r.PathValue("method")] != nil {
		write(w, bodyStatus(err), fail(hub.Public(err)))
		return
	}
	status, answer := a.answer(r.Context(), p, r.PathValue("method"), b)
	write(w, status, answer)
}

// centrifugoMethods are the methods of Centrifugo's server API that do not exist here.
var centrifugoMethods = []string{
	"subscribe", "refresh", "batch", "connections", "update_user_status", "get_user_status",
	"delete_user_status", "block_user", "unblock_user", "revoke_token", "invalidate_user_tokens", "rpc",
}

// answer runs a method for a project.
func (a *api) answer(ctx context.Context, p *hub.Project, method string, body []byte) (status int, _ answer) {
	run, ok := methods[method]
	if !ok && slices.Contains(centrifugoMethods, method) {
		return http.StatusNotFound, fail(hub.ErrMethodNotFound.WithHelp(method + " is a method of Centrifugo, which is not supported"))
	}
	if !ok {
		return http.StatusNotFound, fail(hub.ErrMethodNotFound.WithHelp(suggest(method, slices.Collect(maps.Keys(methods)))))
	}
	// The data of a message is passed on as it is.
	if wrong := hub.SyntaxError(body, "data"); wrong != "" {
		return http.StatusBadRequest, fail(hub.ErrBadRequest.With("the body is not JSON").WithHelp(wrong))
	}
	result, err := run(a, ctx, p, body)
	if err != nil {
		return http.StatusOK, fail(a.public(ctx, err))
	}
	return http.StatusOK, answer{Result: result}
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

// apiKey finds the key in the headers that clients of Centrifugo send. It fails with
// hub.ErrUnauthorized, which says what was sent instead.
func apiKey(r *http.Request) (string, error) {
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key, nil
	}
	authorization := r.Header.Get("Authorization")
	scheme, key, _ := strings.Cut(authorization, " ")
	if key = strings.TrimSpace(key); key != "" && strings.EqualFold(scheme, "apikey") {
		return key, nil
	}
	wrong := "no API key"
	switch {
	case authorization != "" && !strings.EqualFold(scheme, "apikey"):
		wrong = "the API key is in the wrong header"
	case r.Header.Get("X-Centrifuge-Auth") != "":
		wrong = "a signature is for /rpc, not for /api"
	case r.URL.Query().Has("api_key"):
		wrong = "the API key is in the URL"
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

// unsupportedInPublish are the fields of Centrifugo's publish and broadcast that do not
// exist here.
var unsupportedInPublish = []string{"b64data", "delta"}

// message is what publish and broadcast have in common.
type message struct {
	Data           json.RawMessage   `json:"data"`
	IdempotencyKey string            `json:"idempotency_key"`
	SkipHistory    bool              `json:"skip_history"`
	Tags           map[string]string `json:"tags"`
	Version        uint64            `json:"version"`
	VersionEpoch   string            `json:"version_epoch"`
}

func (a *api) publish(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		Channel string `json:"channel"`
		message
	}
	if err := decode(body, &q, unsupportedInPublish...); err != nil {
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
	if len(m.Data) == 0 {
		return nil, hub.ErrBadRequest.With("data is required")
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
	if err := decode(body, &q, unsupportedInPublish...); err != nil {
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

func (a *api) unsubscribe(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		User    string `json:"user"`
		Channel string `json:"channel"`
	}
	if err := decode(body, &q, "client", "session"); err != nil {
		return nil, err
	}
	if q.User == "" {
		return nil, hub.ErrBadRequest.With("user is required")
	}
	ch, err := hub.ParseChannel(p.ID, q.Channel)
	if err != nil {
		return nil, err
	}
	if _, err := p.CategoryOf(ch); err != nil {
		return nil, err
	}
	return empty{}, a.Hub.UnsubscribeUser(ctx, p, q.User, hub.Selection{ch.Category: {ch.Name}})
}

func (a *api) disconnect(ctx context.Context, p *hub.Project, body []byte) (any, error) {
	var q struct {
		User string `json:"user"`
	}
	if err := decode(body, &q, "client", "session", "whitelist", "disconnect"); err != nil {
		return nil, err
	}
	return empty{}, a.Hub.DisconnectUser(ctx, p, q.User)
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
