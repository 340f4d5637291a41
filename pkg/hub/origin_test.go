package hub

import "testing"

func TestAllowsOrigin(t *testing.T) {
	listed := ProjectOptions{Origins: []string{"https://example.com"}}
	for _, tt := range []struct {
		name    string
		options ProjectOptions
		origin  string
		want    bool
	}{
		{"any origin where none is listed", ProjectOptions{}, "https://anywhere.example", true},
		{"a listed origin", listed, "https://example.com", true},
		{"another origin", listed, "https://example.com.evil.example", false},
		{"another scheme", listed, "http://example.com", false},
		{"a client that is no browser", listed, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.options.AllowsOrigin(tt.origin); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
