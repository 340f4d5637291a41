package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	barWidth = 30
	// barInterval is the interval of the bar on a terminal, lineInterval the interval of
	// lines otherwise.
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
)

// counts is the progress of a measurement.
type counts struct {
	connected, clients  int
	published, messages int
	received, expected  int
}

// line formats the counts as text.
func (c counts) line() string {
	if c.connected < c.clients && c.published == 0 {
		return fmt.Sprintf("%d/%d clients", c.connected, c.clients)
	}
	return fmt.Sprintf("%d/%d messages, %d/%d deliveries", c.published, c.messages, c.received, c.expected)
}

// bar formats the counts as a bar with text.
func (c counts) bar() string {
	done, all := c.received, c.expected
	if c.connected < c.clients && c.published == 0 {
		done, all = c.connected, c.clients
	}
	full := min(done*barWidth/max(all, 1), barWidth)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] " + c.line()
}

// progress prints counts until stop is called: a bar on a terminal, lines otherwise.
func progress(out io.Writer, terminal bool, count func() counts) (stop func()) {
	interval, show := lineInterval, func() { fmt.Fprintln(out, "cent: "+count().line()) }
	if terminal {
		interval, show = barInterval, func() { fmt.Fprint(out, "\r"+count().bar()+"\x1b[K") }
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		show() // the final state
		if terminal {
			fmt.Fprintln(out)
		}
	}
}
