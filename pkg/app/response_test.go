package app

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
)

// TestAnswerForm checks that aws-lambda-go takes an answer for a reader, with the content
// type of a response that it encodes itself.
func TestAnswerForm(t *testing.T) {
	a, err := answerFirst(lambda.NewHandler(func() (string, error) { return "<ok>", nil }))(t.Context(), json.RawMessage("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.ContentType(); got != "application/json" {
		t.Errorf("content type %s", got)
	}
	response, err := lambda.NewHandler(func() (*answer, error) { return a, nil }).Invoke(t.Context(), nil)
	if string(response) != `"<ok>"` || err != nil {
		t.Errorf("response %s, error %v", response, err)
	}
}
