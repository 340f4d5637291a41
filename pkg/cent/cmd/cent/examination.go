package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"centrifuge/pkg/auth"
	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// examination makes the checks. A check reads what earlier ones found.
type examination struct {
	*session
	checks []check
	code   int

	usable     bool // the address can be one
	centrifuge bool // Centrifuge answers at the address
	header     http.Header
	began      time.Time // of the request with the response header
	ended      time.Time
	refused    bool // the secret is wrong
	listener   *classic
	conn       *websocket.Conn // nil without a connection
	accepted   bool            // the token
	channel    string          // of the check delivery, "" for none
}

// The checks that need a setting that is missing.
const (
	noSecret     = "no secret"
	cureNoSecret = "set the project and its secret: --project and --secret, CENT_PROJECT and CENT_SECRET, or project_id and secret_key in the file"
)

// parts splits the text of an error, "what is wrong: what to do".
func parts(err error) (detail, cure string) {
	detail, cure, _ = strings.Cut(err.Error(), ": ")
	return detail, cure
}

// local returns text for the local stack, "" for another address.
func (e *examination) local(text string) string {
	if !isLocal(e.Address) {
		return ""
	}
	return text
}

// settings checks that there are settings to check, and an address that can be one.
func (e *examination) settings(context.Context) {
	c := check{Name: "settings", Status: statusOK, Detail: "no file ~/.centrc"}
	if e.File != "" {
		c.Detail = "the settings file is " + e.File
	}
	for _, s := range []setting{
		{Key: "address", Value: shownAddress(e.Address)}, {Key: "websocket", Value: shownAddress(e.WebSocket)},
		{Key: "api_key"}, {Key: "project_id", Value: e.Project}, {Key: "secret_key"},
		{Key: "token_audience", Value: e.TokenAudience}, {Key: "token_issuer", Value: e.TokenIssuer}, {Key: "admin_password"},
		{Key: "timeout", Value: e.Timeout.String()},
	} {
		s.Source = e.Source[s.Key]
		c.Settings = append(c.Settings, s)
	}
	u, err := url.Parse(e.Address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		c.Status = statusFailed
		c.Detail = "the address is not an http or https address"
		c.Cure = "set address to the output HTTPURL of the deployment; wss://… is the websocket"
	case e.APIKey == "" && e.Secret == "":
		e.usable = true
		c.Status = statusFailed
		c.Detail = "neither an API key nor a secret is set"
		c.Cure = "set api_key, project_id and secret_key in ~/.centrc, or CENT_API_KEY, CENT_PROJECT and CENT_SECRET" +
			e.local("; make run has CENT_API_KEY=demo-key CENT_PROJECT=demo CENT_SECRET=demo-secret")
	default:
		e.usable = true
	}
	if c.Status == statusFailed {
		e.code = exitRefused
	}
	e.add(c)
}

// shownAddress returns an address as it may be printed.
func shownAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "not a URL"
	}
	return shown(u)
}

// The cures for a server that is not Centrifuge, or fails.
const (
	cureAddress = "set address to the output HTTPURL of the deployment"
	cureFailure = "the service fails: try again, then read its logs"
)

// address checks that something answers at the address, and that it is Centrifuge.
func (e *examination) address(ctx context.Context) {
	if !e.usable {
		e.skip("address", "the settings are wrong", "")
		e.skip("server", "the settings are wrong", "")
		return
	}
	peer := e.Address
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		peer = e.Address + " answers from " + c.Conn.RemoteAddr().String()
	}})
	e.began = e.now()
	status, header, body, err := e.request(traced, http.MethodGet, "/healthz", nil, nil)
	e.ended, e.header = e.now(), header
	if err != nil {
		e.fail(exitUnreachable, "address", err.Error(), cmp.Or(cure(ctx, err, e.Address), cureAddress))
		e.skip("server", "the address cannot be reached", "")
		return
	}
	secure, found := httpsOf(e.Address, header.Get("Location"))
	detail := "the server redirects to https"
	if status == http.StatusBadRequest {
		secure, found = speaksTLS(ctx, e.Address)
		detail = "the server speaks TLS on this port"
	}
	if found {
		e.fail(exitUnreachable, "address", detail, "set address to "+secure)
		e.skip("server", "the address cannot be used", "")
		return
	}
	e.ok("address", peer)
	e.server(ctx, status, body)
}

// httpsOf returns the https form of an http address, if location, of a redirect, is https.
func httpsOf(address, location string) (secure string, found bool) {
	rest, plain := strings.CutPrefix(address, "http://")
	return "https://" + rest, plain && strings.HasPrefix(location, "https://")
}

// server checks that the response to /healthz is that of Centrifuge.
func (e *examination) server(ctx context.Context, status int, body []byte) {
	var health struct{ Status string }
	switch {
	case status >= http.StatusInternalServerError:
		e.fail(exitUnreachable, "server", "/healthz is answered with "+statusText(status), cureFailure)
		return
	case status != http.StatusOK || json.Unmarshal(body, &health) != nil || health.Status != "ok":
		e.fail(exitUnreachable, "server", "not the address of Centrifuge: /healthz is answered with "+statusText(status), cureAddress)
		return
	}
	var document struct {
		Info struct{ Title, Version string }
	}
	status, _, body, err := e.request(ctx, http.MethodGet, "/api/openapi.json", nil, nil)
	switch {
	case err != nil:
		e.fail(exitUnreachable, "server", err.Error(), cmp.Or(cure(ctx, err, e.Address), cureFailure))
	case status != http.StatusOK || json.Unmarshal(body, &document) != nil || !strings.HasPrefix(document.Info.Title, "Centrifuge "):
		e.fail(exitUnreachable, "server", "not the address of Centrifuge: /api/openapi.json does not describe it", cureAddress)
	default:
		e.centrifuge = true
		e.ok("server", "Centrifuge "+document.Info.Version)
	}
}

// clock checks the clock of this machine, which decides about the JWTs that it makes.
func (e *examination) clock(context.Context) {
	if !e.centrifuge {
		e.skip("clock", "Centrifuge does not answer", "")
		return
	}
	date, err := http.ParseTime(e.header.Get("Date"))
	if err != nil {
		e.skip("clock", "the response has no date", "")
		return
	}
	// The date has whole seconds. It was written while the request was made.
	middle := e.began.Add(e.ended.Sub(e.began) / 2)
	ahead := middle.Sub(date.Add(time.Second / 2)).Round(time.Second)
	detail := fmt.Sprintf("%v ahead of the server", ahead)
	if ahead < 0 {
		detail = fmt.Sprintf("%v behind the server", -ahead)
	}
	switch {
	case ahead.Abs() > auth.Leeway:
		e.fail(exitRefused, "clock", detail, "set the clock of this machine, for example with timedatectl set-ntp true: JWTs that it makes start or expire at the wrong time")
	case ahead.Abs() <= 2*time.Second:
		e.ok("clock", "the same as that of the server")
	default:
		e.ok("clock", detail)
	}
}

// apiKey checks that the server API accepts the key. The request names no channel:
// Centrifuge checks the key, refuses the request, and reads nothing else.
func (e *examination) apiKey(ctx context.Context) {
	client, err := e.client()
	switch {
	case e.APIKey == "":
		detail, cure := parts(errNoAPIKey)
		e.skip("api key", detail, cure)
		return
	case !e.centrifuge:
		e.skip("api key", "Centrifuge does not answer", "")
		return
	case err == nil:
		_, err = client.PresenceStats(ctx, "")
	}
	var refusal *cent.Error
	switch {
	case err == nil, errors.As(err, &refusal) && refusal.Code == cent.CodeBadRequest:
		e.ok("api key", "accepted")
	case errors.As(err, &refusal) && refusal.Code == cent.CodeUnauthorized:
		e.fail(exitRefused, "api key", "no project has this API key", "make a key on the page Keys of the admin pages and set api_key to it"+e.local("; the key of make run is demo-key"))
	case isRefusal(err):
		e.fail(exitRefused, "api key", refusal.Error(), cureFailure)
	default:
		e.fail(exitUnreachable, "api key", err.Error(), cmp.Or(cure(ctx, err, e.Address), cureFailure))
	}
}

// probeCommand is the command of a signed request: it asks for the members of a channel
// in a category that projects do not have. Encoded, it must not end like a project id,
// see auth.VerifyRequest; it ends with "=".
const probeCommand = `{"method":"presence","params":{"category":"cent doctor","channel":"x"}}`

// secret checks that the server API accepts a request signed with the secret.
func (e *examination) secret(ctx context.Context) {
	err := e.needSecret()
	switch {
	case e.Secret == "":
		e.skip("secret", noSecret, cureNoSecret)
		return
	case err != nil:
		detail, cure := parts(err)
		e.fail(exitRefused, "secret", detail, cure)
		return
	case !e.centrifuge:
		e.skip("secret", "Centrifuge does not answer", "")
		return
	}
	body := []byte(base64.StdEncoding.EncodeToString([]byte(probeCommand)))
	header := http.Header{"X-Centrifuge-Auth": {auth.SignRequest(e.Secret, e.Project, body)}}
	status, _, reply, err := e.request(ctx, http.MethodPost, "/rpc/"+url.PathEscape(e.Project), header, body)
	var refusal struct{ Error string }
	if err == nil && status != http.StatusOK && json.Unmarshal(reply, &refusal) != nil {
		refusal.Error = ""
	}
	switch {
	case err != nil:
		e.fail(exitUnreachable, "secret", err.Error(), cmp.Or(cure(ctx, err, e.Address), cureFailure))
	case status == http.StatusOK:
		e.ok("secret", "accepted for the project "+e.Project)
	case status == http.StatusNotFound && strings.HasPrefix(refusal.Error, hub.ErrProjectNotFound.Message):
		e.refused = true
		e.fail(exitRefused, "secret", "there is no project "+e.Project, "set project_id to the id of a project: cent projects list prints them"+e.local("; the project of make run is demo"))
	case status == http.StatusUnauthorized:
		e.refused = true
		e.fail(exitRefused, "secret", "not the secret of the project "+e.Project, cureSecret+e.local("; the secret of the project demo of make run is demo-secret"))
	case status >= http.StatusInternalServerError:
		e.fail(exitRefused, "secret", "/rpc is answered with "+statusText(status), cureFailure)
	default:
		e.fail(exitUnreachable, "secret", "not the address of Centrifuge: /rpc is answered with "+statusText(status), cureAddress)
	}
}

const cureSecret = "set secret_key to the secret on the page of the project in the admin pages" //nolint:gosec // not a secret

// request makes one request to the address and reads at most cent.MaxResponseBytes. It
// follows no redirect, which would send a signature to another server.
func (e *examination) request(ctx context.Context, method, path string, header http.Header, body []byte) (int, http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, e.Address+path, strings.NewReader(string(body)))
	if err != nil {
		return 0, nil, nil, err
	}
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, cent.MaxResponseBytes))
	return res.StatusCode, res.Header, b, err
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", status, http.StatusText(status)))
}
