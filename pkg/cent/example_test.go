package cent_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"centrifuge/pkg/cent"
	"centrifuge/pkg/manifest"
)

// An application publishes to all subscribers of a channel.
func Example() {
	client, err := cent.New(cent.Options{URL: "https://api.rt.example.com", APIKey: os.Getenv("CENT_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	price := map[string]any{"symbol": "ACME", "price": 12.5}
	result, err := client.Publish(context.Background(), "stocks:ACME", price, cent.PublishOptions{})
	switch refusal := (*cent.Error)(nil); {
	case err == nil && result.Delivered != nil:
		fmt.Println("connections that received it:", *result.Delivered)
	case err == nil:
		fmt.Println("published by a server that does not count")
	case errors.As(err, &refusal) && !refusal.Temporary:
		log.Fatal("refused: ", refusal)
	default:
		log.Print("try again later: ", err)
	}
}

// With its own key, a job that runs twice publishes once.
func ExampleClient_Publish() {
	client, err := cent.New(cent.Options{URL: "http://127.0.0.1:8080", APIKey: "demo-key"})
	if err != nil {
		log.Fatal(err)
	}
	order := cent.PublishOptions{IdempotencyKey: "order-1234-paid"}
	if _, err := client.Publish(context.Background(), "news:orders", "order 1234 is paid", order); err != nil {
		log.Print(err)
	}
}

// Every channel of a broadcast has its own outcome.
func ExampleClient_Broadcast() {
	client, err := cent.New(cent.Options{URL: "http://127.0.0.1:8080", APIKey: "demo-key"})
	if err != nil {
		log.Fatal(err)
	}
	outcomes, err := client.Broadcast(context.Background(), []string{"news:de", "news:fr"}, "hello", cent.PublishOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Error != nil {
			log.Print(o.Channel, ": ", o.Error)
		}
	}
}

// A deployment creates its project or updates it.
func ExampleAdmin() {
	admin, err := cent.NewAdmin(cent.AdminOptions{URL: "https://api.rt.example.com", Password: os.Getenv("CENT_ADMIN_PASSWORD")})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	made, err := admin.PutProject(ctx, manifest.Project{ID: "shop", Name: "Shop"})
	if err != nil {
		log.Fatal(err)
	}
	if made.Created {
		fmt.Println("store the secret", made.Secret, "and the API key", made.APIKey)
	}
	chat := manifest.Category{Name: "chat", CategoryOptions: manifest.CategoryOptions{Bidirectional: true, Presence: true}}
	if _, err := admin.PutCategory(ctx, "shop", chat); err != nil {
		log.Fatal(err)
	}
}
