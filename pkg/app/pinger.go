package app

import (
	"fmt"
	"io"

	"centrifuge/pkg/config"
	"centrifuge/pkg/delivery"
)

// Pinger is the application of the function that sends pings.
type Pinger struct {
	*App
	// Function is this function, which it invokes for what is more than one batch.
	Function *delivery.Function
}

// NewPinger builds a Pinger, as Load does its Base. It fails without the name of the function.
func NewPinger(getenv func(string) string, w io.Writer) (*Pinger, error) {
	a, err := New(getenv, w)
	if err != nil {
		return nil, err
	}
	f, err := a.PingFunction()
	if err != nil {
		return nil, err
	}
	return &Pinger{a, f}, nil
}

// PingFunction is the function that sends pings.
func (b *Base) PingFunction() (*delivery.Function, error) {
	f, err := delivery.NewFunction(delivery.FunctionOptions{
		Name: b.Config.PingFunction, Region: b.Cloud.Region, Credentials: b.Cloud.Credentials, Endpoint: b.Config.LambdaEndpoint,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config.PingFunction, err)
	}
	return f, nil
}
