package docs_test

import (
	"fmt"
	"strings"
	"testing"
)

// The prices of API Gateway for a million messages and for a million minutes of
// connection, in dollars, as infra/COST.md lists them.
const (
	messagePrice = 1.00
	minutePrice  = 0.25
)

// TestConnectionCost computes what 1,000 idle connections cost in a month, with the
// interval of pings of the client in the document of the classic protocol, and compares with every document that
// states it.
func TestConnectionCost(t *testing.T) {
	const (
		minutes      = 30 * 24 * 60
		pingInterval = 8
	)
	if page := file(t, "pkg/protocol/classic/README.md"); !strings.Contains(page, fmt.Sprintf(`{"method":"ping"}'), %d * 60_000)`, pingInterval)) {
		t.Errorf("the client in the document does not ping every %d minutes", pingInterval)
	}
	connections := fmt.Sprintf("$%.2f", 1000*minutes*minutePrice/1e6)
	pings := fmt.Sprintf("$%.2f", 1000*minutes/pingInterval*messagePrice/1e6)
	for path, statements := range map[string][]string{
		readme: {"| 1,000 connections for a month | " + connections + ", and up to " + pings + " more for the pings of idle clients |"},
		"infra/COST.md": {
			fmt.Sprintf("| messages in or out, each up to 32 KB | $%.2f |", messagePrice),
			fmt.Sprintf("| minutes of connection | $%.2f |", minutePrice),
			"connected for a month cost " + connections + " in minutes",
			"another " + pings + " a month for 1,000 clients",
			"Pings: " + pings + " a month for 1,000 idle connections",
			"| 1,000 connections for a month | " + connections + ", and up to " + pings + " for pings of idle clients |",
		},
	} {
		text := strings.Join(strings.Fields(file(t, path)), " ")
		for _, statement := range statements {
			if !strings.Contains(text, statement) {
				t.Errorf("%s does not say %q", path, statement)
			}
		}
	}
}
