// Package lambda is AWS Lambda on one machine: it runs bootstraps as processes behind
// the Lambda Runtime API.
//
//	service, err := lambda.Start(ctx, lambda.Options{})
//	defer service.Close()
//	f := service.New(lambda.Configuration{Name: "auth", Bootstrap: ".build/native/auth/bootstrap"})
//	response, err := f.Invoke(ctx, event)
//
// These rules of Lambda apply:
//
//   - A process handles one invocation at a time. An invocation that finds no idle
//     process starts another one, up to Options.Concurrency. Beyond it the invocation is
//     throttled.
//   - An idle process is frozen: it gets SIGSTOP when it asks for the next event, and
//     SIGCONT before it gets one. The clocks go on meanwhile.
//   - A process that exceeds Options.Timeout is killed. The deadline that it is told is
//     the moment of the kill.
//   - A process that exits fails its invocation. The next invocation starts another one.
//   - The environment of a process holds what Lambda sets and its configuration, and
//     nothing of the environment of this process.
//   - An asynchronous invocation is repeated twice. Then its event goes to the
//     dead-letter target. API serves them as Lambda does.
//   - The log of a function has the lines START, END and REPORT for each invocation.
//
// These do not: memory and CPU are not limited, a failed start is not repeated, an idle
// process is kept until Close, and an asynchronous invocation that is throttled waits
// for a process without a limit of time.
//
// A Queue and InProcess do the same for functions that run in this process: they are invoked
// asynchronously, repeated and given up alike.
//
// The package knows nothing of the functions, of their rights, or of what invokes them,
// except that a Function is one of package gateway. It needs a system with SIGSTOP and SIGCONT.
package lambda
