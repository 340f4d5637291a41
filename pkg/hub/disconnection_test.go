package hub_test

import (
	"testing"

	"centrifuge/pkg/hub"
)

func TestReconnects(t *testing.T) {
	for code, want := range map[int]bool{3000: true, 3499: true, 3500: false, 3999: false, 4000: true, 4499: true, 4500: false, 4999: false} {
		if got := (&hub.Disconnection{Code: code}).Reconnects(); got != want {
			t.Errorf("a client reconnects after %d: %v", code, got)
		}
	}
}
