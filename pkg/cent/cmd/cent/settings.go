package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"gopkg.in/ini.v1"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/hub"
)

// The addresses of the local stack.
const (
	localAddress   = "http://127.0.0.1:8080"
	localWebSocket = "ws://127.0.0.1:8080/dev"
)

// settings are the flags of all commands, and their values.
type settings struct {
	Config string `placeholder:"FILE" help:"The settings file (~/.centrc)."`

	Address       string        `placeholder:"URL" help:"The HTTP API, the output HTTPURL of the deployment, $$CENT_ADDRESS (http://127.0.0.1:8080)."`
	APIKey        string        `name:"api-key" placeholder:"KEY" help:"An API key of the project, $$CENT_API_KEY."`
	Project       string        `placeholder:"ID" help:"The id of the project, for tokens, $$CENT_PROJECT."`
	Secret        string        `placeholder:"SECRET" help:"The secret of the project, for tokens, $$CENT_SECRET."`
	TokenAudience string        `placeholder:"AUD" help:"The option token_audience of the project, for JWTs, $$CENT_TOKEN_AUDIENCE."`
	TokenIssuer   string        `placeholder:"ISS" help:"The option token_issuer of the project, for JWTs, $$CENT_TOKEN_ISSUER."`
	AdminPassword string        `placeholder:"PASSWORD" help:"The password of the admin pages, for projects and categories, $$CENT_ADMIN_PASSWORD."`
	WebSocket     string        `name:"websocket" placeholder:"URL" help:"The WebSocket API, the output WebSocketURL of the deployment, $$CENT_WEBSOCKET (ws://127.0.0.1:8080/dev)."`
	Timeout       time.Duration `placeholder:"30s" help:"The time limit of an attempt, at most 1m, $$CENT_TIMEOUT (30s)."`
	JSON          bool          `name:"json" help:"Print JSON."`

	// File is the path of the file that was read, "" if there is none. Source is where
	// each value comes from, by its key in the file: a flag, a variable, File or
	// "default". A setting without a value has no source.
	File   string            `kong:"-"`
	Source map[string]string `kong:"-"`
}

// resolve sets the settings without a flag: from the environment, from the file, or to
// their defaults.
func (s settings) resolve(w world) (settings, error) {
	file, err := s.file(w)
	if err != nil {
		return settings{}, err
	}
	s.Source = make(map[string]string)
	timeout := ""
	if s.Timeout != 0 {
		timeout = s.Timeout.String()
	}
	for _, field := range []struct {
		value               *string
		flag, variable, key string
	}{
		{&s.Address, "--address", "CENT_ADDRESS", "address"},
		{&s.APIKey, "--api-key", "CENT_API_KEY", "api_key"},
		{&s.Project, "--project", "CENT_PROJECT", "project_id"},
		{&s.Secret, "--secret", "CENT_SECRET", "secret_key"},
		{&s.TokenAudience, "--token-audience", "CENT_TOKEN_AUDIENCE", "token_audience"},
		{&s.TokenIssuer, "--token-issuer", "CENT_TOKEN_ISSUER", "token_issuer"},
		{&s.AdminPassword, "--admin-password", "CENT_ADMIN_PASSWORD", "admin_password"},
		{&s.WebSocket, "--websocket", "CENT_WEBSOCKET", "websocket"},
		{&timeout, "--timeout", "CENT_TIMEOUT", "timeout"},
	} {
		for _, from := range []struct{ name, value string }{
			{field.flag, *field.value}, {field.variable, w.getenv(field.variable)}, {s.File, file[field.key]},
		} {
			if from.value != "" {
				*field.value, s.Source[field.key] = from.value, from.name
				break
			}
		}
	}
	if s.Timeout == 0 {
		if s.Timeout, err = parseTimeout(timeout); err != nil {
			return settings{}, err
		}
	}
	if s.Timeout < 0 || s.Timeout > cent.MaxTimeout {
		return settings{}, misuse("invalid timeout: set it between 0 and %v", cent.MaxTimeout)
	}
	// The default WebSocket belongs to the default address. With another address it
	// would send a token to the wrong installation.
	if s.Address == "" && s.WebSocket == "" {
		s.WebSocket, s.Source["websocket"] = localWebSocket, sourceDefault
	}
	if s.Address == "" {
		s.Address, s.Source["address"] = localAddress, sourceDefault
	}
	if timeout == "" {
		s.Source["timeout"] = sourceDefault
	}
	// In 2013 the address was that of the method rpc.
	s.Address = strings.TrimSuffix(strings.TrimRight(s.Address, "/"), "/rpc")
	return s, nil
}

// sourceDefault is the source of a default.
const sourceDefault = "default"

// parseTimeout parses a number of seconds, as in 2013, or a duration with a unit.
func parseTimeout(text string) (time.Duration, error) {
	if text == "" {
		return cent.DefaultTimeout, nil
	}
	if seconds, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = fmt.Sprintf("%ds", seconds)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, misuse("invalid timeout: give seconds, or a duration such as 1m30s")
	}
	return d, nil
}

// maxFileBytes is the size limit of the settings file.
const maxFileBytes = 64 << 10

// file reads the settings file and sets File. A file that --config does not name may be
// absent.
func (s *settings) file(w world) (map[string]string, error) {
	path := s.Config
	if path == "" {
		if w.home == "" {
			return nil, nil
		}
		path = filepath.Join(w.home, ".centrc")
	}
	f, err := os.Open(path) //nolint:gosec // the caller of the program chooses the file
	if err != nil {
		if s.Config == "" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, usageError{err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, usageError{err}
	}
	values, err := decodeINI(b)
	if err != nil {
		return nil, misuse("%s: %w", path, err)
	}
	if stat, err := f.Stat(); err == nil && runtime.GOOS != "windows" && stat.Mode().Perm()&0o077 != 0 &&
		(values["secret_key"] != "" || values["api_key"] != "" || values["admin_password"] != "") {
		fmt.Fprintf(w.stderr, "cent: warning: %s holds a secret and others can read it: chmod 600 it\n", printable(path))
	}
	s.File = path
	return values, nil
}

var fileKeys = []string{"address", "admin_password", "api_key", "project_id", "secret_key", "timeout", "token_audience", "token_issuer", "websocket"}

// decodeINI reads the keys before any section and in the section [cent]. The case of
// keys does not matter. A value is the rest of its line, including #, ; and quotes;
// between backticks or triple quotes it may span lines. No error repeats a value.
func decodeINI(b []byte) (map[string]string, error) {
	switch {
	case len(b) > maxFileBytes:
		return nil, fmt.Errorf("longer than %d bytes", maxFileBytes)
	case bytes.ContainsRune(b, 0):
		return nil, errors.New("not text in UTF-8")
	}
	if err := hub.CheckText("the file", string(b)); err != nil {
		return nil, err
	}
	file, err := ini.LoadSources(ini.LoadOptions{
		Insensitive: true, IgnoreContinuation: true, IgnoreInlineComment: true, PreserveSurroundedQuote: true, AllowShadows: true,
	}, b)
	if err != nil {
		// The error of the library repeats the line, which may hold a secret.
		return nil, errors.New("not an INI file: a line is [section], key = value, or a comment after #")
	}
	for _, name := range file.SectionStrings() {
		if name != strings.ToLower(ini.DefaultSection) && name != ini.DefaultSection && name != "cent" && levenshtein.ComputeDistance(name, "cent") <= 2 {
			return nil, fmt.Errorf("unknown section [%s]: did you mean [cent]?", name)
		}
	}
	values := make(map[string]string)
	for _, section := range []string{ini.DefaultSection, "cent"} {
		for _, key := range file.Section(section).Keys() {
			if !slices.Contains(fileKeys, key.Name()) {
				return nil, unknownKey(key.Name())
			}
			if _, twice := values[key.Name()]; twice || len(key.ValueWithShadows()) > 1 {
				return nil, fmt.Errorf("duplicate key %s", key.Name())
			}
			values[key.Name()] = key.Value()
		}
	}
	return values, nil
}

// maxKeyDistance is how many characters a misspelled key may differ from the key that an
// error suggests.
const maxKeyDistance = 3

// unknownKey is the error for a key that is not one of fileKeys. It names the nearest.
func unknownKey(name string) error {
	nearest := slices.MinFunc(fileKeys, func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
	if key, _, spaced := strings.Cut(name, " "); spaced && slices.Contains(fileKeys, key) {
		return fmt.Errorf("%s has no =: write %s = VALUE", key, key)
	}
	if levenshtein.ComputeDistance(name, nearest) <= maxKeyDistance {
		return fmt.Errorf("unknown key %q: did you mean %s?", name, nearest)
	}
	return fmt.Errorf("unknown key %q: the keys are %s", name, strings.Join(fileKeys, ", "))
}
