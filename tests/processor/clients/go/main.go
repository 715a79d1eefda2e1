// A Flight client as older consumers are written; ../README.md says what it is asked and what it prints.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, asked, compression, most string) error {
	limit, err := strconv.Atoi(most)
	if err != nil {
		return err
	}
	transport, err := encrypted()
	if err != nil {
		return err
	}
	client, err := flight.NewClientWithMiddleware(address, nil, nil, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(
		metadata.AppendToOutgoingContext(context.Background(), "compression", compression))
	defer cancel()
	if ctx, err = proven(ctx, client); err != nil {
		return err
	}
	if action, found := strings.CutPrefix(asked, "action:"); found {
		return act(ctx, client, action)
	}
	out := json.NewEncoder(os.Stdout)
	info, err := introduced(ctx, client, descriptor(asked), out)
	if err != nil {
		return err
	}
	for _, endpoint := range info.Endpoint {
		if err := read(ctx, client, endpoint.Ticket, limit, out); err != nil {
			return err
		}
	}
	return nil
}

// encrypted says how to reach the server: plainly, by TLS, or by TLS with a certificate of our own.
func encrypted() (credentials.TransportCredentials, error) {
	ca := os.Getenv("CLIENT_CA")
	if ca == "" {
		return insecure.NewCredentials(), nil
	}
	trusted, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(trusted)
	if certificate := os.Getenv("CLIENT_CERTIFICATE"); certificate != "" {
		own, err := tls.LoadX509KeyPair(certificate, os.Getenv("CLIENT_KEY"))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(config), nil
}

// proven returns a context whose calls show who we are.
func proven(ctx context.Context, client flight.Client) (context.Context, error) {
	if token := os.Getenv("CLIENT_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	if password := os.Getenv("CLIENT_PASSWORD"); password != "" {
		return client.AuthenticateBasicToken(ctx, "key", password)
	}
	return ctx, nil
}

func act(ctx context.Context, client flight.Client, action string) error {
	stream, err := client.DoAction(ctx, &flight.Action{Type: action})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func descriptor(asked string) *flight.FlightDescriptor {
	if strings.HasPrefix(asked, "{") {
		return &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte(asked)}
	}
	return &flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: strings.Split(asked, "/")}
}

func introduced(
	ctx context.Context, client flight.Client, wanted *flight.FlightDescriptor, out *json.Encoder,
) (*flight.FlightInfo, error) {
	result, err := client.GetSchema(ctx, wanted)
	if err != nil {
		return nil, err
	}
	schema, err := flight.DeserializeSchema(result.GetSchema(), nil)
	if err != nil {
		return nil, err
	}
	info, err := client.GetFlightInfo(ctx, wanted)
	if err != nil {
		return nil, err
	}
	told, err := flight.DeserializeSchema(info.GetSchema(), nil)
	if err != nil {
		return nil, err
	}
	if !told.Equal(schema) {
		return nil, fmt.Errorf("GetFlightInfo says %v, GetSchema %v", told, schema)
	}
	return info, out.Encode(map[string]any{"columns": names(schema), "metadata": schema.Metadata().ToMap()})
}

func names(schema *arrow.Schema) []string {
	held := make([]string, schema.NumFields())
	for at, field := range schema.Fields() {
		held[at] = field.Name
	}
	return held
}

func read(
	ctx context.Context, client flight.Client, ticket *flight.Ticket, limit int, out *json.Encoder,
) error {
	stream, err := client.DoGet(ctx, ticket)
	if err != nil {
		return err
	}
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return err
	}
	defer reader.Release()
	for taken := 0; (limit == 0 || taken < limit) && reader.Next(); taken++ {
		told := json.RawMessage(reader.LatestAppMetadata())
		if err := out.Encode(map[string]any{"told": told, "rows": reader.Record()}); err != nil {
			return err
		}
	}
	return reader.Err()
}
