// Package iam is the AWS services behind the rights of functions: a proxy that knows
// which function made a request, and refuses what functions/routes.go does not grant
// to it.
//
// A function is known by the access key id that signed the request, "NAME.N" for its
// Nth process, as package lambda sets it. Signatures are not verified. The proxy checks
// actions, the index, the keys of partitions, the methods of @connections, the kinds of
// events and the names of functions. It does not check the names of other resources: the local
// stack has one of each.
//
// Options.Faults makes a request fail, or the process that sent it die before or after the
// request is carried out. The package does not know how processes run.
package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"

	"centrifuge/functions"
)

// The paths of the services, below which each has its own paths.
const (
	DynamoDBPath    = "/dynamodb"
	ManagementPath  = "/management"
	EventBridgePath = "/eventbridge"
	LambdaPath      = "/lambda"
)

// Service is a service of AWS, by its prefix in actions.
type Service string

// The services.
const (
	DynamoDB    Service = "dynamodb"
	Management  Service = "execute-api"
	EventBridge Service = "events"
	Lambda      Service = "lambda"
)

// Request is a request of a function to a service.
type Request struct {
	Function string
	// AccessKeyID names the process.
	AccessKeyID string
	Service     Service
	// Action is the action of DynamoDB, EventBridge or Lambda, or the HTTP method of the
	// management API.
	Action string
	// Target is the name of the function that Lambda is to invoke, "" for other services.
	Target string
	// Body is the body. The receiver must not change it.
	Body []byte
}

// Fault is an injected failure of a request, or the death of the process that sent it.
type Fault int

// The faults.
const (
	// None is no fault.
	None Fault = iota
	// Refuse answers that the request is denied. It is not carried out.
	Refuse
	// Throttle answers that there are too many requests. It is not carried out.
	Throttle
	// Fail answers with status 500. The request is not carried out.
	Fail
	// Lose carries the request out and closes the connection without an answer.
	Lose
	// Hang gives no answer until the process closes the connection. The request is not
	// carried out.
	Hang
	// KillBefore kills the process. The request is not carried out.
	KillBefore
	// KillAfter carries the request out, then kills the process, which gets no answer.
	KillAfter
)

// Options configure a proxy.
type Options struct {
	// Functions are the functions with their rights.
	Functions []functions.Function
	// DynamoDB is the address of the DynamoDB.
	DynamoDB *url.URL
	// Management, EventBridge and Lambda serve these services.
	Management, EventBridge, Lambda http.Handler
	// Faults, if set, returns the fault to inject into a request that is granted. It is
	// called concurrently.
	Faults func(Request) Fault
	// Kill kills a process and returns when it has exited. Faults needs it.
	Kill func(accessKeyID string)
	// Log gets the requests that are refused. Required.
	Log *slog.Logger
}

// proxy serves the services.
type proxy struct {
	options   Options
	functions map[string]functions.Function
}

// New returns a handler for all services.
func New(o Options) http.Handler {
	p := &proxy{options: o, functions: make(map[string]functions.Function, len(o.Functions))}
	for _, f := range o.Functions {
		p.functions[f.Name] = f
	}
	mux := http.NewServeMux()
	serve := func(path string, service Service, handler http.Handler) {
		checked := p.check(service, http.StripPrefix(path, handler))
		mux.Handle(path, checked)
		mux.Handle(path+"/", checked)
	}
	serve(DynamoDBPath, DynamoDB, forward(o.DynamoDB))
	serve(ManagementPath, Management, o.Management)
	serve(EventBridgePath, EventBridge, o.EventBridge)
	serve(LambdaPath, Lambda, o.Lambda)
	return mux
}

// forward returns a reverse proxy of a database on this machine, to which all functions are
// one user. A request without an answer gets none.
func forward(to *url.URL) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			// DynamoDB Local takes letters and digits only, and has a database for each key.
			signed := r.Out.Header.Get("Authorization")
			r.Out.Header.Set("Authorization", credential.ReplaceAllString(signed, "Credential=local/"))
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
	}
}

// check serves the requests that are granted with a service, and injects faults.
func (p *proxy) check(service Service, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the process has exited
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		q := Request{AccessKeyID: accessKeyID(r), Service: service, Body: body}
		q.Action, q.Target = action(service, r)
		q.Function, _, _ = strings.Cut(q.AccessKeyID, ".")
		f, known := p.functions[q.Function]
		if !known || !grants(f, q) {
			p.options.Log.Error("request denied", "function", q.Function, "service", q.Service, "action", q.Action)
			deny(w, q)
			return
		}
		fault := None
		if p.options.Faults != nil {
			fault = p.options.Faults(q)
		}
		switch fault {
		case Refuse:
			deny(w, q)
		case Throttle:
			refuse(w, q, http.StatusTooManyRequests, "ThrottlingException", "Rate exceeded")
		case Fail:
			refuse(w, q, http.StatusInternalServerError, "InternalServerError", "Internal server error")
		case Lose:
			next.ServeHTTP(discard{}, r)
			panic(http.ErrAbortHandler)
		case Hang:
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		case KillAfter:
			next.ServeHTTP(discard{}, r)
			fallthrough
		case KillBefore:
			p.options.Kill(q.AccessKeyID)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// discard is the response writer of an answer that nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return make(http.Header) }
func (discard) WriteHeader(int)             {}
func (discard) Write(b []byte) (int, error) { return len(b), nil }

var credential = regexp.MustCompile(`Credential=([^/,]+)/`)

// accessKeyID is the access key id that signed a request, or "".
func accessKeyID(r *http.Request) string {
	if found := credential.FindStringSubmatch(r.Header.Get("Authorization")); found != nil {
		return found[1]
	}
	return ""
}

// invocation is the path of a request to invoke a function.
var invocation = regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/invocations$`)

// action is what a request does, and with which function.
func action(service Service, r *http.Request) (action, target string) {
	switch service {
	case Management:
		return r.Method, ""
	case Lambda:
		if found := invocation.FindStringSubmatch(strings.TrimPrefix(r.URL.Path, LambdaPath)); found != nil && r.Method == http.MethodPost {
			return "InvokeFunction", found[1]
		}
		return "", ""
	}
	_, action, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return action, ""
}

// deny answers as the service does that a request is denied. The SDK and the poster do not
// repeat it.
func deny(w http.ResponseWriter, q Request) {
	action := string(q.Service) + ":" + q.Action
	if q.Service == Management {
		action = "execute-api:ManageConnections"
	}
	message := fmt.Sprintf("User: arn:aws:sts::000000000000:assumed-role/%s/%s is not authorized to perform: %s", q.Function, q.Function, action)
	refuse(w, q, http.StatusForbidden, "AccessDeniedException", message)
}

// refuse answers with an error of AWS. DynamoDB and EventBridge have status 400 for all
// that is not their own failure.
func refuse(w http.ResponseWriter, q Request, status int, code, message string) {
	if (q.Service == DynamoDB || q.Service == EventBridge) && status < http.StatusInternalServerError {
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{ // fails only when the process has exited
		"__type": "com.amazon.coral.service#" + code, "Message": message,
	})
}
