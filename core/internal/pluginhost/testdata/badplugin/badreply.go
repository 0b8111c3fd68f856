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

// hugeReply is the size of a reply beyond the limit, in bytes.
const hugeReply = 100 << 20

// serveBadReplies serves replies that the SDK's server cannot send.
func serveBadReplies(info sdk.Info) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: plugin.Handshake,
		Plugins:         goplugin.PluginSet{"llm": &badReplies{info: info}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxSendMsgSize(1<<30), grpc.ForceServerCodec(garbler{}))...)
		},
	})
}

type badReplies struct {
	goplugin.NetRPCUnsupportedPlugin
	goplugin.GRPCPlugin
	llmv1.UnimplementedLLMServiceServer
	info sdk.Info
}

func (w *badReplies) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	llmv1.RegisterLLMServiceServer(s, w)
	return plugin.Register(s, "llm", w.info, w)
}

func (w *badReplies) Chat(req *llmv1.ChatRequest, stream llmv1.LLMService_ChatServer) error {
	delta := &llmv1.Delta{Content: &llmv1.Delta_Text{Text: garbage}}
	if req.GetModel() == "huge" {
		delta.Content = &llmv1.Delta_Text{Text: strings.Repeat("x", hugeReply)}
	}
	if req.GetModel() == "fine" {
		return stream.Send(&llmv1.ChatResponse{Finish: &llmv1.Finish{Reason: llmv1.FinishReason_FINISH_REASON_STOP}})
	}
	return stream.Send(&llmv1.ChatResponse{Deltas: []*llmv1.Delta{delta}})
}

// garbage marks a message that garbler replaces with bytes that are not protobuf.
const garbage = "garbage, please"

type garbler struct{}

func (garbler) Name() string { return "proto" }

func (garbler) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("message has type %T", v)
	}
	data, err := proto.Marshal(m)
	if strings.Contains(string(data), garbage) {
		data = []byte(strings.Repeat("\xff", 1000))
	}
	return data, err
}

func (garbler) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }
