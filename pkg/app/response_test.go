package app

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
)

// TestAnswerForm checks what aws-lambda-go requires of an answer to post it as it is.
func TestAnswerForm(t *testing.T) {
	a, err := answerFirst(lambda.NewHandler(func() (string, error) { return "<ok>", nil }))(t.Context(), json.RawMessage("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if encoded, err := json.Marshal(a); string(encoded) != "{}" || err != nil {
		t.Errorf("the answer is encoded as %s, error %v, expected {}", encoded, err)
	}
	if got := a.ContentType(); got != "application/json" {
		t.Errorf("content type %s", got)
	}
	if response, err := io.ReadAll(a); string(response) != `"<ok>"` || err != nil {
		t.Errorf("response %s, error %v", response, err)
	}
}
