package callback

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"centrifuge/pkg/hub"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		address string
		public  bool
	}{
		{"1.1.1.1", true},
		{"8.8.8.8", true},
		{"52.95.110.1", true},
		{"100.63.255.255", true},
		{"100.128.0.1", true},
		{"172.15.255.255", true},
		{"172.32.0.1", true},
		{"223.255.255.255", true},
		{"2606:4700:4700::1111", true},
		{"2a05:d018::1", true},
		{"::ffff:8.8.8.8", true},

		{"0.0.0.0", false},
		{"0.1.2.3", false},
		{"10.0.0.1", false},
		{"100.64.0.1", false},
		{"100.127.255.255", false},
		{"127.0.0.1", false},
		{"127.255.255.254", false},
		{"169.254.169.254", false},
		{"169.254.170.2", false},
		{"172.16.0.1", false},
		{"172.31.255.255", false},
		{"192.0.0.1", false},
		{"192.0.2.1", false},
		{"192.88.99.1", false},
		{"192.168.1.1", false},
		{"198.18.0.1", false},
		{"198.51.100.1", false},
		{"203.0.113.1", false},
		{"224.0.0.1", false},
		{"239.255.255.255", false},
		{"240.0.0.1", false},
		{"255.255.255.255", false},
		{"::", false},
		{"::1", false},
		{"::127.0.0.1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:10.0.0.1", false},
		{"::ffff:169.254.169.254", false},
		{"::ffff:0:10.0.0.1", false},
		{"64:ff9b::a00:1", false},
		{"64:ff9b::8.8.8.8", false},
		{"64:ff9b:1::1", false},
		{"100::1", false},
		{"2001::1", false},
		{"2001:db8::1", false},
		{"2002:a00:1::", false},
		{"3fff::1", false},
		{"4000::1", false},
		{"fc00::1", false},
		{"fd00:ec2::254", false},
		{"fe80::1", false},
		{"fe80::1%eth0", false},
		{"fec0::1", false},
		{"ff02::1", false},
	} {
		if err := guard("tcp", net.JoinHostPort(c.address, "443"), nil); (err == nil) != c.public {
			t.Errorf("%s: error %v, expected public %v", c.address, err, c.public)
		}
	}
	for _, address := range []string{"", "example.com:443", "1.1.1.1", ":443", "/run/socket"} {
		if guard("tcp", address, nil) == nil {
			t.Errorf("%q: no error", address)
		}
	}
}

// newTLSApplication starts a TLS server that counts connections and requests.
func newTLSApplication(t *testing.T) (s *httptest.Server, connections, requests *atomic.Int64) {
	t.Helper()
	connections, requests = new(atomic.Int64), new(atomic.Int64)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, connections, requests
}

func TestGuardBlocksLoopback(t *testing.T) {
	s, connections, _ := newTLSApplication(t)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"} {
		t.Run(host, func(t *testing.T) {
			var log bytes.Buffer
			o := new(clock).options()
			o.Insecure = false
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: "https://" + net.JoinHostPort(strings.Trim(host, "[]"), port), AuthAttempts: 2}}
			expectFailure(t, New(o), p)
			if n := strings.Count(log.String(), errNotPublic.Error()); n != 2 {
				t.Errorf("the log has the error %d times, expected 2: %s", n, &log)
			}
		})
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections, expected 0", n)
	}
}

// TestClientUsesNoProxy looks at a field, because net/http reads the proxy variables once
// and ignores them for loopback addresses. With a proxy, the guard would check the
// address of the proxy.
func TestClientUsesNoProxy(t *testing.T) {
	if New(Options{}).client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the client uses a proxy")
	}
}

func TestInvalidValidateURL(t *testing.T) {
	for name, address := range map[string]string{
		"plain http": "http://example.com/validate",
		"file":       "file:///etc/passwd",
		"no scheme":  "example.com/validate",
		"no host":    "https:///validate",
		"empty":      "",
		"malformed":  "https://%zz",
	} {
		t.Run(name, func(t *testing.T) {
			c := new(clock)
			o := c.options()
			o.Insecure = false
			p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: address}}
			expectFailure(t, New(o), p)
			if len(c.waits) != 0 {
				t.Errorf("%d attempts, expected 0", len(c.waits))
			}
		})
	}
}

func TestTLSCertificate(t *testing.T) {
	s, _, requests := newTLSApplication(t)
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL, AuthAttempts: 2}}

	t.Run("untrusted", func(t *testing.T) {
		expectFailure(t, New(new(clock).options()), p)
		if n := requests.Load(); n != 0 {
			t.Errorf("%d requests, expected 0", n)
		}
	})
	t.Run("trusted", func(t *testing.T) {
		v := New(new(clock).options())
		v.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{
			RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
		}
		if _, err := v.Validate(t.Context(), p, "2694", requested); err != nil {
			t.Error(err)
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%d requests, expected 1", n)
		}
	})
}
