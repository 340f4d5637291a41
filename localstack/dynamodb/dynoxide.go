package dynamodb

import (
	"net/http"
	"os/exec"
	"strconv"

	"centrifuge/localstack/npm"
	"centrifuge/pkg/config"
)

// dynoxidePlatform is the platform that npm has a binary for, as Go names it. A new
// one goes here and to localstack/package.json.
const dynoxidePlatform = "linux/amd64"

var dynoxidePackage = npm.Package{
	Name: "@dynoxide/linux-x64", File: "dynoxide",
	Alternative: "set " + config.DynamoDBEndpoint + " to the address of another DynamoDB",
}

func dynoxide(path string) engine {
	return engine{
		name: "dynoxide", ready: "listening on", health: http.StatusOK,
		command: func(port int, file string) *exec.Cmd {
			args := []string{"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port)}
			if file != "" {
				args = append(args, "--db-path", file)
			}
			return exec.Command(path, args...)
		},
	}
}
