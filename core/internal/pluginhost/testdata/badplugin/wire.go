package main

import (
	"fmt"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// hugeReply is what a plugin without limits may send, in bytes.
const hugeReply = 100 << 20

// serveWire serves replies that no plugin of the SDK can send.
func serveWire(info sdk.Info) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: plugin.Handshake,
		Plugins:         goplugin.PluginSet{"llm": &wire{info: info}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxSendMsgSize(1<<30), grpc.ForceServerCodec(garbler{}))...)
		},
	})
}

type wire struct {
	goplugin.NetRPCUnsupportedPlugin
	goplugin.GRPCPlugin
	llmv1.UnimplementedLLMServiceServer
	info sdk.Info
}

func (w *wire) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	llmv1.RegisterLLMServiceServer(s, w)
	return plugin.Register(s, "llm", w.info, w)
}

func (w *wire) Chat(req *llmv1.ChatRequest, stream llmv1.LLMService_ChatServer) error {
	delta := &llmv1.Delta{Content: &llmv1.Delta_Text{Text: garbage}}
	if req.GetModel() == "huge" {
		delta.Content = &llmv1.Delta_Text{Text: strings.Repeat("x", hugeReply)}
	}
	if req.GetModel() == "fine" {
		return stream.Send(&llmv1.ChatResponse{Finish: &llmv1.Finish{Reason: llmv1.FinishReason_FINISH_REASON_STOP}})
	}
	return stream.Send(&llmv1.ChatResponse{Deltas: []*llmv1.Delta{delta}})
}

// garbage stands for a message that is no protobuf at all.
const garbage = "garbage, please"

type garbler struct{}

func (garbler) Name() string { return "proto" }

func (garbler) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a message is a %T", v)
	}
	data, err := proto.Marshal(m)
	if strings.Contains(string(data), garbage) {
		data = []byte(strings.Repeat("\xff", 1000))
	}
	return data, err
}

func (garbler) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }
