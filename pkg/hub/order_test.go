package hub

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestOrder(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	x, y := Channel{Category: "chat", Name: "x"}, Channel{Category: "chat", Name: "y"}
	o := Order{}.with([]Channel{x}, now, now)
	for _, tt := range []struct {
		name    string
		order   Order
		channel Channel
		at      time.Time
		want    bool
	}{
		{"no command before", Order{}, x, now, false},
		{"a later command", o, x, now.Add(time.Millisecond), false},
		{"the same millisecond", o, x, now, false},
		{"an earlier command", o, x, now.Add(-time.Millisecond), true},
		{"an earlier command on another channel", o, y, now.Add(-time.Hour), false},
		{"another incarnation of the channel", o, Channel{Category: "chat", Incarnation: "1", Name: "x"}, now.Add(-time.Millisecond), true},
		{"unsubscribed of the category later", Order{}.with(Selection{"chat": nil}.wide(), now, now), x, now.Add(-time.Millisecond), true},
		{"unsubscribed of the category before", Order{}.with(Selection{"chat": nil}.wide(), now, now), x, now, false},
		{"unsubscribed of another category later", Order{}.with(Selection{"news": nil}.wide(), now, now), x, now.Add(-time.Millisecond), false},
		{"an auth, before a later unsubscribe of the category without a name", Order{}.with(Selection{"": nil}.wide(), now, now), auths, now.Add(-time.Millisecond), false},
		{"unsubscribed of the category without a name later", Order{}.with(Selection{"": nil}.wide(), now, now), Channel{Name: "x"}, now.Add(-time.Millisecond), true},
		{"a channel with the name of a star, before a later command on another", Order{}.with([]Channel{{Name: "*"}}, now, now), x, now.Add(-time.Millisecond), false},
		{"unsubscribed of everything later", Order{}.with(Selection{}.wide(), now, now), x, now.Add(-time.Millisecond), true},
		{"an auth, before a later unsubscribe of everything", Order{}.with(Selection{}.wide(), now, now), auths, now.Add(-time.Millisecond), false},
		{"an auth, before a later auth", Order{}.with([]Channel{auths}, now, now), auths, now.Add(-time.Millisecond), true},
		{"a channel, before a later auth", Order{}.with([]Channel{auths}, now, now), x, now.Add(-time.Millisecond), false},
		{"after the window", o.with([]Channel{y}, now.Add(orderWindow+1e6), now.Add(orderWindow+1e6)), x, now.Add(-time.Millisecond), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tt.order.overtaken(tt.channel, tt.at); err != nil || got != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if len(Order{}.Latest) != 0 || len(o.Latest) != 1 {
		t.Errorf("with changed its receiver: %v", o)
	}
}

func TestOrderOfNumberedCommands(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	x, y := Channel{Category: "chat", Name: "x"}, Channel{Category: "chat", Name: "y"}
	o := Order{}.withNumber([]Channel{x}, 7, now, now)
	application := o.with([]Channel{x}, now, now)
	for _, tt := range []struct {
		name    string
		order   Order
		channel Channel
		number  uint32
		at      time.Time
		want    bool
	}{
		{"no command before", Order{}, x, 1, now, false},
		{"a greater number", o, x, 8, now, false},
		{"a greater number that was received earlier", o, x, 8, now.Add(-time.Second), false},
		{"the same number", o, x, 7, now, false},
		{"a smaller number", o, x, 6, now, true},
		{"a smaller number that was received later", o, x, 6, now.Add(time.Second), true},
		{"a smaller number on another channel", o, y, 6, now, false},
		{"after the application's unsubscribe", application, x, 8, now, false},
		{"before the application's unsubscribe", application, x, 8, now.Add(-time.Millisecond), true},
		{"an application's request after it", o, x, 0, now, false},
		{"an application's request before it", o, x, 0, now.Add(-time.Millisecond), true},
		{"after the window", o.with([]Channel{y}, now.Add(orderWindow+1e6), now.Add(orderWindow+1e6)), x, 6, now, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tt.order.overtakenBy(tt.channel, tt.number, tt.at); err != nil || got != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestOrderForgets(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	var o Order
	name := func(n int) Channel { return Channel{Category: "chat", Name: fmt.Sprint(n)} }
	for n := range maxOrdered + 10 {
		o = o.with([]Channel{name(n)}, now.Add(time.Duration(n)*time.Millisecond), now)
	}
	if len(o.Latest) != maxOrdered || o.Floor != now.UnixMilli()+9 {
		t.Fatalf("%d commands, floor %d", len(o.Latest), o.Floor-now.UnixMilli())
	}
	if _, err := o.overtaken(name(0), now); !errors.Is(err, ErrConflict) {
		t.Errorf("a forgotten channel: error %v", err)
	}
	if overtaken, err := o.overtaken(name(0), now.Add(time.Second)); overtaken || err != nil {
		t.Errorf("a command after the floor: %v, %v", overtaken, err)
	}
	if overtaken, err := o.overtaken(name(20), now); !overtaken || err != nil {
		t.Errorf("a remembered channel: %v, %v", overtaken, err)
	}
}
