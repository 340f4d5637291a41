// Command write writes the browser build of npm centrifuge, with its licences, to files:
//
//	go run ./localstack/bundle/write FILE...
//
// It installs the package on first use.
package main

import (
	"context"
	"fmt"
	"os"

	"centrifuge/localstack/bundle"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := bundle.Write(context.Background(), path, os.Stderr); err != nil {
			fmt.Fprintf(os.Stderr, "write %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}
