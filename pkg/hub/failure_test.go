package hub

import (
	"errors"
	"testing"
)

func TestFailures(t *testing.T) {
	first, second := errors.New("no power"), errors.New("no water")
	both := &failures{first, 2}
	for _, tt := range []struct {
		name  string
		added []error
		text  string
	}{
		{"none", nil, ""},
		{"steps that did not fail", []error{nil, nil}, ""},
		{"one", []error{nil, first, nil}, "no power"},
		{"two", []error{first, nil, second}, "2 failures, such as: no power"},
		{"those of others", []error{second, both, both}, "5 failures, such as: no water"},
		{"those of others first", []error{both, second}, "3 failures, such as: no power"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f failures
			for _, err := range tt.added {
				f.add(err)
			}
			text := ""
			if err := f.err(); err != nil {
				text = err.Error()
			}
			if text != tt.text {
				t.Errorf("error %q, expected %q", text, tt.text)
			}
		})
	}
	if err := both.err(); !errors.Is(err, first) || errors.Is(err, second) {
		t.Errorf("error %v is not the first", err)
	}
}
