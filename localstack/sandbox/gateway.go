package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"centrifuge/localstack/child"
	"centrifuge/pkg/app"
	"centrifuge/pkg/config"
)

// gateway is a running sandbox with the functions.
type gateway struct {
	url     string   // of the WebSocket API
	app     *app.App // Centrifuge as an application reaches it, which posts here
	process *child.Process
}

// launch starts sandbox, whose module is given, on the application in folder.
func launch(ctx context.Context, module, folder, dynamoDB string) (*gateway, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("node, which runs it, is not installed: install Node.js 20 or later")
	}
	g, err := child.OnFreePort(ctx, func(port int) (*gateway, error) {
		return child.OnFreePort(ctx, func(management int) (*gateway, error) {
			return launchOn(ctx, exec.Command(node, "start.js"), module, folder, dynamoDB, port, management)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("start Architect's sandbox: %w", err)
	}
	return g, nil
}

func launchOn(ctx context.Context, cmd *exec.Cmd, module, folder, dynamoDB string, port, management int) (*gateway, error) {
	managementURL := fmt.Sprintf("http://127.0.0.1:%d/_arc/ws", management)
	env, err := json.Marshal(environment(dynamoDB, managementURL))
	if err != nil {
		return nil, err
	}
	cmd.Dir = folder
	cmd.Env = append(os.Environ(),
		"SANDBOX="+module, "PORT="+strconv.Itoa(port), "ARC_INTERNAL_PORT="+strconv.Itoa(management), "FUNCTION_ENV="+string(env),
		// Without these sandbox looks for credentials of somebody's.
		config.AccessKeyID+"=local", config.SecretAccessKey+"=local", config.SessionToken+"=",
		// An answer then waits for the end of the process that gave it: none is left over.
		"NODE_ENV=testing",
	)
	g := &gateway{url: "ws://127.0.0.1:" + strconv.Itoa(port)}
	if g.app, err = application(dynamoDB, managementURL); err != nil {
		return nil, err
	}
	if g.process, err = child.Start(cmd, child.Options{Ready: "sandbox is ready"}); err != nil {
		return nil, err
	}
	select {
	case <-g.process.Ready():
		return g, nil
	case <-g.process.Done():
		return nil, g.process.PortError()
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), g.process.Stop())
	}
}
