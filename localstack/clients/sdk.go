package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"

	"centrifuge/localstack/gateway"
)

// callTimeout ends a run whose SDK or gateway hangs. Nothing is measured with it.
const callTimeout = time.Minute

// sdkProcess is a script that calls the management API with an AWS SDK. It gets the
// base URL as its last argument. It reads calls from its standard input, one a line:
// the operation (post, get or delete), the connection id in base64 and the data in
// base64, separated by tabs. It writes one line for each: the status, and then the
// address of the client for a get, or the name of the error. An error that the SDK
// models has the name of its class, any other its code.
type sdkProcess struct {
	cmd     *exec.Cmd
	calls   io.WriteCloser
	answers *bufio.Scanner
	stderr  bytes.Buffer
}

func startSDK(ctx context.Context, endpoint string, command []string) (*sdkProcess, error) {
	p := &sdkProcess{cmd: exec.CommandContext(ctx, command[0], append(command[1:], endpoint)...)} //nolint:gosec // run names the programs
	p.cmd.Stderr = &p.stderr
	var err error
	if p.calls, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = bufio.NewScanner(answers)
	return p, p.cmd.Start()
}

// call makes one call and returns the answer.
func (p *sdkProcess) call(operation, connection, data string) (string, error) {
	encode := base64.StdEncoding.EncodeToString
	if _, err := fmt.Fprintf(p.calls, "%s\t%s\t%s\n", operation, encode([]byte(connection)), encode([]byte(data))); err != nil {
		return "", err
	}
	if !p.answers.Scan() {
		return "", errors.Join(io.ErrUnexpectedEOF, p.answers.Err())
	}
	return p.answers.Text(), nil
}

// stop ends the process and returns what it wrote to its standard error if it failed.
func (p *sdkProcess) stop() error {
	err := p.calls.Close()
	if exit := p.cmd.Wait(); exit != nil {
		err = fmt.Errorf("%w: %s", exit, p.stderr.Bytes())
	}
	return err
}

// faults are the injected answers to posts of this data.
var faults = map[string]int{"fault 400": 400, "fault 403": 403, "fault 429": 429, "fault 500": 500}

// callWithSDK calls a gateway with the SDK that command runs, and checks every answer
// and what reaches the client.
func callWithSDK(ctx context.Context, command ...string) (_ string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ids := make(chan string, 1)
	gw := gateway.New(gateway.Options{
		Routes: map[string]gateway.Function{
			"$connect": gateway.NewFunction(func(_ context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
				ids <- r.RequestContext.ConnectionID
				return events.APIGatewayProxyResponse{StatusCode: 200}, nil
			}),
		},
		Faults: func(p gateway.Post) gateway.Fault { return gateway.Fault{Status: faults[string(p.Data)]} },
	})
	defer gw.Close()
	server := httptest.NewServer(gw)
	defer server.Close()
	conn, _, err := websocket.Dial(ctx, strings.Replace(server.URL, "http", "ws", 1)+"/dev", nil)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	process, err := startSDK(ctx, server.URL+"/dev", command)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, process.stop()) }()

	const unknown, malformed = "L0SM9cOFvHcCIhw=", "a/b c?d#e%"
	id := <-ids
	big := strings.Repeat("x", gateway.MaxMessageBytes)
	calls := []struct {
		name, operation, connection, data, answer string
		delivered                                 bool
	}{
		{"post", "post", id, "hello", "200", true},
		{"post of other characters", "post", id, "é\n\t\"\\ 😀", "200", true},
		{"post of 128 KB", "post", id, big, "200", true},
		{"post of more than 128 KB", "post", id, big + "x", "413 PayloadTooLargeException", false},
		{"post to a slow client", "post", id, "fault 429", "429 LimitExceededException", false},
		{"post without the right", "post", id, "fault 403", "403 ForbiddenException", false},
		{"post to an id that AWS calls invalid", "post", id, "fault 400", "400 BadRequestException", false},
		{"post to an unknown id", "post", unknown, "hello", "410 GoneException", false},
		{"post to a malformed id", "post", malformed, "hello", "410 GoneException", false},
		{"get", "get", id, "", "200 127.0.0.1", false},
		{"get of an unknown id", "get", unknown, "", "410 GoneException", false},
		{"get of a malformed id", "get", malformed, "", "410 GoneException", false},
		{"delete of an unknown id", "delete", unknown, "", "410 GoneException", false},
		{"delete of a malformed id", "delete", malformed, "", "410 GoneException", false},
		{"delete", "delete", id, "", "204", false},
		{"post after delete", "post", id, "hello", "410 GoneException", false},
		{"delete after delete", "delete", id, "", "410 GoneException", false},
	}
	for _, c := range calls {
		answer, err := process.call(c.operation, c.connection, c.data)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		if answer != c.answer {
			return "", fmt.Errorf("%s: answered %q, expected %q", c.name, answer, c.answer)
		}
		if !c.delivered {
			continue
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != c.data {
			return "", fmt.Errorf("%s: the client got %.80q, %w", c.name, got, err)
		}
	}
	if _, got, err := conn.Read(ctx); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		return "", fmt.Errorf("after delete the client got %.80q, %w, expected a close with 1000", got, err)
	}
	return fmt.Sprintf("%d calls", len(calls)), nil
}
