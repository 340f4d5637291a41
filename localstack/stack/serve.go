package stack

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"centrifuge/functions"
	"centrifuge/localstack/eventbridge"
	"centrifuge/localstack/gateway"
	"centrifuge/localstack/lambda"
	"centrifuge/localstack/start"
	"centrifuge/pkg/app"
)

// serve serves the routes of the functions.
func (s *Stack) serve(listener net.Listener, o Options) error {
	handlers, t := s.Functions, traffic{s.App.Log}
	if o.Traffic {
		handlers = t.watch(handlers)
	}
	r, err := route(functions.All, handlers, func(name string, f gateway.Function) lambda.Asynchronous {
		if process, ok := s.Functions[name].(*lambda.Function); ok && o.Traffic {
			return t.watchAsync(process)
		} else if ok {
			return process
		}
		return lambda.InProcess{Queue: s.queue, Name: name, Function: f}
	})
	if err != nil {
		return err
	}
	g := o.Gateway
	g.Stage, g.Paths = Stage, []string{CentrifugoPath}
	g.Routes, g.RouteResponses, g.HTTP = r.webSocket, r.replies, r.http
	g.Mocks = make(map[string]string)
	for _, key := range functions.Mocks {
		g.Mocks[key] = ""
	}
	if g.Log == nil {
		g.Log = app.NewLog(o.Log, slog.LevelWarn)
	}
	s.Gateway = gateway.New(g)
	events, invocations := eventbridge.New(r.rules), lambda.API(r.invoked)
	page := start.New(start.Options{
		HTTPURL: s.HTTPURL, WebSocketURL: s.WebSocketURL, Password: s.AdminPassword, Key: s.startKey, Documents: o.Documents,
	})
	public := http.NewServeMux()
	public.Handle("/", s.Gateway)
	public.Handle("GET /{$}", page)
	public.Handle("GET /documents/", page)
	mux := http.NewServeMux()
	if o.Traffic {
		mux.Handle("/", t.serve(public))
	} else {
		mux.Handle("/", public)
	}
	mux.Handle(eventsPath, thisMachine(events))
	mux.Handle(eventsPath+"/", thisMachine(events))
	mux.Handle(lambdaPath+"/", thisMachine(http.StripPrefix(lambdaPath, invocations)))
	mux.Handle("/"+Stage+"/@connections/", thisMachine(s.Gateway))
	if s.Lambda != nil {
		services, err := s.services(o, events, invocations, g.Log)
		if err != nil {
			return err
		}
		mux.Handle(awsPath+"/", thisMachine(services))
	}
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.server.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	s.endSchedules = cancel
	if o.Minute > 0 {
		s.schedules.Go(func() { eventbridge.EveryMinute(ctx, o.Minute, r.scheduled) })
	}
	return nil
}

// thisMachine refuses requests from other machines. It protects interfaces that belong to
// AWS and that do not verify signatures here.
func thisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().Unmap().IsLoopback() {
			http.Error(w, "only the functions on this machine may use this address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
