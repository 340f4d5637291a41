package serverapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/protocol/classic"
)

// The errors of /rpc with status 400.
var (
	errEmptyRequest = &hub.Error{Code: hub.ErrBadRequest.Code, Message: "empty request", Help: "the body is a command in base64"}
	errNotBase64    = &hub.Error{Code: hub.ErrBadRequest.Code, Message: "malformed data", Help: "the body is not base64: it is a command in base64"}
	errNoCommand    = &hub.Error{Code: hub.ErrBadRequest.Code, Message: "malformed data", Help: "the command is empty"}
)

// errUnknownCommand: /rpc does not have the method.
var errUnknownCommand = hub.ErrMethodNotFound.WithHelp("the methods are broadcast, unsubscribe and presence")

// rpcReply is a reply of the API of 2013. Code and Detail are newer.
type rpcReply struct {
	ID     *string `json:"id"`
	Error  *string `json:"error"`
	Result any     `json:"result"`
	Code   int     `json:"code,omitempty"`
	Detail string  `json:"detail,omitempty"`
}

func rpcFail(id *string, e *hub.Error) rpcReply {
	text := e.Error()
	return rpcReply{ID: id, Error: &text, Code: e.Code, Detail: e.Explanation()}
}

// rpc answers POST /rpc/{project}. In this order: 413 body too large, 400 empty
// body, 404 unknown project, 401 header absent, malformed or wrong, 400 body not
// base64 of JSON, otherwise 200, also if the command fails. A caller without a
// well-formed header does not learn whether the project exists.
func (a *api) rpc(w http.ResponseWriter, r *http.Request) {
	signed, err := body(r)
	if err != nil {
		write(w, bodyStatus(err), rpcFail(nil, hub.Public(err)))
		return
	}
	if len(signed) == 0 {
		write(w, http.StatusBadRequest, rpcFail(nil, errEmptyRequest))
		return
	}
	p, err := a.signer(r, signed)
	if err != nil {
		e := a.public(r.Context(), err)
		write(w, rpcStatus(e), rpcFail(nil, e))
		return
	}
	frame, err := base64.StdEncoding.DecodeString(string(signed))
	if err != nil {
		write(w, http.StatusBadRequest, rpcFail(nil, errNotBase64))
		return
	}
	if wrong := hub.SyntaxError(frame, "params", "data"); wrong != "" {
		write(w, http.StatusBadRequest, rpcFail(nil, errNoCommand.WithHelp("the command is not JSON: "+wrong)))
		return
	}
	if falsy(frame) {
		write(w, http.StatusBadRequest, rpcFail(nil, errNoCommand))
		return
	}
	var result classic.Result
	e, err := classic.Decode(frame)
	if err == nil {
		result, err = a.run(r.Context(), p, e)
	}
	if err != nil {
		write(w, http.StatusOK, rpcFail(e.ID, a.public(r.Context(), err)))
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
		_, err = a.Hub.Publish(ctx, p, b.Channel, b.Data, hub.PublishOptions{})
		return classic.Result{}, err
	case classic.MethodUnsubscribe:
		u, err := e.UnsubscribeUser()
		if err != nil {
			return classic.Result{}, err
		}
		return classic.Result{}, a.Hub.UnsubscribeUser(ctx, p, u.User, hub.UnsubscribeRequest{From: u.From})
	case classic.MethodPresence:
		ch, err := e.Presence()
		if err != nil {
			return classic.Result{}, err
		}
		ch.Project = p.ID
		clients, err := a.Hub.Presence(ctx, p, ch)
		return classic.Result{Presence: classic.Presence(clients)}, err
	}
	return classic.Result{}, errUnknownCommand
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

// falsy reports whether a command is a JSON value that is false in Python, the language of
// the server of 2013.
func falsy(frame []byte) bool {
	switch string(bytes.TrimSpace(frame)) {
	case "null", "false", "0", `""`, "{}", "[]":
		return true
	}
	return false
}
