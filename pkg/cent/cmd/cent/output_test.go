package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestHostileOutput prints texts that others choose, as JSON and in a table.
func TestHostileOutput(t *testing.T) {
	for _, tt := range []struct{ name, text, json, cell string }{
		{"letters of any script", "aé字 　😀", `"aé字 　😀"`, "\"aé字 \\u3000😀\""},
		{"control characters", "a\x1b[2J\r\n\x00\x7f", `"a\u001b[2J\r\n\u0000\u007f"`, `"a\x1b[2J\r\n\x00\x7f"`},
		{"C1 control characters", "\u0085\u009b2J", `"\u0085\u009b2J"`, `"\u0085\u009b2J"`},
		{"characters that change the direction", "\u202ea\u2066b\u200f\u061c", `"\u202ea\u2066b\u200f\u061c"`, `"\u202ea\u2066b\u200f\u061c"`},
		{"line separators", "\u2028\u2029", `"\u2028\u2029"`, `"\u2028\u2029"`},
		{"a byte order mark and a tag", "\ufeff\U000e0041", `"\ufeff\udb40\udc41"`, `"\ufeff\U000e0041"`},
		{"bytes that are not UTF-8", "a\xff", `"a\ufffd"`, `"a\xff"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			s := session{world: world{stdout: &b}}
			if err := s.printJSON(tt.text); err != nil || b.String() != tt.json+"\n" {
				t.Errorf("printed %q, expected %q, error %v", b.String(), tt.json, err)
			}
			b.Reset()
			if err := s.table([][]string{{tt.text}}); err != nil || b.String() != tt.cell+"\n" {
				t.Errorf("printed %q, expected %q, error %v", b.String(), tt.cell, err)
			}
		})
	}
}

// TestRawOutput prints the data of a message: its digits, its order and its duplicate keys
// are those that were sent.
func TestRawOutput(t *testing.T) {
	var b bytes.Buffer
	s := session{world: world{stdout: &b}}
	data := json.RawMessage("{\"b\":12345678901234567890.10,\"a\":\"\u009b\",\"a\":\"<\\u0000\"}")
	if _, err := (&printer{s: &s, endless: true}).message(delivery{Channel: "c:\u202ex", EventID: "1", Data: data}); err != nil {
		t.Fatal(err)
	}
	want := `{"channel":"c:\u202ex","event_id":"1","data":{"b":12345678901234567890.10,"a":"\u009b","a":"<\u0000"}}` + "\n"
	if b.String() != want {
		t.Errorf("printed %s, expected %s", b.String(), want)
	}
}
