package classic

import (
	"bytes"
	"encoding/json"
	"errors"

	"centrifuge/pkg/hub"
)

// Reply encodes the answer to a command: schema/reply.json. A nil err is success;
// an error that is no *hub.Error is told as hub.ErrInternal. As in 2013, a reply
// to a client that has not authenticated names neither id nor method.
func Reply(e Envelope, refused hub.Selection, err error) []byte {
	reply := struct {
		Ack     bool          `json:"ack"`
		ID      *string       `json:"id"`
		Method  *string       `json:"method"`
		Result  *bool         `json:"result"`
		Error   *string       `json:"error"`
		Refused hub.Selection `json:"refused,omitempty"`
	}{Ack: true, ID: e.ID, Method: &e.Method, Refused: refused}
	if e.Method == "" || errors.Is(err, hub.ErrUnauthorized) {
		reply.ID, reply.Method = nil, nil
	}
	if err == nil {
		ok := true
		reply.Result = &ok
	} else {
		text := hub.Public(err).Error()
		reply.Error = &text
	}
	return encode(reply)
}

// Refuse encodes the answer to a frame that could not be read.
func Refuse(err error) []byte { return Reply(Envelope{}, nil, err) }

// UnknownMethod is the refusal of a method that the protocol lacks.
func UnknownMethod(method string) error {
	return &hub.Error{Code: hub.ErrMethodNotFound.Code, Message: "unknown method " + method}
}

// Push encodes a message: schema/push.json.
func Push(m hub.Message) ([]byte, error) {
	return encode(struct {
		ProjectID  string          `json:"project_id"`
		Project    string          `json:"project"`
		CategoryID string          `json:"category_id"`
		Category   string          `json:"category"`
		EventID    string          `json:"event_id"`
		Channel    string          `json:"channel"`
		Data       json.RawMessage `json:"data"`
	}{m.Channel.Project, m.ProjectName, m.CategoryID, m.Channel.Category, m.ID, m.Channel.Name, m.Data}), nil
}

// encode is json.Marshal without escaping <, > and &, each of which would cost
// five bytes more on the wire for nothing: no frame is put into a page as it is.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Strings, booleans and data that the hub has checked always encode.
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
