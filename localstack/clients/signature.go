package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"centrifuge/pkg/delivery"
)

// recorded is a request of the poster.
type recorded struct {
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      []byte            `json:"body"`
	Region    string            `json:"region"`
	AccessKey string            `json:"access_key"`
	SecretKey string            `json:"secret_key"`
	Token     string            `json:"token"`
}

// verifySignatures records requests of the poster and has a script compute their
// signatures with botocore.
func verifySignatures(ctx context.Context, python, script string) (string, error) {
	requests, err := recordRequests(ctx)
	if err != nil {
		return "", err
	}
	input, err := json.Marshal(requests)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, python, script)
	cmd.Stdin = bytes.NewReader(input)
	verified, err := output(cmd)
	if err != nil {
		return "", err
	}
	if got, want := strings.TrimSpace(string(verified)), strconv.Itoa(len(requests)); got != want {
		return "", fmt.Errorf("botocore verified %s of %s requests", got, want)
	}
	return fmt.Sprintf("%d requests", len(requests)), nil
}

func recordRequests(ctx context.Context) ([]recorded, error) {
	const accessKey, secretKey = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	var all []recorded
	var current recorded
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		current.Method, current.URL = r.Method, "http://"+r.Host+r.RequestURI
		current.Headers = map[string]string{"Host": r.Host}
		for name, values := range r.Header {
			current.Headers[name] = strings.Join(values, ",")
		}
		current.Body, _ = io.ReadAll(r.Body) // a body that breaks off has another signature
		all = append(all, current)
	}))
	defer server.Close()
	for _, stage := range []string{"/prod", "/$default", "", "/one/two"} {
		for _, token := range []string{"", "FwoGZXIvYXdzEXAMPLE//+="} {
			current = recorded{Region: "eu-west-1", AccessKey: accessKey, SecretKey: secretKey, Token: token}
			poster, err := delivery.NewPoster(delivery.PosterOptions{
				URL: server.URL + stage, Region: current.Region, Attempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, token),
			})
			if err != nil {
				return nil, err
			}
			defer poster.Close()
			for _, id := range []string{"L0SM9cOFvHcCIhw=", "plain", "a+b/c==", "a b", "é:@!$&'()*,;~", "100%25", "a?b#c"} {
				for _, body := range []string{"hello", "é 😀", strings.Repeat("é", 60<<10)} {
					if err := poster.Post(ctx, id, delivery.NewPayload([]byte(body))); err != nil {
						return nil, err
					}
				}
				if err := poster.Delete(ctx, id); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
}
