package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"centrifuge/localstack/stack"
)

// invoke invokes one function with the event in a file, and prints the response.
//
// It uses the database of the service that runs on the same data, or the one in
// DYNAMODB_ENDPOINT. Both may serve a service, so it seeds neither: the project demo
// keeps the address of that service. Otherwise it starts a database and seeds it, and
// the project demo gets the address of this process until the service runs again. Posts
// to connections answer 410: this process has no sockets.
func invoke(ctx context.Context, function, event string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	payload, err := os.ReadFile(event)
	if err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	o, err := readOptions(getenv, stderr)
	if err != nil {
		return err
	}
	o.Addr = "127.0.0.1:0"
	data, err := claimData(o.DataDir)
	var inUse *inUseError
	switch {
	case errors.As(err, &inUse):
		if o.DynamoDBEndpoint = cmp.Or(o.DynamoDBEndpoint, inUse.database); o.DynamoDBEndpoint == "" {
			return fmt.Errorf("a service or another invoke starts on the data in %s: try again", inUse.dir)
		}
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, data.release()) }()
	}
	if o.DynamoDBEndpoint == "" {
		if o.Seed, err = os.ReadFile(seedFile); err != nil {
			return fmt.Errorf("read the seed: %w", err)
		}
	}
	if o.AdminPassword, err = adminPassword(o.DataDir); err != nil { // the one of make run
		return err
	}
	s, err := stack.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	f, ok := s.Functions[function]
	if !ok {
		return fmt.Errorf("unknown function %q: choose one of %s", function, strings.Join(slices.Sorted(maps.Keys(s.Functions)), ", "))
	}
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: rand.Text()})
	response, err := f.Invoke(ctx, payload)
	if err != nil {
		return fmt.Errorf("invoke %s: %w", function, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, response, "", "  "); err != nil {
		return fmt.Errorf("read the response: %w", err)
	}
	_, err = fmt.Fprintln(stdout, pretty.String())
	return err
}
