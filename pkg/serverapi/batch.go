package serverapi

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"

	"centrifuge/pkg/hub"
)

// batch is the method that runs several commands.
const batch = "batch"

// maxConcurrentCommands bounds the concurrent commands of a parallel batch.
const maxConcurrentCommands = 16

// replies is the reply to a batch. Unlike those of other methods it is not in a result. Each
// reply is an object with the name of the method and its result, or with an error.
type replies struct {
	Replies []map[string]any `json:"replies"`
}

// batch runs commands, in their order or concurrently. It has a reply for each, in their
// order. An error of one command does not stop the others. The reply is a replies, or the
// answer with the error of the whole batch.
func (a *api) batch(ctx context.Context, p *hub.Project, body []byte) any {
	var q struct {
		Commands []json.RawMessage `json:"commands"`
		Parallel bool              `json:"parallel"`
	}
	if err := decode(body, &q); err != nil {
		return fail(hub.Public(err))
	}
	if err := checkCommands(len(q.Commands)); err != nil {
		return fail(err)
	}
	all := replies{make([]map[string]any, len(q.Commands))}
	var g errgroup.Group
	g.SetLimit(1)
	if q.Parallel {
		g.SetLimit(maxConcurrentCommands)
	}
	for i, command := range q.Commands {
		g.Go(func() error {
			all.Replies[i] = a.inBatch(ctx, p, command)
			return nil
		})
	}
	_ = g.Wait() // each reply has its own error
	return all
}

// inBatch runs one command of a batch: {"method": params}.
func (a *api) inBatch(ctx context.Context, p *hub.Project, command json.RawMessage) map[string]any {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(command, &named); err != nil || len(named) != 1 {
		return map[string]any{"error": fail(errCommand).Error}
	}
	for method, params := range named {
		if wrong := hub.SyntaxError(command, method, "data"); wrong != "" {
			return map[string]any{"error": fail(hub.ErrBadRequest.With("the command is not JSON").WithHelp(wrong)).Error}
		}
		reply := a.execute(ctx, p, method, params)
		if reply.Error == nil {
			return map[string]any{method: reply.Result}
		}
		return map[string]any{"error": reply.Error}
	}
	return nil
}

// errCommand: a command of a batch has another form.
var errCommand = hub.ErrBadRequest.With("a command is not an object with one method").
	WithHelp(`it is written {"publish": {"channel": "category:name", "data": …}}`)

// checkCommands refuses too many commands.
func checkCommands(n int) *hub.Error {
	if n > MaxCommands {
		return hub.ErrLimitExceeded.With(fmt.Sprintf("%d commands, at most %d are allowed", n, MaxCommands))
	}
	return nil
}
