package lambda

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"centrifuge/localstack/process"
)

// environment is an execution environment: a process of a function. One invocation uses
// it at a time.
type environment struct {
	function *Function
	// key is its access key id and its path in the Runtime API: "NAME.N".
	key string
	// process is nil until start.
	process *process.Process

	// asked receives a value each time the process asks for an event, events the event
	// that it then gets.
	asked  chan struct{}
	events chan *invocation
	// failedInit receives the error that the process reports about its start.
	failedInit chan *FunctionError

	mu      sync.Mutex  // guards current, and process against Kill and Close
	current *invocation // nil between invocations
}

// invocation is an event on its way through a process.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time // set by run

	mu       sync.Mutex
	answer   answer
	answered chan struct{} // closed when there is an answer
}

func newInvocation(id string, event []byte) *invocation {
	return &invocation{id: id, event: event, answered: make(chan struct{})}
}

// accept sets the answer. It returns false where there is one.
func (i *invocation) accept(a answer) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-i.answered:
		return false
	default:
	}
	i.answer = a
	close(i.answered)
	return true
}

// result returns the answer, or err if there is none.
func (i *invocation) result(err error) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-i.answered:
		return i.answer.response, i.answer.err
	default:
		return nil, err
	}
}

// answer is what a process posted for an invocation.
type answer struct {
	response []byte
	err      error
}

// newEnvironment returns an environment that is not started.
func (s *Service) newEnvironment(f *Function) *environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	e := &environment{
		function: f, key: f.Name + "." + strconv.Itoa(s.started),
		asked: make(chan struct{}), events: make(chan *invocation), failedInit: make(chan *FunctionError, 1),
	}
	s.environments[e.key] = e
	return e
}

func (s *Service) forget(e *environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.environments, e.key)
}

// environment returns the environment with this key, or nil.
func (s *Service) environment(key string) *environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.environments[key]
}

// variables are the environment variables of the process: its own, and those that
// Lambda sets.
func (e *environment) variables() []string {
	f := e.function
	now := time.Now().UTC()
	all := maps.Clone(f.Environment)
	if all == nil {
		all = make(map[string]string)
	}
	maps.Copy(all, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          f.service.address + "/" + e.key,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      now.Format("2006/01/02/[") + version + "]" + e.key,
		"AWS_REGION":                      f.service.options.Region,
		"AWS_DEFAULT_REGION":              f.service.options.Region,
		"AWS_ACCESS_KEY_ID":               e.key,
		"AWS_SECRET_ACCESS_KEY":           "local",
		"AWS_SESSION_TOKEN":               "local",
		"_HANDLER":                        "bootstrap",
		"LAMBDA_TASK_ROOT":                filepath.Dir(f.Bootstrap),
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LANG":                            "en_US.UTF-8",
		"TZ":                              ":UTC",
		"PATH":                            "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
	})
	variables := make([]string, 0, len(all))
	for name, value := range all {
		variables = append(variables, name+"="+value)
	}
	return variables
}

// version is the version of every function.
const version = "$LATEST"

// start starts the process and returns when it asks for an event. Otherwise it returns
// the type of the error for the log, and the process is not running.
func (e *environment) start() (kind string, err error) {
	e.function.log.initStart()
	bootstrap, err := filepath.Abs(e.function.Bootstrap)
	if err != nil {
		return exitKind, err
	}
	cmd := exec.Command(bootstrap)
	cmd.Env, cmd.Dir = e.variables(), filepath.Dir(bootstrap)
	// The process may call the Runtime API before Start returns.
	e.mu.Lock()
	e.process, err = process.Start(cmd, process.Options{Log: e.function.log.newStream()})
	e.mu.Unlock()
	if err != nil {
		return exitKind, fmt.Errorf("%w: %w", ErrExited, err)
	}
	timer := time.NewTimer(initTimeout)
	defer timer.Stop()
	select {
	case <-e.asked:
		return "", nil
	case failure := <-e.failedInit:
		e.kill()
		return failure.Type, fmt.Errorf("%w: %w", ErrExited, failure)
	case <-e.process.Done():
		return exitKind, e.exitError()
	case <-timer.C:
		e.kill()
		return timeoutKind, fmt.Errorf("%w: no call of the Runtime API within %v", ErrTimeout, initTimeout)
	}
}

// run thaws the process, gives it an event, and freezes it when it asks for the next one.
// It fails when the process does not come to that, also where it has answered, and when it
// has not answered.
func (e *environment) run(i *invocation) error {
	timeout := e.function.service.options.Timeout
	i.deadline = time.Now().Add(timeout)
	e.setCurrent(i)
	defer e.setCurrent(nil)
	timer := time.NewTimer(timeout)
	defer timer.Stop()

	thaw(e.process)
	events := e.events
	for {
		select {
		case events <- i:
			events = nil // nil: it is sent once
		case <-e.asked:
			freeze(e.process)
			_, err := i.result(fmt.Errorf("%w: it asked for the next event before it answered", ErrExited))
			return err
		case <-e.process.Done():
			return e.exitError()
		case <-timer.C:
			e.kill()
			return fmt.Errorf("%w after %v", ErrTimeout, timeout)
		}
	}
}

func (e *environment) setCurrent(i *invocation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = i
}

// invocation returns the current invocation if it has this id, otherwise nil.
func (e *environment) invocation(id string) *invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil || e.current.id != id {
		return nil
	}
	return e.current
}

// exited reports whether there is no process.
func (e *environment) exited() bool {
	p := e.running()
	if p == nil {
		return true
	}
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func (e *environment) running() *process.Process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.process
}

// kill kills the process, if there is one, and waits for its exit.
func (e *environment) kill() {
	if p := e.running(); p != nil {
		p.Kill()
	}
}

// exitError is the error of a process that has exited.
func (e *environment) exitError() error {
	if err := e.process.ExitError(); err != nil {
		return fmt.Errorf("%w: Error: Runtime exited with error: %w", ErrExited, err)
	}
	return fmt.Errorf("%w: Error: Runtime exited without providing a reason", ErrExited)
}
