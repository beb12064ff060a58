// grpc-go, which sends a DATA frame for each message: many small creates on a stream, then as many deliveries at the largest credit, each
// acknowledged in a message of its own. Arguments: address, namespace, tasks.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "z4pb"
)

const creditMax = 65536

// Debian's grpc-go encodes with an older library than its generated messages are made for.
type codec struct{}

func (codec) Name() string                          { return "proto" }
func (codec) Marshal(v interface{}) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }
func (codec) Unmarshal(data []byte, v interface{}) error {
	return proto.Unmarshal(data, v.(proto.Message))
}

func check(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

// A stream of creates, as both rpcs have it.
type creates interface {
	Send(*pb.CreateTaskRequest) error
	Recv() (*pb.TaskStreamResponse, error)
	CloseSend() error
}

// Sends as fast as the socket takes it, and counts the answers.
func create(stream creates, namespace string, tasks int) {
	go func() {
		for n := 0; n < tasks; n++ {
			request := &pb.CreateTaskRequest{Namespace: namespace, Payload: []byte(fmt.Sprintf("%08d", n))}
			// The answers tell why.
			if stream.Send(request) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	for n := 0; ; n++ {
		answer, err := stream.Recv()
		if err == io.EOF {
			if n != tasks {
				log.Fatalf("%d creates were answered, %d were sent", n, tasks)
			}
			return
		}
		check(fmt.Sprintf("create %d", n), err)
		if answer.Status != 0 {
			log.Fatalf("create %d: %d %s", n, answer.Status, answer.Message)
		}
	}
}

// Takes and acknowledges every task; each must come once.
func consume(ctx context.Context, client pb.CollectionClient, namespace string, tasks int) {
	stream, err := client.Consume(ctx)
	check("Consume", err)
	open := &pb.ConsumeOpen{Namespaces: []string{namespace}}
	check("open", stream.Send(&pb.ConsumeRequest{Open: open, Credit: creditMax}))
	// Who waits for room to send before it reads on may wait for ever: acks have a sender of their own.
	acks := make(chan *pb.Ack, tasks)
	go func() {
		for ack := range acks {
			if stream.Send(&pb.ConsumeRequest{Acks: []*pb.Ack{ack}, Credit: 1}) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	seen := make(map[string]bool, tasks)
	for acked := 0; ; {
		answer, err := stream.Recv()
		if err == io.EOF && acked == tasks {
			break
		}
		check(fmt.Sprintf("%d delivered, %d acknowledged", len(seen), acked), err)
		for _, result := range answer.Results {
			if result.Status != 0 {
				log.Fatalf("ack %d: %d %s", acked, result.Status, result.Message)
			}
			acked++
		}
		for _, delivery := range answer.Deliveries {
			payload := string(delivery.Task.Payload)
			if seen[payload] {
				log.Fatalf("%s was delivered twice", payload)
			}
			seen[payload] = true
			acks <- &pb.Ack{Namespace: namespace, TaskId: delivery.Task.Id, Token: delivery.Token}
		}
		if acked == tasks {
			close(acks)
		}
	}
	if len(seen) != tasks {
		log.Fatalf("%d tasks were delivered, %d were created", len(seen), tasks)
	}
}

func live(ctx context.Context, client pb.CollectionClient, namespace string) int {
	answer, err := client.GetNamespace(ctx, &pb.GetNamespaceRequest{Namespace: namespace})
	check("GetNamespace", err)
	return int(answer.Live)
}

func main() {
	address, namespace := os.Args[1], os.Args[2]
	tasks, err := strconv.Atoi(os.Args[3])
	check("tasks", err)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	connection, err := grpc.DialContext(ctx, address, grpc.WithInsecure(), grpc.WithBlock(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{})))
	check("dial", err)
	client := pb.NewCollectionClient(connection)
	for _, way := range []string{"sync", "async"} {
		name := namespace + "-" + way
		since := time.Now()
		var stream creates
		if way == "sync" {
			stream, err = client.CreateTaskStream(ctx)
		} else {
			stream, err = client.CreateTaskStreamAsync(ctx)
		}
		check(way, err)
		create(stream, name, tasks)
		// Asynchronous ones are answered before they are done.
		for way == "async" && live(ctx, client, name) < tasks {
			time.Sleep(10 * time.Millisecond)
		}
		if found := live(ctx, client, name); found != tasks {
			log.Fatalf("%s: %d tasks are there, %d were created", name, found, tasks)
		}
		created := time.Since(since)
		consume(ctx, client, name, tasks)
		if left := live(ctx, client, name); left != 0 {
			log.Fatalf("%s: %d tasks are left", name, left)
		}
		fmt.Printf("%s: %d created in %v, consumed in %v\n", way, tasks, created, time.Since(since)-created)
	}
	fmt.Println("go ok")
}
