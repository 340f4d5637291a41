package callback

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"centrifuge/pkg/hub"
)

// encodeQuestion is the body of the POST.
func encodeQuestion(user string, wish json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		User        string          `json:"user"`
		Permissions json.RawMessage `json:"permissions"`
	}{user, wish})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// answer reads the body of a 200: the wish or less, confirmed, and perhaps info of
// at most hub.MaxInfoBytes. Its errors hold nothing of it.
func (r reply) answer(wish hub.Permissions) (hub.Answer, error) {
	wish.Confirmed = true
	body := bytes.TrimLeft(bytes.TrimPrefix(r.body, []byte("\ufeff")), " \t\r\n")
	if len(body) == 0 || body[0] != '{' {
		return hub.Answer{Permissions: wish}, nil
	}
	// From here on something was meant by the body, and what cannot be understood
	// must not be taken for a plain yes. Names are compared without regard to case
	// for the same reason.
	var object struct {
		Permissions json.RawMessage
		Info        json.RawMessage
	}
	if !utf8.Valid(body) || json.Unmarshal(body, &object) != nil {
		return hub.Answer{}, errors.New("an object that is not valid JSON")
	}
	a := hub.Answer{Permissions: wish}
	if object.Permissions != nil {
		granted, err := hub.DecodePermissions(object.Permissions)
		if err != nil {
			return hub.Answer{}, fmt.Errorf("permissions in the answer: %w", err)
		}
		granted.Confirmed = true
		a.Permissions = wish.Narrow(granted)
	}
	if object.Info != nil && string(object.Info) != "null" {
		var b bytes.Buffer
		if err := json.Compact(&b, object.Info); err != nil {
			return hub.Answer{}, errors.New("info in the answer is not valid JSON")
		}
		if b.Len() > hub.MaxInfoBytes {
			return hub.Answer{}, fmt.Errorf("info in the answer is over %d bytes", hub.MaxInfoBytes)
		}
		a.Info = b.Bytes()
	}
	return a, nil
}
