package gateway

import (
	"context"
	"time"

	"centrifuge/pkg/hub"
)

const (
	// Reserve is the time between the end of a handler's context and the moment at which
	// Lambda kills the process. In it a handler that was cut off logs, settles and
	// replies.
	Reserve = 3 * time.Second
	// replyShare is the part of the reserve that is left for the reply when everything
	// else has to end.
	replyShare = 6
)

// limit returns the context of a handler for that of its invocation, whose deadline is
// the moment of the kill. It ends before the kill by the reserve, or by half of the time
// that is left if that is less. Without a deadline it does not end.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	kill, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	r := min(Reserve, time.Until(kill)/2)
	return context.WithDeadline(hub.WithStop(ctx, kill.Add(-r/replyShare)), kill.Add(-r))
}
