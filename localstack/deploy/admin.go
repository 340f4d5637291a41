package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// signIn opens the admin pages and signs in with the generated password. It returns
// the header for further requests.
func (e emulator) signIn(ctx context.Context, o outputs) (http.Header, error) {
	if o.AdminURL == "" || o.AdminSecretName == "" {
		return nil, errors.New("the stack has no output AdminURL or AdminSecretName")
	}
	password, err := e.password(ctx, o.AdminSecretName)
	if err != nil {
		return nil, err
	}
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
		return nil, fmt.Errorf("sign in with the password in %s: %w", o.AdminSecretName, err)
	}
	cookies := signedIn.Cookies()
	if len(cookies) != 1 {
		return nil, fmt.Errorf("%s returned %d cookies, expected 1", attempt.url, len(cookies))
	}
	return http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}}, nil
}

// password reads a generated password from Secrets Manager and checks its length.
func (e emulator) password(ctx context.Context, name string) (string, error) {
	secrets := secretsmanager.New(secretsmanager.Options{
		BaseEndpoint: aws.String(e.endpoint),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(testCredential, testCredential, ""),
	})
	value, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return "", fmt.Errorf("read the secret %s: %w", name, err)
	}
	password := aws.ToString(value.SecretString)
	if len(password) != 32 {
		return "", fmt.Errorf("the secret %s has %d characters, expected 32", name, len(password))
	}
	return password, nil
}
