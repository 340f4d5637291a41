// Command example is a client of Centrifugo's protocol, as the documents show it:
//
//	go run ./localstack/sdk/example URL TOKEN
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/centrifugal/centrifuge-go"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: example URL TOKEN")
	}
	client := centrifuge.NewJsonClient(os.Args[1], centrifuge.Config{Token: os.Args[2]})
	subscription, err := client.NewSubscription("log:lobby")
	if err != nil {
		log.Fatal(err)
	}
	subscription.OnPublication(func(e centrifuge.PublicationEvent) { fmt.Println(e.Offset, string(e.Data)) })
	if err := subscription.Subscribe(); err != nil {
		log.Fatal(err)
	}
	if err := client.Connect(); err != nil {
		log.Fatal(err)
	}
	select {}
}
