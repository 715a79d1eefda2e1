// A Flight client as older consumers are written: GetFlightInfo of contract/data, then DoGet of its ticket.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/apache/arrow/go/v17/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx := context.Background()
	client, err := flight.NewClientWithMiddleware(
		address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer client.Close()
	info, err := client.GetFlightInfo(ctx, &flight.FlightDescriptor{
		Type: flight.DescriptorPATH, Path: []string{"contract", "data"}})
	if err != nil {
		return err
	}
	stream, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		return err
	}
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return err
	}
	defer reader.Release()
	out := json.NewEncoder(os.Stdout)
	for reader.Next() {
		record := reader.Record()
		if err := out.Encode(record); err != nil {
			return err
		}
		if len(reader.LatestAppMetadata()) == 0 {
			return fmt.Errorf("a batch without app_metadata")
		}
	}
	return reader.Err()
}
