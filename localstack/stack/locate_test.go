package stack

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		name, listening, public   string
		http, management, started string
		key                       bool
	}{
		{"this machine", "127.0.0.1:8080", "", "http://127.0.0.1:8080", "http://127.0.0.1:8080/dev", "http://127.0.0.1:8080/?key=", true},
		{"IPv6", "[::1]:8080", "", "http://[::1]:8080", "http://[::1]:8080/dev", "http://[::1]:8080/?key=", true},
		{"the local network", "0.0.0.0:8080", "192.0.2.7", "http://192.0.2.7:8080", "http://127.0.0.1:8080/dev", "http://192.0.2.7:8080/", false},
		{"one address of the network", "192.0.2.7:8080", "", "http://192.0.2.7:8080", "http://192.0.2.7:8080/dev", "http://192.0.2.7:8080/", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listening, err := net.ResolveTCPAddr("tcp", tt.listening)
			if err != nil {
				t.Fatal(err)
			}
			s := new(Stack)
			s.locate(listening, tt.public)
			if s.HTTPURL != tt.http || s.ManagementURL != tt.management {
				t.Errorf("HTTP %s, management %s", s.HTTPURL, s.ManagementURL)
			}
			if key, ok := strings.CutPrefix(s.StartURL, tt.started); !ok || (len(key) >= 26) != tt.key || key != s.startKey {
				t.Errorf("the first page is %s, its key %q", s.StartURL, s.startKey)
			}
		})
	}
}

func TestThisMachine(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for from, want := range map[string]int{
		"127.0.0.1:5000": 204, "[::1]:5000": 204, "[::ffff:127.0.0.1]:5000": 204, "192.0.2.7:5000": 403, "[2001:db8::1]:5000": 403, "": 403,
	} {
		t.Run(from, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/dev/@connections/a", nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			thisMachine(next).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("status %d, want %d", w.Code, want)
			}
		})
	}
}
