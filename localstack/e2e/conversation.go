package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
)

// assumedOrder is a guess of every script: AWS documents no order.
const assumedOrder = "the frames of a client arrive in the order in which they were sent"

// Result is what Run did.
type Result struct {
	// Steps is the number of steps that passed.
	Steps int
	// Wrong are the guesses that were wrong, where the target reports them.
	Wrong []WrongGuess
}

// Run runs a script against the target. It skips the parts that need a feature that
// the target lacks. An error contains the steps so far, without the secret, the API key
// and tokens, and the difference. A wrong guess is an error, unless
// target.ReportGuesses is set.
func Run(ctx context.Context, target Target, name, script string) (Result, error) {
	target = target.withDefaults()
	steps, _, err := target.parse(name, script)
	if err != nil {
		return Result{}, err
	}
	c := &conversation{target: target, sockets: make(map[string]*socket), captures: make(map[string]any)}
	defer c.close()
	var result Result
	reported := false // that the order was wrong
	var ended *guess  // the last wrong guess, whose further steps are left out
	for _, s := range steps {
		if s.guess != nil && s.guess == ended {
			continue
		}
		fmt.Fprintln(&c.transcript, target.mask(s.String()))
		c.reordered = ""
		stepCtx, cancel := context.WithTimeout(ctx, target.StepTimeout)
		err := c.step(stepCtx, s)
		cancel()
		switch {
		case err == nil:
			result.Steps++
		case s.guess != nil && target.ReportGuesses && ctx.Err() == nil:
			seen := fmt.Sprintf("line %d, %s %s: %v", s.line, s.verb, target.mask(truncate(s.args)), err)
			result.Wrong = append(result.Wrong, WrongGuess{Script: name, Line: s.guess.line, Assumed: s.guess.text, Seen: seen})
			ended = s.guess
			for name := range s.guess.opened {
				if so := c.sockets[name]; so != nil {
					so.early = nil
				}
			}
		default:
			return result, fmt.Errorf("%s:%d: %w\nthe conversation so far:\n%s", name, s.line, err, c.transcript.String())
		}
		if c.reordered != "" && !reported {
			reported = true
			seen := fmt.Sprintf("line %d, %s %s: before the frames of earlier steps came %s", s.line, s.verb, target.mask(truncate(s.args)), truncate(c.reordered))
			result.Wrong = append(result.Wrong, WrongGuess{Script: name, Line: s.line, Assumed: assumedOrder, Seen: seen})
		}
	}
	for socket, so := range c.sockets {
		if len(so.early) > 0 {
			return result, fmt.Errorf("%s: socket %s received a frame that no step expects: %s\nthe conversation so far:\n%s",
				name, socket, truncate(so.early[0]), c.transcript.String())
		}
	}
	return result, nil
}

// conversation is the state of a running script.
type conversation struct {
	target   Target
	sockets  map[string]*socket
	captures map[string]any
	// reordered is a frame that came before its turn and that the current step expects.
	reordered string
	// repeat sends the last HTTP call again; status and body are its answer.
	repeat     func(ctx context.Context) error
	status     int
	body       string
	transcript bytes.Buffer
}

func (c *conversation) close() {
	for _, s := range c.sockets {
		s.close()
	}
}

func (c *conversation) step(ctx context.Context, s step) error {
	word, rest, _ := strings.Cut(s.args, " ")
	rest = strings.TrimSpace(rest)
	switch s.verb {
	case "open":
		conn, _, err := c.dial(ctx, strings.Fields(rest))
		if err != nil {
			return err
		}
		c.sockets[word] = newSocket(conn)
		return nil
	case "refused":
		return c.expectRefusal(ctx, word, strings.Fields(rest))
	case "api":
		method, body, _ := strings.Cut(rest, " ")
		return c.call(ctx, http.MethodPost, "/api/"+method, http.Header{"X-Api-Key": {word}}, body)
	case "rpc":
		project, body, _ := strings.Cut(rest, " ")
		body = base64.StdEncoding.EncodeToString([]byte(body))
		header := http.Header{"X-Centrifuge-Auth": {auth.SignRequest(word, project, []byte(body))}}
		return c.call(ctx, http.MethodPost, "/rpc/"+url.PathEscape(project), header, body)
	case "http":
		return c.http(ctx, s.args)
	case "status":
		return c.checkAnswer(word, rest)
	case "becomes":
		return c.waitForAnswer(ctx, word, rest)
	}
	so, ok := c.sockets[word]
	if !ok {
		return fmt.Errorf("unknown verb %q or unknown socket %q: the socket must be opened first", s.verb, word)
	}
	switch s.verb {
	case "send":
		return so.conn.Write(ctx, websocket.MessageText, []byte(rest))
	case "fragments":
		return so.fragments(ctx, rest)
	case "binary":
		return so.conn.Write(ctx, websocket.MessageBinary, []byte(rest))
	case "expect":
		return c.expect(ctx, so, rest)
	case "quiet":
		return c.expectSilence(ctx, so)
	case "only":
		so.onlyChannel = rest
		return nil
	case "close":
		return so.conn.Close(websocket.StatusNormalClosure, "")
	case "closed":
		return so.expectClose(ctx, rest, c.target.ReportGuesses)
	}
	return fmt.Errorf("unknown verb %q: see the comment of package e2e", s.verb)
}

// dial opens a socket. An argument that starts with "?" is the query, any other one
// the Origin.
func (c *conversation) dial(ctx context.Context, args []string) (*websocket.Conn, *http.Response, error) {
	address, header := c.target.WebSocketURL, http.Header{}
	for _, arg := range args {
		if query, ok := strings.CutPrefix(arg, "?"); ok {
			address = c.target.WebSocketURL + "?" + query
		} else {
			header.Set("Origin", arg)
		}
	}
	return websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: header})
}

func (c *conversation) expectRefusal(ctx context.Context, status string, args []string) error {
	conn, response, err := c.dial(ctx, args)
	if err == nil {
		_ = conn.CloseNow()
		return fmt.Errorf("the handshake succeeded, expected status %s", status)
	}
	if response == nil {
		return err
	}
	if status != "*" && strconv.Itoa(response.StatusCode) != status {
		return fmt.Errorf("the handshake was refused with %d, expected %s", response.StatusCode, status)
	}
	return nil
}

// http sends "METHOD PATH [NAME:VALUE…] [| BODY]". The first "_" of a header value
// means a space.
func (c *conversation) http(ctx context.Context, args string) error {
	head, body, _ := strings.Cut(args, "|")
	fields := strings.Fields(head)
	if len(fields) < 2 {
		return errors.New("http without a method or a path: write http METHOD PATH")
	}
	header := http.Header{}
	for _, field := range fields[2:] {
		name, value, _ := strings.Cut(field, ":")
		header.Set(name, strings.Replace(value, "_", " ", 1))
	}
	return c.call(ctx, fields[0], fields[1], header, strings.TrimSpace(body))
}

func (c *conversation) call(ctx context.Context, method, path string, header http.Header, body string) error {
	c.repeat = func(ctx context.Context) error { return c.request(ctx, method, path, header, body) }
	return c.repeat(ctx)
}

func (c *conversation) request(ctx context.Context, method, path string, header http.Header, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, c.target.HTTPURL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	c.status, c.body = response.StatusCode, strings.TrimSpace(string(b))
	fmt.Fprintf(&c.transcript, "     => %d %s\n", c.status, truncate(c.body))
	return nil
}

func (c *conversation) checkAnswer(status, want string) error {
	if strconv.Itoa(c.status) != status {
		return fmt.Errorf("the answer has status %d, expected %s: %s", c.status, status, c.body)
	}
	if want == "" {
		return nil
	}
	captures, err := match(want, c.body, c.captures)
	if err != nil {
		return err
	}
	c.captures = captures
	return nil
}

// repeatInterval is the time between two calls of "becomes".
const repeatInterval = 200 * time.Millisecond

// waitForAnswer repeats the last call until it has this answer.
func (c *conversation) waitForAnswer(ctx context.Context, status, want string) error {
	for {
		differs := c.checkAnswer(status, want)
		if differs == nil {
			return nil
		}
		if c.repeat == nil {
			return errors.New("becomes without a call: write api, rpc or http before it")
		}
		select {
		case <-time.After(repeatInterval):
		case <-ctx.Done():
			return fmt.Errorf("the answer did not change in time: %w", differs)
		}
		if err := c.repeat(ctx); err != nil {
			return err
		}
	}
}

// expect receives as many frames as there are documents and matches them in any
// order. Where guesses are reported, a frame that does not match is kept for the steps
// that follow.
func (c *conversation) expect(ctx context.Context, so *socket, documents string) error {
	expected, err := splitDocuments(documents)
	if err != nil {
		return err
	}
	so.early = slices.DeleteFunc(so.early, func(frame string) bool {
		rest, err := c.matchOne(expected, frame)
		if err != nil {
			return false
		}
		expected, c.reordered = rest, frame
		return true
	})
	var mismatch error // of the last frame that was kept
	for len(expected) > 0 {
		frame, err := so.next(ctx)
		if err != nil {
			return errors.Join(fmt.Errorf("expected %s: %w", expected[0], err), mismatch)
		}
		fmt.Fprintf(&c.transcript, "     <- %s\n", truncate(frame))
		rest, err := c.matchOne(expected, frame)
		switch {
		case err == nil:
			expected = rest
		case c.target.ReportGuesses:
			so.early, mismatch = append(so.early, frame), err
		default:
			return err
		}
	}
	return nil
}

// matchOne returns the documents without the first one that the frame matches. It fails
// with a difference when the frame matches none.
func (c *conversation) matchOne(documents []string, frame string) (rest []string, err error) {
	err = errors.New("no further frame is expected")
	for i, want := range documents {
		captures, mismatch := match(want, frame, c.captures)
		if mismatch == nil {
			c.captures = captures
			return slices.Delete(slices.Clone(documents), i, i+1), nil
		}
		err = mismatch
	}
	return nil, err
}

// splitDocuments returns the JSON documents of a line.
func splitDocuments(line string) ([]string, error) {
	var documents []string
	for d := json.NewDecoder(strings.NewReader(line)); ; {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err == io.EOF {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("expected documents: %w", err)
		}
		documents = append(documents, string(raw))
	}
}

func (c *conversation) expectSilence(ctx context.Context, so *socket) error {
	if err := so.conn.Write(ctx, websocket.MessageText, []byte(`{"id":"quiet","method":"no-such-method","params":{}}`)); err != nil {
		return err
	}
	err := c.expect(ctx, so, `{"ack":true,"id":"quiet","method":"no-such-method","result":null,"error":"unknown method no-such-method","code":104,"detail":"*"}`)
	if err == nil && len(so.early) > 0 {
		err = fmt.Errorf("received %s, expected no further frame", truncate(so.early[0]))
	}
	return err
}
