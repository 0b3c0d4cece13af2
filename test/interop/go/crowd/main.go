// A crowd of workloads of one user: opens many FetchX509SVID streams at once over few connections, as the official client would each,
// and tells when all were answered and when all heard of the next rotation. Holds them open until standard input ends.
//
// Arguments: connections, streams a connection. The socket comes from SPIFFE_ENDPOINT_SOCKET.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	connections, err := strconv.Atoi(os.Args[1])
	check(err)
	each, err := strconv.Atoi(os.Args[2])
	check(err)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "workload.spiffe.io", "true")
	// How many messages a stream has had, one value a message.
	heard := make(chan int, connections*each)
	failed := make(chan error, connections*each)
	begin := time.Now()
	for range connections {
		connection, err := grpc.NewClient(os.Getenv("SPIFFE_ENDPOINT_SOCKET"),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		check(err)
		defer connection.Close()
		for range each {
			go listen(ctx, connection, heard, failed)
		}
	}
	go tell(begin, connections*each, heard, failed)
	_, err = io.Copy(io.Discard, os.Stdin)
	check(err)
}

func listen(ctx context.Context, connection *grpc.ClientConn, heard chan<- int, failed chan<- error) {
	stream, err := workload.NewSpiffeWorkloadAPIClient(connection).FetchX509SVID(ctx, &workload.X509SVIDRequest{})
	for count := 1; err == nil; count++ {
		var message *workload.X509SVIDResponse
		if message, err = stream.Recv(); err == nil && len(message.Svids) == 0 {
			err = fmt.Errorf("a message without an SVID")
		}
		if err == nil {
			heard <- count
		}
	}
	failed <- err
}

// tell prints a line when each stream has had its first message, and one when each has had its second.
func tell(begin time.Time, streams int, heard <-chan int, failed <-chan error) {
	seen := map[int]int{}
	var rotation time.Time
	for {
		select {
		case count := <-heard:
			seen[count]++
			switch {
			case count == 1 && seen[1] == streams:
				emit(map[string]any{"step": "open", "streams": streams, "ms": time.Since(begin).Milliseconds()})
			case count == 2 && seen[2] == 1:
				rotation = time.Now()
			}
			if count == 2 && seen[2] == streams {
				emit(map[string]any{"step": "rotated", "streams": streams, "ms": time.Since(rotation).Milliseconds()})
			}
		case err := <-failed:
			check(err)
		}
	}
}

func emit(line map[string]any) {
	text, err := json.Marshal(line)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
