package docs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"centrifuge/functions"
	"centrifuge/pkg/callback"
	"centrifuge/pkg/cent"
	"centrifuge/pkg/delivery"
	"centrifuge/pkg/eventbus"
	"centrifuge/pkg/gateway"
	"centrifuge/pkg/hub"
)

// sdkTimeout is how long the SDKs of Centrifugo wait for a reply, where an application sets nothing.
const sdkTimeout = 5 * time.Second

// TestTimeouts checks that who waits, waits longer than what it waits for, and the rows of
// pkg/README.md that TestConstantValues cannot check.
func TestTimeouts(t *testing.T) {
	type timeout struct {
		what string
		is   time.Duration
	}
	handler := timeout{"a handler", functions.Timeout - functions.Reserve}
	// Each chain goes from the outside to the inside.
	for _, chain := range [][]timeout{
		{{"cent.DefaultTimeout", cent.DefaultTimeout}, {"functions.Timeout", functions.Timeout}, handler},
		{handler, {"callback.Budget", callback.Budget}, {"callback.ValidateTimeout", callback.ValidateTimeout}},
		{{"an SDK of Centrifugo", sdkTimeout}, {"hub.ProxyBudget", hub.ProxyBudget}, {"callback.ProxyTimeout", callback.ProxyTimeout}},
		{handler, {"hub.ProxyBudget", hub.ProxyBudget}},
		{handler, {"callback.NotifyTimeout", callback.NotifyTimeout}},
		{handler, {"hub.AnnounceTimeout", hub.AnnounceTimeout}, {"delivery.DefaultTimeout", delivery.DefaultTimeout}},
		{handler, {"eventbus.Timeout", eventbus.Timeout}},
		{handler, {"the wait for a lease", hub.LeaseTime + hub.LeaseSlack}},
	} {
		for i, inner := range chain[1:] {
			if outer := chain[i]; outer.is <= inner.is {
				t.Errorf("%s, %v, is not longer than %s, %v", outer.what, outer.is, inner.what, inner.is)
			}
		}
	}
	if functions.Reserve != gateway.Reserve {
		t.Errorf("functions.Reserve is %v, gateway.Reserve %v", functions.Reserve, gateway.Reserve)
	}
	page := file(t, "pkg/README.md")
	for constant, is := range map[string]time.Duration{
		"`centrifuge.Config.ReadTimeout` of centrifuge-go": sdkTimeout,
		"`functions.Timeout` less `functions.Reserve`":     handler.is,
		"`hub.LeaseTime` and `hub.LeaseSlack`":             hub.LeaseTime + hub.LeaseSlack,
	} {
		if row := fmt.Sprintf("| %s | %s |", duration(is), constant); !strings.Contains(page, row) {
			t.Errorf("pkg/README.md does not say %q", row)
		}
	}
}
