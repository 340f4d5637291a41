package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"centrifuge/pkg/delivery"
)

// post posts through the SDK and returns the status of the answer.
func (s *session) post(ctx context.Context, connection, text string) (int, error) {
	_, err := s.management.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: &connection, Data: []byte(text),
	})
	var answer *smithyhttp.ResponseError
	switch {
	case err == nil:
		return http.StatusOK, nil
	case errors.As(err, &answer):
		return answer.HTTPStatusCode(), nil
	default:
		return 0, err
	}
}

// untilGone posts to a connection that has ended until a post is answered with
// something other than 200, for at most two seconds.
func (s *session) untilGone(ctx context.Context, id string) (status int, took time.Duration, err error) {
	began := time.Now()
	for range 10 {
		status, err = s.post(ctx, id, `{"probe":"gone"}`)
		took = time.Since(began)
		if err != nil || status != http.StatusOK {
			return status, took, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return status, took, ctx.Err()
		}
	}
	return status, took, nil
}

// findGone posts to connections that do not exist.
func findGone(ctx context.Context, s *session) (finding, error) {
	c, closed, err := s.enter(ctx)
	if err != nil {
		return finding{}, err
	}
	_ = c.conn.Close(1000, "")
	unknown := []byte(closed)
	unknown[0], unknown[1] = unknown[1], unknown[0]
	var seen []string
	all := true
	status, took, err := s.untilGone(ctx, closed)
	if err != nil {
		return finding{}, err
	}
	all = all && status == http.StatusGone
	seen = append(seen, fmt.Sprintf("a connection that the client closed: %d after %.1f s", status, took.Seconds()))
	for _, id := range []struct{ name, id string }{
		{"an id with two letters swapped", string(unknown)},
		{"a short id", "x"},
		{"an id with other characters", "no-such_connection!"},
		{"a long id", strings.Repeat("x", 300)},
	} {
		status, err := s.post(ctx, id.id, `{"probe":"gone"}`)
		if err != nil {
			return finding{}, err
		}
		all = all && status == http.StatusGone
		seen = append(seen, fmt.Sprintf("%s: %d", id.name, status))
	}
	return agree(all, "%s", strings.Join(seen, "; ")), nil
}

// findPostOrder posts pairs, the second after the first was accepted.
func findPostOrder(ctx context.Context, s *session) (finding, error) {
	const pairs = 50
	c, id, err := s.enter(ctx)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	poster, err := s.poster(1)
	if err != nil {
		return finding{}, err
	}
	defer poster.Close()
	payloads := []*delivery.Payload{delivery.NewPayload([]byte(`{"probe":1}`)), delivery.NewPayload([]byte(`{"probe":2}`))}
	reversed := 0
	for range pairs {
		for _, payload := range payloads {
			if err := poster.Post(ctx, id, payload); err != nil {
				return finding{}, err
			}
		}
		first, err := c.next(ctx)
		if err != nil {
			return finding{}, err
		}
		if first == `{"probe":2}` {
			reversed++
		}
		if _, err := c.next(ctx); err != nil {
			return finding{}, err
		}
	}
	f := agree(reversed == 0, "%d of %d pairs arrived in the other order", reversed, pairs)
	f.values = map[string]any{"pairs": pairs, "reversed": reversed}
	return f, nil
}

// findDeployment keeps a client connected during a deployment.
func findDeployment(ctx context.Context, s *session) (finding, error) {
	if s.Deploy == nil {
		return finding{}, leftOutError{"no command to deploy was given"}
	}
	c, id, err := s.enter(ctx)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	deployed := make(chan error, 1)
	go func() { deployed <- s.Deploy(ctx) }()
	commands, failed := 0, []string{}
	for running := true; running; {
		select {
		case err := <-deployed:
			if err != nil {
				return finding{}, fmt.Errorf("deploy: %w", err)
			}
			running = false
		case <-time.After(time.Second):
		}
		commands++
		if err := c.ask(ctx, `{"id":"live","method":"subscribe","params":{"to":{}}}`); err != nil {
			failed = append(failed, err.Error())
		}
		if ctx.Err() != nil {
			return finding{}, ctx.Err()
		}
	}
	status, err := s.post(ctx, id, `{"probe":"deployment"}`)
	if err != nil {
		return finding{}, err
	}
	f := agree(len(failed) == 0 && status == http.StatusOK, "%d commands, %d without a reply; a post after it: %d", commands, len(failed), status)
	f.values = map[string]any{"commands": commands, "failed": failed, "status": status}
	return f, nil
}

// idle runs while the other probes run.
var idle = probe{
	name:     "idle",
	question: "Do messages to a client restart its idle time?",
	assumed:  "no: the connection closes after 10 minutes without a frame of the client",
	messages: 10, invocations: 4, limit: time.Minute,
	find: findIdle,
}

// findIdle posts to a client that sends nothing.
func findIdle(ctx context.Context, s *session) (finding, error) {
	if s.Idle == 0 {
		return finding{}, leftOutError{"it takes more than 10 minutes and was not asked for"}
	}
	c, id, err := s.enter(ctx)
	if err != nil {
		return finding{}, err
	}
	defer c.close()
	began := time.Now()
	end := time.NewTimer(s.Idle)
	defer end.Stop()
	posts := time.NewTicker(s.Idle * 4 / 11)
	defer posts.Stop()
	accepted := 0
	for {
		select {
		case <-c.ended:
			return agree(true, "closed after %s and %d posts: %v", time.Since(began).Round(time.Second), accepted, c.cause), nil
		case <-end.C:
			return agree(false, "open after %s and %d posts", s.Idle, accepted), nil
		case <-posts.C:
			status, err := s.post(ctx, id, `{"probe":"idle"}`)
			if err != nil {
				return finding{}, err
			}
			if status == http.StatusOK {
				accepted++
			}
		case <-ctx.Done():
			return finding{}, ctx.Err()
		}
	}
}
