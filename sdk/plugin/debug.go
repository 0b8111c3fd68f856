package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/agentarea/agentarea/sdk"
)

// Developers can start a plugin themselves with --debug, for example in a debugger. It then serves on a
// socket and prints a line for the plugin's block in plugins.hcl. With this line, the process that the
// server starts acts as a proxy to the developer's process.
const (
	debugFlag = "--debug"
	// debugVariable contains the path of the socket of the developer's process.
	debugVariable = "AGENTAREA_DEBUG"
)

// serveDebug serves until it is interrupted, if the program was started with --debug. Otherwise it
// returns false.
func serveDebug(kind string, info sdk.Info, impl any, register func(*grpc.Server)) (served bool, err error) {
	if !slices.Contains(os.Args[1:], debugFlag) {
		return false, nil
	}
	dir, err := os.MkdirTemp("", "agentarea-debug-")
	if err != nil {
		return true, err
	}
	defer os.RemoveAll(dir)
	s := grpc.NewServer(ServerOptions()...)
	if err := Register(s, kind, info, impl); err != nil {
		return true, err
	}
	register(s)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	socket := filepath.Join(dir, "socket")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return true, err
	}
	defer context.AfterFunc(ctx, s.Stop)()
	fmt.Fprintf(os.Stderr,
		"%s is serving. To use this process, add this line to its block in plugins.hcl:\n\n  env = { %s = %q }\n\nPress "+
			"Ctrl-C to stop.\n", info.Name, debugVariable, socket)
	return true, s.Serve(l)
}

// proxyOptions returns the options of a server that forwards every call to the developer's process. It
// returns none if debugVariable is not set.
func proxyOptions() ([]grpc.ServerOption, error) {
	socket := os.Getenv(debugVariable)
	if socket == "" {
		return nil, nil
	}
	cc, err := grpc.NewClient("unix:"+socket,
		append(DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", debugVariable, err)
	}
	return []grpc.ServerOption{grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(forward(cc))}, nil
}

// message is an encoded message.
type message struct{ data []byte }

// rawCodec does not decode a *message. It encodes and decodes the messages of go-plugin's own services.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *message:
		return m.data, nil
	case proto.Message:
		return proto.Marshal(m)
	}
	return nil, fmt.Errorf("unexpected message type %T", v)
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *message:
		m.data = slices.Clone(data)
		return nil
	case proto.Message:
		return proto.Unmarshal(data, m)
	}
	return fmt.Errorf("unexpected message type %T", v)
}

// forward forwards calls of any method to cc, in both directions.
func forward(cc *grpc.ClientConn) grpc.StreamHandler {
	return func(_ any, in grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(in)
		ctx, cancel := context.WithCancel(in.Context())
		defer cancel()
		out, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method,
			grpc.ForceCodec(rawCodec{}))
		if err != nil {
			return err
		}
		go func() {
			m := &message{}
			for in.RecvMsg(m) == nil && out.SendMsg(m) == nil {
			}
			_ = out.CloseSend() // the response below contains the error
		}()
		for {
			m := &message{}
			if err := out.RecvMsg(m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := in.SendMsg(m); err != nil {
				return err
			}
		}
	}
}
