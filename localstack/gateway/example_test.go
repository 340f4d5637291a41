package gateway_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"

	"centrifuge/localstack/gateway"
)

// A WebSocket API with one Lambda function, and a client.
func Example() {
	shout := func(_ context.Context, r events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: r.Body + "!"}, nil
	}
	gw := gateway.New(gateway.Options{
		Routes: map[string]gateway.Function{"$default": gateway.NewFunction(shout)},
	})
	server := httptest.NewServer(gw)
	defer server.Close()
	defer gw.Close()

	ctx := context.Background()
	client, _, err := websocket.Dial(ctx, server.URL+"/dev", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.CloseNow() }()
	if err := client.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	_, reply, err := client.Read(ctx)
	fmt.Println(string(reply), err)
	// Output: hello! <nil>
}
