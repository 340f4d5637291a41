package stack

import (
	"context"
	"testing"

	"centrifuge/localstack/gateway"
	"centrifuge/pkg/hub"
)

// TestAnswerFirst holds a function in work after its answer. Close waits for s.later.
func TestAnswerFirst(t *testing.T) {
	s := new(Stack)
	goOn, done := make(chan struct{}), false
	f := s.answerFirst(map[string]gateway.Function{"f": gateway.FunctionFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		hub.Later(ctx, func() {
			<-goOn
			done = true
		})
		return event, nil
	})})["f"]
	if response, err := f.Invoke(t.Context(), []byte("{}")); string(response) != "{}" || err != nil {
		t.Errorf("response %s, error %v", response, err)
	}
	close(goOn)
	if s.later.Wait(); !done {
		t.Error("the work was not done")
	}
}
