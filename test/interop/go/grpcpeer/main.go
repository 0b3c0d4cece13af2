// Grpcpeer is a server and a client of gRPC's own health service, for what passes between them.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func main() {
	switch os.Args[1] {
	case "serve":
		serve()
	case "crowd":
		crowd(os.Args[2])
	default:
		call(os.Args[2])
	}
}

// Many watches over one connection, beside which short calls are answered; then the watches end by what the gateway says.
func crowd(address string) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	client := healthpb.NewHealthClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var watches []grpc.ServerStreamingClient[healthpb.HealthCheckResponse]
	for range 90 {
		watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "still"})
		if err != nil {
			panic(err)
		}
		watches = append(watches, watch)
	}
	for _, watch := range watches {
		if _, err := watch.Recv(); err != nil {
			panic(err)
		}
	}
	for range 20 {
		if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			panic(err)
		}
	}
	fmt.Println("answered")
	codes := map[string]int{}
	for _, watch := range watches {
		_, err := watch.Recv()
		codes[fmt.Sprint(status.Code(err))]++
	}
	fmt.Println(codes)
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	state := health.NewServer()
	healthpb.RegisterHealthServer(server, state)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for up := false; ; up = !up {
			time.Sleep(200 * time.Millisecond)
			set := healthpb.HealthCheckResponse_NOT_SERVING
			if up {
				set = healthpb.HealthCheckResponse_SERVING
			}
			state.SetServingStatus("turns", set)
		}
	}()
	panic(server.Serve(listener))
}

func call(address string) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	client := healthpb.NewHealthClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for range 20 {
		answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			panic(err)
		}
		if answer.Status != healthpb.HealthCheckResponse_SERVING {
			panic(answer.Status)
		}
	}
	fmt.Println("unary SERVING")
	_, err = client.Check(ctx, &healthpb.HealthCheckRequest{Service: "unknown"})
	fmt.Println("unknown", status.Code(err))
	watching, stop := context.WithCancel(ctx)
	watch, err := client.Watch(watching, &healthpb.HealthCheckRequest{Service: "turns"})
	if err != nil {
		panic(err)
	}
	for range 4 {
		if _, err := watch.Recv(); err != nil {
			panic(err)
		}
	}
	stop()
	_, err = watch.Recv()
	fmt.Println("watch", status.Code(err))
	short, done := context.WithTimeout(ctx, 300*time.Millisecond)
	defer done()
	watch, err = client.Watch(short, &healthpb.HealthCheckRequest{Service: "turns"})
	for err == nil {
		_, err = watch.Recv()
	}
	fmt.Println("deadline", status.Code(err) == codes.DeadlineExceeded)
	_, err = client.List(ctx, &healthpb.HealthListRequest{})
	fmt.Println("refused", status.Code(err))
}
