package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"centrifuge/functions"
)

// testAdmin sets an admin password as a user does, and signs in to the admin pages. It
// checks that another password ends the session, and that the functions with pages have the
// SDK. It returns the header for further requests.
func (d deployment) testAdmin(ctx context.Context, o outputs, log io.Writer) (session http.Header, err error) {
	var earlier http.Header
	projects := call{method: http.MethodGet, url: o.AdminURL + "api/projects"}
	for range 2 {
		password, err := d.newPassword(ctx, log)
		if err != nil {
			return nil, err
		}
		if projects.header, projects.status = earlier, http.StatusUnauthorized; earlier != nil {
			if _, err := projects.do(ctx); err != nil {
				return nil, fmt.Errorf("after another password: %w", err)
			}
		}
		if session, err = signIn(ctx, o, password); err != nil {
			return nil, err
		}
		projects.header, projects.status = session, http.StatusOK
		if _, err := projects.do(ctx); err != nil {
			return nil, fmt.Errorf("after the sign-in: %w", err)
		}
		earlier = session
	}
	for _, address := range []string{o.AdminURL + "assets/" + functions.SDK, o.HTTPURL + "/demo/" + functions.SDK} {
		response, err := call{method: http.MethodGet, url: address, status: http.StatusOK}.do(ctx)
		if err != nil {
			return nil, err
		}
		if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
			return nil, fmt.Errorf("%s has the Content-Type %q", address, kind)
		}
	}
	return session, nil
}

// testNoPassword checks that a stack without an admin password says how to set one.
func testNoPassword(ctx context.Context, o outputs) error {
	if o.AdminURL == "" {
		return errors.New("the stack has no output AdminURL")
	}
	if _, err := (call{method: http.MethodGet, url: o.AdminURL + "sign-in", status: http.StatusForbidden}).do(ctx); err != nil {
		return err
	}
	var refusal struct{ Error struct{ Message string } }
	_, err := call{
		method: http.MethodPost, url: o.AdminURL + "api/sign-in", body: map[string]string{"password": "none"},
		status: http.StatusForbidden, into: &refusal,
	}.do(ctx)
	if err != nil {
		return err
	}
	if !strings.Contains(refusal.Error.Message, "make admin-password") {
		return fmt.Errorf("without a password the sign-in says %q", refusal.Error.Message)
	}
	return nil
}

// newPassword sets and returns the admin password: it runs "make admin-password" in the
// checkout of the bootstrap, with the outputs where make deploy writes them.
func (d deployment) newPassword(ctx context.Context, log io.Writer) (string, error) {
	checkout := filepath.Join(d.folder, "checkout")
	content, err := os.ReadFile(d.outputs())
	if err != nil {
		return "", fmt.Errorf("read the outputs of the deployed stack: %w", err)
	}
	if err := os.WriteFile(filepath.Join(checkout, outputsPath), content, 0o600); err != nil {
		return "", fmt.Errorf("write the outputs of the deployed stack: %w", err)
	}
	printed := filepath.Join(d.folder, "password")
	defer os.Remove(printed)
	if err := runProgram(ctx, log, d.environment(), "sh", "-c", `umask 077; make --no-print-directory -C "$1" admin-password >"$2"`, "sh", checkout, printed); err != nil {
		return "", err
	}
	if content, err = os.ReadFile(printed); err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password, line := strings.CutSuffix(string(content), "\n")
	if !line || len(password) != 32 {
		return "", fmt.Errorf("make admin-password prints %d characters, expected a line of 32", len(password))
	}
	return password, nil
}

// signIn opens the admin pages and signs in. It returns the header for further requests.
func signIn(ctx context.Context, o outputs, password string) (http.Header, error) {
	// AdminURL itself redirects here, but to a path without the prefix of the
	// emulator.
	page, err := call{method: http.MethodGet, url: o.AdminURL + "sign-in", status: http.StatusOK}.do(ctx)
	if err != nil {
		return nil, err
	}
	if kind := page.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		return nil, fmt.Errorf("%ssign-in has content type %q, expected text/html", o.AdminURL, kind)
	}
	attempt := call{method: http.MethodPost, url: o.AdminURL + "api/sign-in"}
	attempt.body, attempt.status = map[string]string{"password": password + "!"}, http.StatusUnauthorized
	if _, err := attempt.do(ctx); err != nil {
		return nil, fmt.Errorf("sign in with a wrong password: %w", err)
	}
	attempt.body, attempt.status = map[string]string{"password": password}, http.StatusOK
	signedIn, err := attempt.do(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign in with the password of make admin-password: %w", err)
	}
	cookies := signedIn.Cookies()
	if len(cookies) != 1 {
		return nil, fmt.Errorf("%s returned %d cookies, expected 1", attempt.url, len(cookies))
	}
	return http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}}, nil
}
