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
			t.Errorf("%s: %v", c.address, err)
		}
	}
	for _, address := range []string{"", "example.com:443", "1.1.1.1", ":443", "/run/socket"} {
		if guard("tcp", address, nil) == nil {
			t.Errorf("%q is let through", address)
		}
	}
}

// newTLSApplication counts what reaches it: connections and questions.
func newTLSApplication(t *testing.T) (s *httptest.Server, connections, asked *atomic.Int64) {
	t.Helper()
	connections, asked = new(atomic.Int64), new(atomic.Int64)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, connections, asked
}

func TestSecureModeNeverConnectsToThisMachine(t *testing.T) {
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
			got, err := New(o).Validate(t.Context(), p, "2694", wish)
			expectNoAnswer(t, got, err)
			if n := strings.Count(log.String(), errNotPublic.Error()); n != 2 {
				t.Errorf("the log does not name the cause twice: %s", &log)
			}
		})
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// A proxy would be dialled in place of the address, and so get around the guard.
// (net/http reads the environment once and never for this machine, so that a
// test from outside could not fail.)
func TestNoProxyIsUsed(t *testing.T) {
	if New(Options{}).client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the client would use a proxy")
	}
}

func TestAddressesThatAreNotEvenTried(t *testing.T) {
	for name, address := range map[string]string{
		"plain http":     "http://example.com/validate",
		"another scheme": "file:///etc/passwd",
		"no scheme":      "example.com/validate",
		"no host":        "https:///validate",
		"nothing":        "",
		"no address":     "https://%zz",
	} {
		t.Run(name, func(t *testing.T) {
			c := new(clock)
			o := c.options()
			o.Insecure = false
			p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: address}}
			got, err := New(o).Validate(t.Context(), p, "2694", wish)
			expectNoAnswer(t, got, err)
			if len(c.waits) != 0 {
				t.Errorf("tried %d times", len(c.waits))
			}
		})
	}
}

func TestTLS(t *testing.T) {
	s, _, asked := newTLSApplication(t)
	p := &hub.Project{ID: "p", Options: hub.ProjectOptions{ValidateURL: s.URL, AuthAttempts: 2}}

	t.Run("a certificate that nobody vouches for is refused", func(t *testing.T) {
		got, err := New(new(clock).options()).Validate(t.Context(), p, "2694", wish)
		expectNoAnswer(t, got, err)
		if n := asked.Load(); n != 0 {
			t.Errorf("asked %d times", n)
		}
	})
	t.Run("one that is trusted is accepted", func(t *testing.T) {
		v := New(new(clock).options())
		v.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{
			RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
		}
		if _, err := v.Validate(t.Context(), p, "2694", wish); err != nil {
			t.Error(err)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}
