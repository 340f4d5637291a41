package callback_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"centrifuge/pkg/callback"
	"centrifuge/pkg/hub"
)

// receiver is a handler that an application can use at its webhook_url. It needs the
// secret of the project only.
func receiver(secret string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
		if err != nil {
			http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
			return
		}
		timestamp := r.Header.Get("X-Centrifuge-Timestamp")
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if age := time.Since(time.Unix(seconds, 0)); err != nil || age.Abs() > 5*time.Minute {
			http.Error(w, "timestamp is not current", http.StatusUnauthorized)
			return
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(timestamp + "."))
		mac.Write(body)
		mac.Write([]byte("\n"))
		want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
		if !hmac.Equal([]byte(want), []byte(r.Header.Get("X-Centrifuge-Signature"))) {
			http.Error(w, "wrong signature", http.StatusUnauthorized)
			return
		}
		var message struct {
			EventID  string          `json:"event_id"`
			Category string          `json:"category"`
			Channel  string          `json:"channel"`
			Data     json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(body, &message); err != nil {
			http.Error(w, "not JSON", http.StatusBadRequest)
			return
		}
		fmt.Printf("%s:%s received %s\n", message.Category, message.Channel, message.Data)
		w.WriteHeader(http.StatusNoContent)
	}
}

// An application verifies a webhook before it uses it.
func ExampleNotifier_Notify() {
	server := httptest.NewServer(receiver("project-secret"))
	defer server.Close()

	project := &hub.Project{ID: "demo", Secret: "project-secret", Options: hub.ProjectOptions{WebhookURL: server.URL}}
	forger := *project
	forger.Secret = "guess"
	message := []byte(`{"event_id":"6921d2fb0123456789abcdef","category":"chat","channel":"lobby","data":{"text":"hello"}}`)

	notifier := callback.NewNotifier(callback.NotifierOptions{Insecure: true}) // the server has a loopback address
	if err := notifier.Notify(context.Background(), project, message); err != nil {
		log.Print(err)
	}
	if notifier.Notify(context.Background(), &forger, message) != nil {
		fmt.Println("wrong signature refused")
	}
	// Output:
	// chat:lobby received {"text":"hello"}
	// wrong signature refused
}
