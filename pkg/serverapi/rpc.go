package serverapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/classic"
)

// The errors of /rpc with status 400.
const (
	emptyRequest  = "empty request"
	malformedData = "malformed data"
)

// rpcReply is a reply of the API of 2013.
type rpcReply struct {
	ID     *string `json:"id"`
	Error  *string `json:"error"`
	Result any     `json:"result"`
}

func rpcFail(id *string, message string) rpcReply { return rpcReply{ID: id, Error: &message} }

// rpc answers POST /rpc/{project}. In this order: 413 body too large, 400 empty
// body, 404 unknown project, 401 header absent, malformed or wrong, 400 body not
// base64 of JSON, otherwise 200, also if the command fails. A caller without a
// well-formed header does not learn whether the project exists.
func (a *api) rpc(w http.ResponseWriter, r *http.Request) {
	signed, err := body(r)
	if err != nil {
		write(w, bodyStatus(err), rpcFail(nil, err.Error()))
		return
	}
	if len(signed) == 0 {
		write(w, http.StatusBadRequest, rpcFail(nil, emptyRequest))
		return
	}
	p, err := a.signer(r, signed)
	if err != nil {
		e := a.public(r.Context(), err)
		write(w, rpcStatus(e), rpcFail(nil, e.Error()))
		return
	}
	frame, err := base64.StdEncoding.DecodeString(string(signed))
	if err != nil || falsy(frame) {
		write(w, http.StatusBadRequest, rpcFail(nil, malformedData))
		return
	}
	var result classic.Result
	e, err := classic.Decode(frame)
	if err == nil {
		result, err = a.run(r.Context(), p, e)
	}
	if err != nil {
		write(w, http.StatusOK, rpcFail(e.ID, a.public(r.Context(), err).Error()))
		return
	}
	write(w, http.StatusOK, rpcReply{ID: e.ID, Result: result.Value()})
}

// signer returns the project that the path names. It fails unless the body was signed
// with the secret of the project.
func (a *api) signer(r *http.Request, signed []byte) (*hub.Project, error) {
	signature, err := auth.ParseSignature(r.Header.Get("X-Centrifuge-Auth"))
	if err != nil {
		return nil, err
	}
	p, err := a.Projects.Project(r.Context(), r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	return p, auth.VerifyRequest(p, signature, signed)
}

func (a *api) run(ctx context.Context, p *hub.Project, e classic.Envelope) (classic.Result, error) {
	switch e.Method {
	case classic.MethodBroadcast:
		b, err := e.Broadcast()
		if err != nil {
			return classic.Result{}, err
		}
		b.Channel.Project = p.ID
		_, err = a.Hub.Publish(ctx, p, b.Channel, b.Data, "")
		return classic.Result{}, err
	case classic.MethodUnsubscribe:
		u, err := e.UnsubscribeUser()
		if err != nil {
			return classic.Result{}, err
		}
		return classic.Result{}, a.Hub.UnsubscribeUser(ctx, p, u.User, u.From)
	case classic.MethodPresence:
		ch, err := e.Presence()
		if err != nil {
			return classic.Result{}, err
		}
		ch.Project = p.ID
		clients, err := a.Hub.Presence(ctx, p, ch)
		return classic.Result{Presence: classic.Presence(clients)}, err
	}
	return classic.Result{}, hub.ErrMethodNotFound
}

func rpcStatus(e *hub.Error) int {
	switch e.Code {
	case hub.ErrUnauthorized.Code:
		return http.StatusUnauthorized
	case hub.ErrProjectNotFound.Code:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// falsy reports whether a body is not JSON, or a JSON value that is false in Python,
// the language of the server of 2013.
func falsy(frame []byte) bool {
	if !json.Valid(frame) {
		return true
	}
	switch string(bytes.TrimSpace(frame)) {
	case "null", "false", "0", `""`, "{}", "[]":
		return true
	}
	return false
}
