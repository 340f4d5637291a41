// Package console builds the admin pages and their JSON API over an application that
// publishes.
//
// It is apart from package app because templates and the client of Secrets Manager
// cost time and size in every function that links them.
package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"centrifuge/pkg/admin"
	"centrifuge/pkg/app/publisher"
	"centrifuge/pkg/hub"
	"centrifuge/pkg/serverapi"
)

// Handler returns the handler of the admin pages and their JSON API.
func Handler(a *publisher.App) http.Handler {
	return admin.New(admin.Options{
		Hub: a.Hub.Hub, Store: a.Store, Attempts: a.Store.Tally, Password: password(a),
		Call: func(ctx context.Context, p *hub.Project, method string, body []byte) (int, []byte) {
			return serverapi.Call(ctx, a.Hub, a.Log, p, method, body)
		},
		WebSocketURL: a.Config.WebSocketURL, HTTPURL: a.Config.HTTPURL, Log: a.Log,
	})
}

// errNoPassword: no password is configured, so that every sign-in fails.
var errNoPassword = errors.New("the environment names neither a secret nor a password for the admin pages")

// password returns a function that reads the password of the admin pages: from Secrets
// Manager at every call or, on one machine, from the environment.
func password(a *publisher.App) func(context.Context) (string, error) {
	if a.Config.AdminSecret == "" {
		return func(context.Context) (string, error) {
			if a.Config.AdminPassword == "" {
				return "", errNoPassword
			}
			return a.Config.AdminPassword, nil
		}
	}
	secrets := secretsmanager.NewFromConfig(a.Cloud, func(o *secretsmanager.Options) {
		if a.Config.SecretsManagerEndpoint != "" {
			o.BaseEndpoint = &a.Config.SecretsManagerEndpoint
		}
	})
	return func(ctx context.Context) (string, error) {
		out, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &a.Config.AdminSecret})
		if err != nil {
			return "", fmt.Errorf("read the admin password: %w", err)
		}
		if aws.ToString(out.SecretString) == "" {
			return "", errNoPassword
		}
		return *out.SecretString, nil
	}
}
