package stack

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Options are what the person who deploys decides, each with the CDK context key
// of the same name in lower case: `cdk deploy -c stage=prod -c demo=true`.
type Options struct {
	// Stage is the last part of the WebSocket address and of the stack's name, so
	// that several can live side by side: 1 to 64 letters, digits and "-". Default
	// "dev".
	Stage string
	// Demo deploys the example application too. Default false.
	Demo bool
	// Retain keeps the table and all it holds when the stack is destroyed. Default
	// true.
	Retain bool
	// Assets is the directory with a directory for each function, in which is the
	// function's bootstrap. Default ".build".
	Assets string
	// Architecture is what the bootstraps were built for: "arm64", which costs a
	// fifth less, or "x86_64". Default "arm64".
	Architecture string
}

var stageNames = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// ReadOptions reads the options from the CDK context: what context returns for a
// key, nil where nothing was given. It fails, naming the key, on a value that
// cannot be understood.
func ReadOptions(context func(key string) any) (Options, error) {
	o := Options{Stage: "dev", Retain: true, Assets: ".build", Architecture: "arm64"}
	for key, target := range map[string]*string{
		"stage": &o.Stage, "assets": &o.Assets, "architecture": &o.Architecture,
	} {
		switch value := context(key).(type) {
		case nil:
		case string:
			*target = value
		default:
			return Options{}, fmt.Errorf("context %s is not a string: %v", key, value)
		}
	}
	for key, target := range map[string]*bool{"demo": &o.Demo, "retain": &o.Retain} {
		// The command line gives strings, cdk.json may give booleans.
		value := context(key)
		if value == nil {
			continue
		}
		b, err := strconv.ParseBool(fmt.Sprint(value))
		if err != nil {
			return Options{}, fmt.Errorf("context %s is neither true nor false: %v", key, value)
		}
		*target = b
	}
	switch {
	case !stageNames.MatchString(o.Stage):
		return Options{}, fmt.Errorf("context stage is not 1 to 64 letters, digits and dashes: %q", o.Stage)
	case o.Assets == "":
		return Options{}, errors.New("context assets is empty")
	case o.Architecture != "arm64" && o.Architecture != "x86_64":
		return Options{}, fmt.Errorf("context architecture is neither arm64 nor x86_64: %q", o.Architecture)
	}
	return o, nil
}
