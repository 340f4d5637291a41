package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEventsOfTests(t *testing.T) {
	for _, tt := range []struct {
		name, events string
		want         outcome
		err          string
	}{
		{name: "a test of each kind", events: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"fine\n"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"fail","Package":"p","Test":"TestA/sub"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
`, want: outcome{passed: []string{"TestB"}, failed: []string{"TestA"}, skipped: []string{"TestC"}, output: "wrong\n"}, err: "TestA failed:\nwrong\n"},
		{name: "a test that did not end", events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic\n"}
`, want: outcome{failed: []string{"TestA"}, output: "panic\n"}, err: "TestA failed:\npanic\n"},
		{name: "a pass alone", events: `{"Action":"run","Test":"TestA"}
{"Action":"pass","Test":"TestA"}
`, want: outcome{passed: []string{"TestA"}}},
		{name: "no tests", events: `{"Action":"skip","Package":"p"}` + "\n", err: "no test passed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read([]byte(tt.events))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			text := ""
			if err := got.check(); err != nil {
				text = err.Error()
			}
			if text != tt.err {
				t.Errorf("error %q, expected %q", text, tt.err)
			}
		})
	}
}
