package hub

import "context"

// Usage is who is connected to a project at one moment.
type Usage struct {
	// Clients are authenticated connections, Users their distinct named users.
	Clients, Users int
	// Subscribers counts the subscriptions of each channel that has any.
	Subscribers map[Channel]int
}

// Usages measures. It is for operators: it reads the whole table.
type Usages interface {
	// Usage counts what has not expired. It fails when ctx ends before everything
	// was read, rather than return a part.
	Usage(ctx context.Context, project string) (Usage, error)
}
