package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"centrifuge/localstack/stack"
	"centrifuge/localstack/stack/stacktest"
	"centrifuge/pkg/hub"
)

// without returns the variables of env other than those of names.
func without(env map[string]string, names ...string) map[string]string {
	rest := maps.Clone(env)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// with returns the variables of env with one replaced.
func with(env map[string]string, name, value string) map[string]string {
	changed := maps.Clone(env)
	changed[name] = value
	return changed
}

func TestDoctor(t *testing.T) {
	s := start(t)
	env := environment(s)
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".centrc"), []byte("api_key = demo-key\nproject_id = demo\ntimeout = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	late := func() time.Time { return time.Now().Add(-2 * time.Hour) }
	early := func() time.Time { return time.Now().Add(5 * time.Minute) }
	for _, tt := range []struct {
		name string
		env  map[string]string
		now  func() time.Time
		args []string
		code int
	}{
		{"ok", env, time.Now, nil, 0},
		{"delivery", env, time.Now, []string{"chat:doctor"}, 0},
		{"delivery-stream", env, time.Now, []string{"log:doctor"}, 0},
		{"delivery-unknown-category", env, time.Now, []string{"nowhere:x"}, 1},
		{"ok-json", env, time.Now, []string{"--json"}, 0},
		{"settings-file", with(without(env, "CENT_API_KEY", "CENT_PROJECT", "CENT_ADMIN_PASSWORD"), "HOME", home), time.Now, []string{"--secret=demo-secret"}, 0},
		{"no-settings", without(env, "CENT_API_KEY", "CENT_PROJECT", "CENT_SECRET", "CENT_ADMIN_PASSWORD"), time.Now, nil, 1},
		{"api-key-only", without(env, "CENT_PROJECT", "CENT_SECRET", "CENT_WEBSOCKET"), time.Now, nil, 0},
		{"secret-without-project", without(env, "CENT_PROJECT"), time.Now, nil, 1},
		{"no-websocket", without(env, "CENT_WEBSOCKET"), time.Now, nil, 1},
		{"wrong-api-key", with(env, "CENT_API_KEY", "hidden"), time.Now, nil, 1},
		{"wrong-project", with(env, "CENT_PROJECT", "other"), time.Now, nil, 1},
		{"wrong-secret", with(env, "CENT_SECRET", "hidden"), time.Now, nil, 1},
		{"wrong-secret-json", with(env, "CENT_SECRET", "hidden"), time.Now, []string{"--json"}, 1},
		{"wrong-websocket", with(env, "CENT_WEBSOCKET", strings.Replace(s.HTTPURL, "http", "ws", 1)+"/healthz"), time.Now, nil, 3},
		{"clock-ahead", env, early, nil, 1},
		{"clock-behind", env, late, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := invokeAt(t, tt.now, tt.env, "", append([]string{"doctor"}, tt.args...)...)
			if r.code != tt.code || r.stderr != "" {
				t.Errorf("exit code %d, expected %d; stderr %q", r.code, tt.code, r.stderr)
			}
			for _, secret := range []string{"hidden", s.AdminPassword} {
				if strings.Contains(r.stdout, secret) {
					t.Errorf("printed the secret %q", secret)
				}
			}
			text := strings.NewReplacer(strings.TrimPrefix(s.HTTPURL, "http://"), "HOST", home, "HOME", hub.Version, "0.1.0").Replace(r.stdout)
			golden(t, "doctor/"+tt.name+".txt", text)
		})
	}
	t.Run("subscriptions afterwards", func(t *testing.T) {
		if r := invoke(t, env, "", "channels"); r.stdout != "CHANNEL  CLIENTS\n" {
			t.Errorf("%+v", r)
		}
	})
}

// TestDoctorClaims examines a project that requires aud and iss.
func TestDoctorClaims(t *testing.T) {
	s := stacktest.Start(t, stack.Options{Seed: stacktest.Seed(t, `"allow_md5": true,`, `"token_audience": "shop", "token_issuer": "https://shop.example.com",`)})
	env := environment(s)
	const wrong = "set token_audience and token_issuer to the options of the project"
	for _, tt := range []struct {
		name             string
		audience, issuer string
		cure             string
	}{
		{"both", "shop", "https://shop.example.com", ""},
		{"neither", "", "", wrong},
		{"another audience", "other", "https://shop.example.com", wrong},
		{"no issuer", "shop", "", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := invokeAt(t, time.Now, with(with(env, "CENT_TOKEN_AUDIENCE", tt.audience), "CENT_TOKEN_ISSUER", tt.issuer), "", "doctor", "chat:doctor", "--json")
			failed := failures(t, r.stdout)
			if tt.cure == "" {
				if r.code != 0 || len(failed) > 0 {
					t.Errorf("%+v", r)
				}
				return
			}
			if r.code != 1 || len(failed) != 1 || failed[0].Name != "token" || failed[0].Cure != tt.cure {
				t.Errorf("exit code %d, failed: %+v", r.code, failed)
			}
		})
	}
}

// answers starts a server that answers each path of bodies with its body and a status,
// and other paths like the stack. It returns its address.
func answers(t *testing.T, s *stack.Stack, bodies map[string]string, status int) string {
	t.Helper()
	target, err := url.Parse(s.HTTPURL)
	if err != nil {
		t.Fatal(err)
	}
	rest := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			rest.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// startTLS starts a server with TLS whose certificate no machine trusts.
func startTLS(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs each failed handshake
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestDoctorFailures(t *testing.T) {
	s := start(t)
	secure := startTLS(t)
	redirecting := httptest.NewServer(http.RedirectHandler("https://host/healthz", http.StatusMovedPermanently))
	defer redirecting.Close()
	for _, tt := range []struct {
		name     string
		variable string
		value    string
		code     int
		check    string
		detail   string
		cure     string
	}{
		{"a port without a server", "CENT_ADDRESS", "http://127.0.0.1:1", 3, "address",
			"connection refused", "is make run running on this port?"},
		{"https for http", "CENT_ADDRESS", strings.Replace(s.HTTPURL, "http", "https", 1), 3, "address",
			"server gave HTTP response to HTTPS client", "the server does not speak TLS on this port: use http:// for --address, ws:// for --websocket"},
		{"http for https", "CENT_ADDRESS", strings.Replace(secure.URL, "https", "http", 1), 3, "address",
			"the server speaks TLS on this port", "set address to " + secure.URL},
		{"http that redirects to https", "CENT_ADDRESS", redirecting.URL, 3, "address",
			"the server redirects to https", "set address to " + strings.Replace(redirecting.URL, "http", "https", 1)},
		{"a certificate that is not trusted", "CENT_ADDRESS", secure.URL, 3, "address",
			"failed to verify certificate", "check that the host name is that of the certificate, and that this machine trusts its issuer"},
		{"not an HTTP address", "CENT_ADDRESS", s.WebSocketURL, 1, "settings",
			"the address is not an http or https address", "set address to the output HTTPURL of the deployment; wss://… is the websocket"},
		{"an address with a path", "CENT_ADDRESS", s.HTTPURL + "/api", 3, "server",
			"not the address of Centrifuge: /healthz is answered with status 404 Not Found", cureAddress},
		{"another server", "CENT_ADDRESS", answers(t, s, map[string]string{"/healthz": "<html>"}, 200), 3, "server",
			"not the address of Centrifuge: /healthz is answered with status 200 OK", cureAddress},
		{"another server with /healthz", "CENT_ADDRESS", answers(t, s, map[string]string{"/api/openapi.json": "{}"}, 200), 3, "server",
			"not the address of Centrifuge: /api/openapi.json does not describe it", cureAddress},
		{"a failing service", "CENT_ADDRESS", answers(t, s, map[string]string{"/healthz": `{"message":"Service Unavailable"}`}, 503), 3, "server",
			"/healthz is answered with status 503 Service Unavailable", cureFailure},
		{"ws for wss", "CENT_WEBSOCKET", strings.Replace(secure.URL, "https", "ws", 1), 3, "websocket",
			"got 400", "the server speaks TLS on this port: use " + strings.Replace(secure.URL, "https", "wss", 1)},
		{"wss for ws", "CENT_WEBSOCKET", strings.Replace(s.WebSocketURL, "ws", "wss", 1), 3, "websocket",
			"server gave HTTP response to HTTPS client", "the server does not speak TLS on this port: use http:// for --address, ws:// for --websocket"},
		{"a WebSocket port without a server", "CENT_WEBSOCKET", "ws://127.0.0.1:1/dev", 3, "websocket",
			"connection refused", "is make run running on this port?"},
		{"an invalid WebSocket address", "CENT_WEBSOCKET", s.HTTPURL, 1, "websocket",
			"the WebSocket is not a ws or wss address", "set the output WebSocketURL of the deployment"},
		{"a WebSocket address without a WebSocket", "CENT_WEBSOCKET", strings.Replace(redirecting.URL, "http", "ws", 1), 3, "websocket",
			"got 301", "set websocket to the output WebSocketURL of the deployment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := invokeAt(t, time.Now, with(environment(s), tt.variable, tt.value), "", "doctor", "--json")
			if r.code != tt.code || r.stderr != "" {
				t.Errorf("exit code %d, expected %d; stderr %q", r.code, tt.code, r.stderr)
			}
			failed := failures(t, r.stdout)
			if len(failed) != 1 || failed[0].Name != tt.check || !strings.Contains(failed[0].Detail, tt.detail) || failed[0].Cure != tt.cure {
				t.Errorf("failed: %+v", failed)
			}
		})
	}
}

// failures returns the failed checks of an output in JSON.
func failures(t *testing.T, output string) []check {
	t.Helper()
	var checks, failed []check
	if err := json.Unmarshal([]byte(output), &checks); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, c := range checks {
		if c.Status == statusFailed {
			failed = append(failed, c)
		}
	}
	return failed
}

func TestDoctorServiceErrors(t *testing.T) {
	s := start(t)
	const unavailable = `{"message":"Service Unavailable"}`
	for _, tt := range []struct {
		name   string
		path   string
		status int
		body   string
		code   int
		want   check
	}{
		{"an internal error of the API", "/api/presence_stats", 500, `{"error":{"code":100,"message":"internal server error"}}`, 1,
			check{Name: "api key", Detail: "internal server error (code 100)", Cure: cureFailure}},
		{"an API without a service", "/api/presence_stats", 503, unavailable, 3,
			check{Name: "api key", Detail: "presence_stats: status 503 Service Unavailable", Cure: cureFailure}},
		{"an /rpc without a service", "/rpc/demo", 503, unavailable, 1,
			check{Name: "secret", Detail: "/rpc is answered with status 503 Service Unavailable", Cure: cureFailure}},
		{"an address without /rpc", "/rpc/demo", 404, `{"message":"Not Found"}`, 3,
			check{Name: "secret", Detail: "not the address of Centrifuge: /rpc is answered with status 404 Not Found", Cure: cureAddress}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := answers(t, s, map[string]string{tt.path: tt.body}, tt.status)
			r := invokeAt(t, time.Now, with(environment(s), "CENT_ADDRESS", address), "", "doctor", "--json")
			tt.want.Status = statusFailed
			if diff := cmp.Diff([]check{tt.want}, failures(t, r.stdout)); diff != "" || r.code != tt.code || r.stderr != "" {
				t.Errorf("%s, exit code %d, stderr %q", diff, r.code, r.stderr)
			}
		})
	}
}

func TestDoctorOtherServer(t *testing.T) {
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method+" "+r.URL.Path)
		fmt.Fprint(w, `{"status":"ok"}`)
	}))
	defer server.Close()
	env := map[string]string{"CENT_ADDRESS": server.URL, "CENT_API_KEY": "k", "CENT_PROJECT": "p", "CENT_SECRET": "s", "CENT_WEBSOCKET": "ws://127.0.0.1:1"}
	if r := invokeAt(t, time.Now, env, "", "doctor"); r.code != exitUnreachable {
		t.Errorf("%+v", r)
	}
	// Neither the key nor a signature is sent to it.
	if diff := cmp.Diff([]string{"GET /healthz", "GET /api/openapi.json"}, requests); diff != "" {
		t.Error(diff)
	}
}

func TestDoctorInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	code := run(ctx, world{args: []string{"doctor"}, stdout: &out, stderr: &out, getenv: func(string) string { return "" }, now: time.Now})
	if code != exitUnreachable || !strings.Contains(out.String(), "cent: interrupted: context canceled") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

func TestTokenCure(t *testing.T) {
	for message, want := range map[string]string{
		"invalid token": cureSecret,
		"invalid token: the iat of the JWT is in the future": "set the clock of this machine, for example with timedatectl set-ntp true",
		"token expired":         "set the clock of this machine, for example with timedatectl set-ntp true",
		"project not found":     "set project_id to the id of a project of the installation that websocket belongs to",
		"internal server error": cureFailure,
	} {
		if got := tokenCure(message); got != want {
			t.Errorf("%s: %q, expected %q", message, got, want)
		}
	}
}

func TestCure(t *testing.T) {
	dial := func(ip string) error {
		return fmt.Errorf("call: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 80}, Err: errors.New("connection refused")})
	}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"an unknown host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere", IsNotFound: true}},
			"check the host name: the outputs HTTPURL and WebSocketURL of the deployment have it"},
		{"a local port, IPv4", dial("127.0.0.1"), "is make run running on this port?"},
		{"a local port, IPv6", dial("::1"), "is make run running on this port?"},
		{"a port of another machine", dial("192.0.2.1"), "check the host, the port and the network; AWS serves only https:// and wss://"},
		{"a server without TLS", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
			"the server does not speak TLS on this port: use http:// for --address, ws:// for --websocket"},
		{"no answer in time", fmt.Errorf("call: %w", context.DeadlineExceeded), "no answer in time: check the address and the network, or set a longer --timeout"},
		{"another error", errors.New("unexpected EOF"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := cure(t.Context(), tt.err); got != tt.want {
				t.Errorf("%q, expected %q", got, tt.want)
			}
		})
	}
}

func TestTLSMistakes(t *testing.T) {
	s := start(t)
	secure := startTLS(t)
	for _, tt := range []struct {
		name     string
		variable string
		value    string
		args     []string
		want     string
	}{
		{"http for https", "CENT_ADDRESS", strings.Replace(secure.URL, "https", "http", 1), []string{"info"},
			"cent: info: status 400 Bad Request: the server speaks TLS on this port: use " + secure.URL + "\n"},
		{"ws for wss", "CENT_WEBSOCKET", strings.Replace(secure.URL, "https", "ws", 1), []string{"sub", "chat:x"},
			": the server speaks TLS on this port: use " + strings.Replace(secure.URL, "https", "wss", 1) + "\n"},
		{"a certificate that is not trusted", "CENT_WEBSOCKET", strings.Replace(secure.URL, "https", "wss", 1), []string{"sub", "chat:x"},
			": check that the host name is that of the certificate, and that this machine trusts its issuer\n"},
		{"https for http", "CENT_ADDRESS", strings.Replace(s.HTTPURL, "http", "https", 1), []string{"info"},
			"server gave HTTP response to HTTPS client: the server does not speak TLS on this port: use http:// for --address, ws:// for --websocket\n"},
		{"wss for ws", "CENT_WEBSOCKET", strings.Replace(s.WebSocketURL, "ws", "wss", 1), []string{"sub", "chat:x"},
			"server gave HTTP response to HTTPS client: the server does not speak TLS on this port: use http:// for --address, ws:// for --websocket\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := invoke(t, with(environment(s), tt.variable, tt.value), "", tt.args...)
			if r.code != exitUnreachable || !strings.HasSuffix(r.stderr, tt.want) {
				t.Errorf("%+v, expected %q", r, tt.want)
			}
		})
	}
}
