package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSettingsPrecedence(t *testing.T) {
	const file = "address = http://file:1/\napi_key: file-key\nproject_id = file-project\nsecret_key = file=secret\nadmin_password = file password\nwebsocket = ws://file\ntimeout = 2\n"
	all := settings{Address: "http://file:1", APIKey: "file-key", Project: "file-project", Secret: "file=secret", AdminPassword: "file password", WebSocket: "ws://file", Timeout: 2 * time.Second}
	for _, tt := range []struct {
		name, file string
		env        map[string]string
		flags      []string
		want       settings
	}{
		{"defaults", "", nil, nil,
			settings{Address: localAddress, WebSocket: localWebSocket, Timeout: 30 * time.Second}},
		{"the file", file, nil, nil, all},
		{"the section cent of the file", "[other]\napi_key = x\n[cent]\n" + file, nil, nil, all},
		{"the environment overrides the file", file,
			map[string]string{"CENT_ADDRESS": "http://env", "CENT_API_KEY": "env-key", "CENT_PROJECT": "env-project", "CENT_SECRET": "env-secret", "CENT_ADMIN_PASSWORD": "env-password", "CENT_WEBSOCKET": "ws://env", "CENT_TIMEOUT": "3s"}, nil,
			settings{Address: "http://env", APIKey: "env-key", Project: "env-project", Secret: "env-secret", AdminPassword: "env-password", WebSocket: "ws://env", Timeout: 3 * time.Second}},
		{"flags override both", file,
			map[string]string{"CENT_ADDRESS": "http://env", "CENT_API_KEY": "env-key", "CENT_PROJECT": "env-project", "CENT_SECRET": "env-secret", "CENT_ADMIN_PASSWORD": "env-password", "CENT_WEBSOCKET": "ws://env", "CENT_TIMEOUT": "3s"},
			[]string{"--address=http://flag", "--api-key=flag-key", "--project=flag-project", "--secret=flag-secret", "--admin-password=flag-password", "--websocket=ws://flag", "--timeout=4s", "--json"},
			settings{Address: "http://flag", APIKey: "flag-key", Project: "flag-project", Secret: "flag-secret", AdminPassword: "flag-password", WebSocket: "ws://flag", Timeout: 4 * time.Second, JSON: true}},
		{"each setting on its own", "api_key = file-key\nproject_id = file-project", map[string]string{"CENT_PROJECT": "env-project"}, []string{"--secret=flag-secret"},
			settings{Address: localAddress, APIKey: "file-key", Project: "env-project", Secret: "flag-secret", WebSocket: localWebSocket, Timeout: 30 * time.Second}},
		{"an empty variable is ignored", "api_key = file-key", map[string]string{"CENT_API_KEY": ""}, nil,
			settings{Address: localAddress, APIKey: "file-key", WebSocket: localWebSocket, Timeout: 30 * time.Second}},
		{"no default WebSocket for another address", "", map[string]string{"CENT_ADDRESS": "https://host"}, nil,
			settings{Address: "https://host", Timeout: 30 * time.Second}},
		{"an address of 2013", "[cent]\naddress = http://localhost:8000/rpc\ntimeout = 2", nil, nil,
			settings{Address: "http://localhost:8000", Timeout: 2 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			if err := os.WriteFile(filepath.Join(home, ".centrc"), []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var line commandLine
			parser, err := kong.New(&line)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(append([]string{"info"}, tt.flags...)); err != nil {
				t.Fatal(err)
			}
			var stderr strings.Builder
			got, err := line.Flags.resolve(world{home: home, stderr: &stderr, getenv: func(name string) string { return tt.env[name] }})
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(settings{}, "File", "Source")); diff != "" || err != nil || stderr.String() != "" {
				t.Error(diff, err, stderr.String())
			}
		})
	}
}

func TestSettingsFileFlag(t *testing.T) {
	home := t.TempDir()
	for name, content := range map[string]string{".centrc": "api_key = home", "named": "project_id = named"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := settings{Config: filepath.Join(home, "named")}.resolve(world{home: home, stderr: io.Discard, getenv: func(string) string { return "" }})
	if err != nil || s.Project != "named" || s.APIKey != "" {
		t.Errorf("%+v, error %v", s, err)
	}
}

func TestSettingsSources(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, ".centrc")
	if err := os.WriteFile(path, []byte("api_key = a\nproject_id = b\nwebsocket = ws://c\ntimeout = 2"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"CENT_PROJECT": "d", "CENT_SECRET": "e", "CENT_WEBSOCKET": "ws://f"}
	s, err := settings{WebSocket: "ws://g"}.resolve(world{home: home, stderr: io.Discard, getenv: func(name string) string { return env[name] }})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"address": "default", "api_key": path, "project_id": "CENT_PROJECT", "secret_key": "CENT_SECRET", "websocket": "--websocket", "timeout": path,
	}
	if diff := cmp.Diff(want, s.Source); diff != "" || s.File != path {
		t.Error(diff, s.File)
	}
}

func TestSettingsFileModeWarning(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		warned        bool
	}{
		{"a secret, readable by all", "secret_key = hidden", 0o644, true},
		{"a key, readable by the group", "api_key = hidden", 0o640, true},
		{"the admin password", "admin_password = hidden", 0o644, true},
		{"a secret, readable by the owner", "secret_key = hidden", 0o600, false},
		{"no secret", "project_id = demo", 0o644, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			path := filepath.Join(home, ".centrc")
			if err := os.WriteFile(path, []byte(tt.content), tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			r := invoke(t, map[string]string{"HOME": home, "CENT_PROJECT": "demo", "CENT_SECRET": "s"}, "", "token", "u")
			if r.code != 0 || strings.Contains(r.stderr, "warning: ") != tt.warned || strings.Contains(r.stderr, "hidden") {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestDecodeINI(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       map[string]string
		fails      string
	}{
		{"an empty file", "", map[string]string{}, ""},
		{"both separators, comments, spaces", "# a\n; b\r\n\n Address = http://h:1 \r\nAPI_KEY:k=#;\n", map[string]string{"address": "http://h:1", "api_key": "k=#;"}, ""},
		{"sections", "project_id = p\n[other]\nproject_id = q\nwhat = ever\n[CENT]\nsecret_key = s", map[string]string{"project_id": "p", "secret_key": "s"}, ""},
		{"a key without a value", "api_key =", map[string]string{"api_key": ""}, ""},
		{"a line without a separator", "\nhidden", nil, "not an INI file"},
		{"a misspelled key", "api_kye = hidden", nil, `unknown key "api_kye": did you mean api_key?`},
		{"a key without its underscore", "ProjectID = hidden", nil, `unknown key "projectid": did you mean project_id?`},
		{"a misspelled section", "[cnt]\naddress = hidden", nil, `unknown section [cnt]: did you mean [cent]?`},
		{"a key without an equals sign", "address http://hidden:8080", nil, `address has no =: write address = VALUE`},
		{"a key of no resemblance", "user = hidden", nil, `unknown key "user": the keys are address, admin_password, api_key, `},
		{"a key with a control character", "api\x1bkey = hidden", nil, `unknown key "api\x1bkey": did you mean api_key?`},
		{"a duplicate key", "api_key = hidden\n[cent]\napi_key = hidden", nil, "duplicate key api_key"},
		{"an unclosed section", "[cent", nil, "not an INI file"},
		{"a duplicate key in a section", "[cent]\napi_key = hidden\napi_key = hidden too", nil, "duplicate key api_key"},
		{"quotes and backslashes are part of a value", "api_key = \"a b\"\nsecret_key = '\\n\\", map[string]string{"api_key": `"a b"`, "secret_key": `'\n\`}, ""},
		{"not UTF-8", "api_key = \xff", nil, "bad request: the file is not text in UTF-8: line 1, column 11: this byte is not UTF-8"},
		{"a byte order mark", "\ufeffapi_key = k", nil, "bad request: the file is not text in UTF-8: line 1, column 1: this is a byte order mark: send the text without it"},
		{"a zero byte", "api_key = \x00", nil, "UTF-8"},
		{"too long", strings.Repeat("#", maxFileBytes+1), nil, "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeINI([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tt.fails == "") || err != nil && (!strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "hidden")) {
				t.Errorf("error %v, expected %q", err, tt.fails)
			}
		})
	}
}

func FuzzDecodeINI(f *testing.F) {
	f.Add([]byte("[cent]\naddress = http://localhost/rpc\nproject_id: p\n; x\nsecret_key = a=b\ntimeout = 2\n"))
	f.Add([]byte("\ufeff[other]\nx\n[CENT]\r\napi_key=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := decodeINI(b)
		if err != nil {
			return
		}
		// Values that are written and read again are equal.
		var again strings.Builder
		for key, value := range values {
			again.WriteString(key + " = " + value + "\n")
		}
		second, err := decodeINI([]byte(again.String()))
		if len(again.String()) > maxFileBytes {
			return
		}
		if diff := cmp.Diff(values, second); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func FuzzDecodeFrames(f *testing.F) {
	f.Add([]byte(`{"ack":true,"id":null,"method":null,"result":null,"error":"malformed JSON data"}`))
	f.Add([]byte(`{"category":"c","channel":"x","event_id":"e","data":{"a":[1]}}`))
	f.Add([]byte(`[{"category":"c","channel":"x","event_id":"e","data":1,"offset":7,"epoch":"e"},null]`))
	f.Add([]byte(`{"message":"Internal server error","connectionId":"x","requestId":"y"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := decodeFrames(b)
		if err != nil {
			return
		}
		if len(frames) == 0 {
			t.Error("no frame was decoded")
		}
		for _, frame := range frames {
			var out strings.Builder
			p := printer{s: &session{world: world{stdout: &out}}}
			if _, err := p.message(frame.delivery()); err != nil || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("printed %q, error %v", out.String(), err)
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"chat:große Öffnung": "chat:große Öffnung",
		"x\x1b[2Jy":          `"x\x1b[2Jy"`,
		"a\tb":               `"a\tb"`,
		"\u009b31m":          `"\u009b31m"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is printed as %s, expected %s", text, got, want)
		}
	}
}
