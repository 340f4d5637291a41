package serverapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"centrifuge/pkg/hub"
)

// command is one of a stream. ID is that of its reply, 0 for none.
type command struct {
	ID     uint32          `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// identified is the reply to a command of a stream.
type identified struct {
	ID uint32 `json:"id,omitempty"`
	answer
}

// stream answers POST /api, where older clients of Centrifugo send commands one after another:
// 401 without a valid API key, 400 and 413 for an invalid body, otherwise 200 with a line for
// each command, in their order. Commands run one at a time. None runs where one is not JSON.
func (a *api) stream(w http.ResponseWriter, r *http.Request) {
	p, text, status, err := a.request(r)
	if err != nil {
		write(w, status, fail(hub.Public(err)))
		return
	}
	commands, err := split(text)
	if err != nil {
		write(w, http.StatusBadRequest, fail(hub.Public(err)))
		return
	}
	if err := checkCommands(len(commands)); err != nil {
		write(w, http.StatusOK, fail(err))
		return
	}
	lines := make([]any, len(commands))
	for i, text := range commands {
		var c command
		if err := decode(text, &c); err != nil {
			lines[i] = fail(hub.Public(err))
			continue
		}
		if len(c.Params) == 0 {
			c.Params = json.RawMessage("{}")
		}
		lines[i] = identified{c.ID, a.execute(r.Context(), p, c.Method, c.Params)}
	}
	write(w, http.StatusOK, lines...)
}

// split returns the JSON values of a text, at least one, that follow one another. It fails with
// hub.ErrBadRequest, which says where the first one is that every parser does not read alike.
func split(text []byte) (values []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	for begin := int64(0); ; begin = d.InputOffset() {
		var value json.RawMessage
		err := d.Decode(&value)
		if errors.Is(err, io.EOF) && len(values) > 0 {
			return values, nil
		}
		if err != nil {
			value = bytes.TrimLeft(text[begin:], " \t\r\n")
		}
		wrong := hub.SyntaxError(value, "params", "data")
		if err != nil || wrong != "" {
			return nil, hub.ErrBadRequest.With(fmt.Sprintf("command %d is not JSON", len(values)+1)).WithHelp(wrong)
		}
		values = append(values, value)
	}
}
