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

// A plugin's author runs the program with --debug, under a debugger perhaps: it
// serves on a socket and says which line of the stanza leads the server there.
// The process that the server starts then only passes on what is said.
const (
	debugFlag = "--debug"
	// debugVariable has the socket that leads to the process under the debugger.
	debugVariable = "AGENTAREA_DEBUG"
)

// underDebugger serves until it is interrupted, if the program was started with --debug.
func underDebugger(kind string, info sdk.Info, impl any, register func(*grpc.Server)) (asked bool, err error) {
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
	fmt.Fprintf(os.Stderr, "%s serves. Have its stanza in plugins.hcl lead here:\n\n  env = { %s = %q }\n\nCtrl-C ends it.\n", info.Name, debugVariable, socket)
	return true, s.Serve(l)
}

// attached gives the options of a server that passes everything on to the
// process under the debugger; none without one.
func attached() ([]grpc.ServerOption, error) {
	socket := os.Getenv(debugVariable)
	if socket == "" {
		return nil, nil
	}
	cc, err := grpc.NewClient("unix:"+socket, append(DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", debugVariable, err)
	}
	return []grpc.ServerOption{grpc.ForceServerCodec(passing{}), grpc.UnknownServiceHandler(forward(cc))}, nil
}

// message is one that is passed on as it is.
type message struct{ data []byte }

// passing leaves a message as it is, and takes go-plugin's own apart.
type passing struct{}

func (passing) Name() string { return "proto" }

func (passing) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *message:
		return m.data, nil
	case proto.Message:
		return proto.Marshal(m)
	}
	return nil, fmt.Errorf("a message is a %T", v)
}

func (passing) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *message:
		m.data = slices.Clone(data)
		return nil
	case proto.Message:
		return proto.Unmarshal(data, m)
	}
	return fmt.Errorf("a message is a %T", v)
}

// forward passes any call on, both ways.
func forward(cc *grpc.ClientConn) grpc.StreamHandler {
	return func(_ any, in grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(in)
		ctx, cancel := context.WithCancel(in.Context())
		defer cancel()
		out, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodec(passing{}))
		if err != nil {
			return err
		}
		go func() {
			m := &message{}
			for in.RecvMsg(m) == nil && out.SendMsg(m) == nil {
			}
			_ = out.CloseSend() // the answer tells what was wrong
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
