package callback

import (
	"time"

	"centrifuge/pkg/hub"
)

const (
	defaultInterval = 100 * time.Millisecond
	defaultMaxWait  = 5 * time.Second
)

// backOff returns a random wait before an attempt for p, after so many that failed.
func (v *Validator) backOff(p *hub.Project, failed int) time.Duration {
	interval, longest := time.Duration(p.Options.BackOffInterval), time.Duration(p.Options.BackOffMaxTimeout)
	if interval == 0 {
		interval = defaultInterval
	}
	if longest == 0 {
		longest = defaultMaxWait
	}
	return min(time.Duration(v.options.Rand(1<<failed))*interval, longest)
}
