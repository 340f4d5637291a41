package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"centrifuge/localstack/console"
	"centrifuge/localstack/stack"
	"centrifuge/pkg/auth"
)

// seedFile is the seed where SEED names no other. It is relative to the repository, the
// working directory of make.
const seedFile = "localstack/seed.json"

// bootstrapsFolder has the bootstraps for this machine, which make run builds. It is
// relative to the repository.
const bootstrapsFolder = ".build/native"

// The values of HOST.
const (
	loopback   = "127.0.0.1"
	everywhere = "0.0.0.0"
)

// readOptions reads the options of the local stack from the environment.
func readOptions(getenv func(string) string, stderr io.Writer) (stack.Options, error) {
	host, port, dir := getenv("HOST"), getenv("PORT"), getenv("DATA_DIR")
	if host != everywhere {
		// Some shells and compilers set HOST to a name of their own.
		if _, err := netip.ParseAddr(host); err == nil && host != loopback {
			return stack.Options{}, fmt.Errorf("HOST must be %s, or %s to open the stack to the local network: %q", loopback, everywhere, host)
		}
		host = loopback
	}
	if port == "" {
		port = "8080"
	}
	if listen := getenv("LISTEN"); listen != "" {
		var err error
		if host, port, err = net.SplitHostPort(listen); err != nil || host != loopback && host != everywhere {
			return stack.Options{}, fmt.Errorf("LISTEN must be %s:PORT, or %s:PORT to open the stack to the local network: %q", loopback, everywhere, listen)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return stack.Options{}, fmt.Errorf("PORT must be a number from 1 to 65535, or 0 for a free port: %q", port)
	}
	if dir == "" {
		dir = ".data"
	}
	o := stack.Options{
		Addr: net.JoinHostPort(host, port), DataDir: dir, DynamoDBEndpoint: getenv("DYNAMODB_ENDPOINT"),
		Log: stderr, Progress: stderr, LogLevel: getenv("LOG_LEVEL"),
	}
	if level := new(slog.Level); o.LogLevel != "" && level.UnmarshalText([]byte(o.LogLevel)) != nil {
		return stack.Options{}, fmt.Errorf("LOG_LEVEL must be debug, info, warn or error: %q", o.LogLevel)
	}
	o.DefaultProject = cmp.Or(getenv("DEFAULT_PROJECT"), "demo")
	if jitter := getenv("JITTER"); jitter != "" {
		d, err := time.ParseDuration(jitter)
		if err != nil || d < 0 || d > time.Second {
			return stack.Options{}, fmt.Errorf("JITTER must be a duration from 0s to 1s: %q", jitter)
		}
		o.Gateway.Jitter = d
	}
	switch mode := getenv("LAMBDA"); mode {
	case "":
	case "process":
		if runtime.GOOS != "linux" {
			return stack.Options{}, errors.New("LAMBDA=process needs Linux: the bootstraps are programs for Linux")
		}
		o.Lambda = &stack.Lambda{Bootstraps: bootstrapsFolder}
	default:
		return stack.Options{}, fmt.Errorf("LAMBDA must be process or empty: %q", mode)
	}
	return o, nil
}

// setLog makes the log of a running service: every event, in lines for people where
// stderr is a terminal. QUIET leaves failures, as JSON lines.
func setLog(o *stack.Options, getenv func(string) string, stderr io.Writer) {
	if quiet := getenv("QUIET"); quiet != "" && quiet != "0" {
		o.LogLevel = cmp.Or(o.LogLevel, "warn")
		return
	}
	o.Traffic, o.LogLevel = true, cmp.Or(o.LogLevel, "debug") // deliveries are logged at debug
	if isTerminal(stderr) {
		o.Log = console.NewWriter(stderr, getenv("NO_COLOR") == "" && getenv("TERM") != "dumb")
	}
}

// networkAddress is the address of this machine in the local network: the one that it
// would use to reach the internet. It sends nothing.
func networkAddress(ctx context.Context) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", "192.0.2.1:9")
	if err != nil {
		return "", fmt.Errorf("this machine is in no network: run without HOST: %w", err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String(), nil // a socket of udp4 has an address of UDP
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	stat, err := f.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}

// adminPassword returns the admin password in the data folder, which exists. It
// generates one if there is none.
func adminPassword(dir string) (string, error) {
	path := filepath.Join(dir, "admin-password")
	stored, err := os.ReadFile(path)
	if err == nil && len(stored) > 0 {
		return strings.TrimSpace(string(stored)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the admin password: %w", err)
	}
	password := auth.NewPassword()
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the admin password: %w", err)
	}
	return password, nil
}

// run runs the service until ctx ends.
func run(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	o, err := readOptions(getenv, stderr)
	if err != nil {
		return err
	}
	setLog(&o, getenv, stderr)
	seed := cmp.Or(getenv("SEED"), seedFile)
	if o.Seed, err = os.ReadFile(seed); err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	data, err := claimData(o.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.release()) }()
	if o.AdminPassword, err = adminPassword(o.DataDir); err != nil {
		return err
	}
	open := strings.HasPrefix(o.Addr, everywhere+":")
	if open {
		if o.PublicHost, err = networkAddress(ctx); err != nil {
			return err
		}
	}
	o.Documents, o.Minute = os.DirFS("."), time.Minute
	s, err := stack.Start(ctx, o)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s is in use: choose another port, such as PORT=8081 make run", o.Addr[strings.LastIndex(o.Addr, ":")+1:])
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := data.publish(s.DynamoDBEndpoint); err != nil {
		return err
	}
	if open {
		fmt.Fprintf(stdout, `WARNING: this machine is open to its network, at %s.
Everybody there can read and publish in the project demo, whose keys are public, and can try to sign in to the admin pages.
Nothing is encrypted. Use it only in a network that you trust.

`, o.PublicHost)
	}
	fmt.Fprintf(stdout, `Centrifuge is running.

  start here         %[7]s
  example, two tabs  %[1]s/demo/
  admin pages        %[5]s
  password           %[6]s
  WebSocket          %[2]s
  server API         %[1]s/api/publish
  management API     %[3]s/@connections/
  DynamoDB           %[4]s

`, s.HTTPURL, s.WebSocketURL, s.ManagementURL, s.DynamoDBEndpoint, s.AdminURL, s.AdminPassword, s.StartURL)
	if seed == seedFile {
		fmt.Fprintf(stdout, `Publish something:

  curl -H 'X-API-Key: demo-key' -d '{"channel":"news:announcements","data":{"text":"hello"}}' %s/api/publish

`, s.HTTPURL)
	}
	fmt.Fprintf(stdout, "The data is in %s. Ctrl-C stops everything.\n", o.DataDir)
	select {
	case <-ctx.Done():
		fmt.Fprintln(stdout, "\nStopping.")
		return nil
	case err := <-s.Done():
		return fmt.Errorf("serve: %w", err)
	}
}
