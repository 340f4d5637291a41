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
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
)

// Play runs a script against the target. The error of a conversation that goes
// wrong shows it up to there, and the difference. Parts that need what the target
// lacks are passed over. Secret, API key and tokens are not in the error.
func Play(ctx context.Context, target Target, name, script string) error {
	target = target.withDefaults()
	steps, _, err := target.parse(name, script)
	if err != nil {
		return err
	}
	c := &conversation{target: target, sockets: make(map[string]*socket), captures: make(map[string]any)}
	defer c.end()
	for _, s := range steps {
		fmt.Fprintln(&c.transcript, target.mask(s.String()))
		stepCtx, cancel := context.WithTimeout(ctx, target.Patience)
		err := c.step(stepCtx, s)
		cancel()
		if err != nil {
			return fmt.Errorf("%s:%d: %w\nthe conversation so far:\n%s", name, s.line, err, c.transcript.String())
		}
	}
	return nil
}

// conversation is a script while it is played.
type conversation struct {
	target   Target
	sockets  map[string]*socket
	captures map[string]any
	// again makes the last call once more; status and body are its answer.
	again      func(ctx context.Context) error
	status     int
	body       string
	transcript bytes.Buffer
}

func (c *conversation) end() {
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
		c.sockets[word] = listen(conn)
		return nil
	case "refused":
		return c.refused(ctx, word, strings.Fields(rest))
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
		return c.answered(word, rest)
	case "becomes":
		return c.becomes(ctx, word, rest)
	}
	so, ok := c.sockets[word]
	if !ok {
		return fmt.Errorf("no socket is called %q, or no verb %q", word, s.verb)
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
		return c.quiet(ctx, so)
	case "only":
		so.only = rest
		return nil
	case "close":
		return so.conn.Close(websocket.StatusNormalClosure, "")
	case "closed":
		return so.closed(ctx, rest)
	}
	return fmt.Errorf("there is no verb %q", s.verb)
}

// dial opens a socket. Its arguments are a query, which starts with "?", and an
// Origin.
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

func (c *conversation) refused(ctx context.Context, status string, args []string) error {
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

// http sends "METHOD PATH [NAME:VALUE…] [| BODY]". The first "_" of a value stands
// for a space.
func (c *conversation) http(ctx context.Context, args string) error {
	head, body, _ := strings.Cut(args, "|")
	fields := strings.Fields(head)
	if len(fields) < 2 {
		return errors.New("http needs a method and a path")
	}
	header := http.Header{}
	for _, field := range fields[2:] {
		name, value, _ := strings.Cut(field, ":")
		header.Set(name, strings.Replace(value, "_", " ", 1))
	}
	return c.call(ctx, fields[0], fields[1], header, strings.TrimSpace(body))
}

func (c *conversation) call(ctx context.Context, method, path string, header http.Header, body string) error {
	c.again = func(ctx context.Context) error { return c.request(ctx, method, path, header, body) }
	return c.again(ctx)
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
	fmt.Fprintf(&c.transcript, "     => %d %s\n", c.status, clip(c.body))
	return nil
}

func (c *conversation) answered(status, want string) error {
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

// interval is how long becomes waits before it asks again.
const interval = 200 * time.Millisecond

// becomes makes the last call again until it is answered so.
func (c *conversation) becomes(ctx context.Context, status, want string) error {
	for {
		differs := c.answered(status, want)
		if differs == nil {
			return nil
		}
		if c.again == nil {
			return errors.New("there was no call to make again")
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return fmt.Errorf("it never became so: %w", differs)
		}
		if err := c.again(ctx); err != nil {
			return err
		}
	}
}

// expect receives as many frames as there are documents and pairs them off.
func (c *conversation) expect(ctx context.Context, so *socket, documents string) error {
	wanted, err := split(documents)
	if err != nil {
		return err
	}
	for len(wanted) > 0 {
		frame, err := so.next(ctx)
		if err != nil {
			return fmt.Errorf("expected %s: %w", wanted[0], err)
		}
		fmt.Fprintf(&c.transcript, "     <- %s\n", clip(frame))
		var why error
		for i, want := range wanted {
			captures, err := match(want, frame, c.captures)
			if err == nil {
				c.captures, wanted, why = captures, append(wanted[:i:i], wanted[i+1:]...), nil
				break
			}
			why = err
		}
		if why != nil {
			return why
		}
	}
	return nil
}

// split reads the JSON documents of a line.
func split(line string) ([]string, error) {
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

func (c *conversation) quiet(ctx context.Context, so *socket) error {
	if err := so.conn.Write(ctx, websocket.MessageText, []byte(`{"id":"quiet","method":"no-such-method","params":{}}`)); err != nil {
		return err
	}
	return c.expect(ctx, so, `{"ack":true,"id":"quiet","method":"no-such-method","result":null,"error":"unknown method no-such-method"}`)
}
