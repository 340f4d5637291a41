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

// An application publishes to everybody who has opened the page.
func Example() {
	client, err := cent.New(cent.Options{URL: "https://api.rt.example.com", APIKey: os.Getenv("CENT_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	price := map[string]any{"symbol": "ACME", "price": 12.5}
	err = client.Publish(context.Background(), "stocks:ACME", price, cent.PublishOptions{})
	switch refusal := (*cent.Error)(nil); {
	case err == nil:
		fmt.Println("sent, once")
	case errors.As(err, &refusal) && !refusal.Temporary:
		log.Fatal("there is something to correct: ", refusal)
	default:
		log.Print("Centrifuge could not be reached: ", err)
	}
}

// A key of the application's own makes a job that may run twice publish once.
func ExampleClient_Publish() {
	client, err := cent.New(cent.Options{URL: "http://127.0.0.1:8080", APIKey: "demo-key"})
	if err != nil {
		log.Fatal(err)
	}
	order := cent.PublishOptions{IdempotencyKey: "order-1234-paid"}
	if err := client.Publish(context.Background(), "news:orders", "order 1234 is paid", order); err != nil {
		log.Print(err)
	}
}

// Every channel of a broadcast has an outcome of its own.
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

// A deployment makes sure that its project is as the code expects it.
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
		fmt.Println("keep these: the secret", made.Secret, "and the API key", made.APIKey)
	}
	chat := manifest.Category{Name: "chat", CategoryOptions: manifest.CategoryOptions{Bidirectional: true, Presence: true}}
	if _, err := admin.PutCategory(ctx, "shop", chat); err != nil {
		log.Fatal(err)
	}
}
