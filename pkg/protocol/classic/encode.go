package classic

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"centrifuge/pkg/hub"
)

// Result is the result of a command. The zero value is success without data.
type Result struct {
	// Refused are the channels that a subscribe was refused. A nil Reason is left out.
	Refused []hub.Refusal
	// Presence is the result of presence; nil with any other command.
	Presence map[string]Client
}

// Client is a client that is in a channel, or joined or left it, on the wire.
type Client struct {
	Client string          `json:"client"`
	User   string          `json:"user"`
	Info   json.RawMessage `json:"conn_info,omitempty"`
}

func clientOf(c hub.Client) Client { return Client{c.Connection, c.User, c.Info} }

// Presence is the clients in a channel, by connection.
func Presence(clients []hub.Client) map[string]Client {
	byConnection := make(map[string]Client, len(clients))
	for _, c := range clients {
		byConnection[c.Connection] = clientOf(c)
	}
	return byConnection
}

// Value is the value of the key "result" in a reply: true for success without data.
func (r Result) Value() any {
	if r.Presence == nil {
		return true
	}
	return map[string]any{"presence": r.Presence}
}

// reason is why a channel was refused.
type reason struct {
	Code   int    `json:"code"`
	Error  string `json:"error"`
	Detail string `json:"detail"`
}

// Reply encodes the reply to a command: schema/reply.json. A nil err is success;
// an error that is no *hub.Error becomes hub.ErrInternal. As in 2013, a reply to a
// client that has not authenticated names neither id nor method.
func Reply(e Envelope, r Result, err error) []byte {
	reply := struct {
		Ack     bool                         `json:"ack"`
		ID      *string                      `json:"id"`
		Method  *string                      `json:"method"`
		Result  any                          `json:"result"`
		Error   *string                      `json:"error"`
		Code    int                          `json:"code,omitempty"`
		Detail  string                       `json:"detail,omitempty"`
		Refused map[string][]string          `json:"refused,omitempty"`
		Reasons map[string]map[string]reason `json:"reasons,omitempty"`
	}{Ack: true, ID: e.ID, Refused: namesByCategory(r.Refused), Reasons: reasonsByCategory(r.Refused)}
	if e.Method != "" {
		reply.Method = &e.Method
	}
	if errors.Is(err, hub.ErrUnauthorized) {
		reply.ID, reply.Method = nil, nil
	}
	if err == nil {
		reply.Result = r.Value()
	} else {
		public := hub.Public(err)
		text := public.Error()
		reply.Error, reply.Code, reply.Detail = &text, public.Code, public.Explanation()
	}
	return encode(reply)
}

// namesByCategory are the names of refused channels, each once, by category.
func namesByCategory(refused []hub.Refusal) map[string][]string {
	names := make(map[string][]string)
	for _, r := range refused {
		if c := r.Channel.Category; !slices.Contains(names[c], r.Channel.Name) {
			names[c] = append(names[c], r.Channel.Name)
		}
	}
	return names
}

// reasonsByCategory are the reasons of refused channels, by category and name.
func reasonsByCategory(refused []hub.Refusal) map[string]map[string]reason {
	reasons := make(map[string]map[string]reason)
	for _, r := range refused {
		if r.Reason == nil {
			continue
		}
		category := reasons[r.Channel.Category]
		if category == nil {
			category = make(map[string]reason)
			reasons[r.Channel.Category] = category
		}
		category[r.Channel.Name] = reason{r.Reason.Code, r.Reason.Error(), r.Reason.Explanation()}
	}
	return reasons
}

// UnknownMethod is the error of a method that the protocol does not have.
func UnknownMethod(method string) error {
	return &hub.Error{
		Code: hub.ErrMethodNotFound.Code, Message: "unknown method " + method,
		Help: "the methods are auth, subscribe, unsubscribe, broadcast and presence",
	}
}

// Pushes encodes messages, in their order, each as a frame: schema/push.json. With batch a frame
// holds as many as fit into hub.DefaultMessageBytes, which API Gateway bills as one message: one
// as before, several as an array, schema/batch.json. A push that is larger is a frame of its own.
func Pushes(messages []hub.Message, batch bool) (frames [][]byte, err error) {
	pushes := make([][]byte, len(messages))
	for i, m := range messages {
		if pushes[i], err = Push(m); err != nil {
			return nil, err
		}
	}
	if !batch {
		return pushes, nil
	}
	for len(pushes) > 0 {
		n, size := 1, len("[]")+len(pushes[0])
		for n < len(pushes) && size+len(",")+len(pushes[n]) <= hub.DefaultMessageBytes {
			size += len(",") + len(pushes[n])
			n++
		}
		frame := pushes[0]
		if n > 1 {
			frame = slices.Concat([]byte("["), bytes.Join(pushes[:n], []byte(",")), []byte("]"))
		}
		frames, pushes = append(frames, frame), pushes[n:]
	}
	return frames, nil
}

// Push encodes a message: schema/push.json.
func Push(m hub.Message) ([]byte, error) {
	push := struct {
		ProjectID  string          `json:"project_id"`
		Project    string          `json:"project"`
		CategoryID string          `json:"category_id"`
		Category   string          `json:"category"`
		EventID    string          `json:"event_id"`
		Channel    string          `json:"channel"`
		Data       json.RawMessage `json:"data,omitempty"`
		Event      hub.Event       `json:"event,omitempty"`
		Client     *Client         `json:"client,omitempty"`
		// Offsets begin with 1.
		Offset uint64            `json:"offset,omitempty"`
		Epoch  string            `json:"epoch,omitempty"`
		Tags   map[string]string `json:"tags,omitempty"`
	}{
		ProjectID: m.Channel.Project, Project: m.ProjectName, CategoryID: m.CategoryID, Category: m.Channel.Category,
		EventID: m.ID, Channel: m.Channel.Name, Data: m.Data, Event: m.Event,
		Offset: m.Position.Offset, Epoch: m.Position.Epoch, Tags: m.Tags,
	}
	if m.Event != "" {
		c := clientOf(m.Client)
		push.Client = &c
	}
	return encode(push), nil
}

// encode is json.Marshal without escaping <, > and &. Each escape would cost five more
// bytes on the wire, and no frame is inserted into a page unescaped.
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
