// Lists, follows and ends a session with a client that is generated from the document of the API: by the API at API_URL, at the target TARGET.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"countersign.test/rest/target/api"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := must(api.NewClientWithResponses(os.Getenv("API_URL")))
	target := os.Getenv("TARGET")

	listed := must(client.SessionListWithResponse(ctx, &api.SessionListParams{Target: &target}))
	if listed.JSON200 == nil || len(listed.JSON200.Sessions) != 1 {
		fail(fmt.Sprintf("listed: %s %s", listed.Status(), listed.Body))
	}
	one := listed.JSON200.Sessions[0]

	// A stream is read as it comes.
	events := must(client.ClientInterface.SessionFollow(ctx, &api.SessionFollowParams{Target: &target}))
	defer events.Body.Close()
	seen := make(chan int)
	go tell(events.Body, seen)
	if count := <-seen; count != 1 {
		fail(fmt.Sprintf("followed: %d sessions", count))
	}

	reason := "shown by a client of Go"
	body := api.SessionEndJSONRequestBody{Reason: &reason}
	named, _ := json.Marshal(map[string]any{"reason": reason, "sessions": []map[string]string{
		{"id": one.Id, "gatewaySpiffeId": one.GatewaySpiffeId, "gatewayAddress": one.GatewayAddress},
	}})
	if err := json.Unmarshal(named, &body); err != nil {
		fail(err.Error())
	}
	ended := must(client.SessionEndWithResponse(ctx, &api.SessionEndParams{}, body))
	if ended.JSON200 == nil || len(ended.JSON200.Ended) != 1 || ended.JSON200.Ended[0].Id != one.Id {
		fail(fmt.Sprintf("ended: %s %s", ended.Status(), ended.Body))
	}
	for count := range seen {
		if count == 0 {
			fmt.Println("listed, followed, ended")
			return
		}
	}
	fail("the stream ended before the session was gone")
}

// How many sessions each event tells of.
func tell(body interface{ Read([]byte) (int, error) }, seen chan<- int) {
	defer close(seen)
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		if !isData {
			continue
		}
		var told struct{ Sessions []json.RawMessage }
		if err := json.Unmarshal([]byte(data), &told); err != nil {
			fail(err.Error())
		}
		seen <- len(told.Sessions)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(err.Error())
	}
	return value
}

func fail(what string) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
