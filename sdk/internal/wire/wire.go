// Package wire converts the types of the SDK to protobuf messages and back.
//
// Protobuf rejects strings that are not valid UTF-8. The conversion to protobuf replaces invalid bytes by
// U+FFFD, so that unusual output of a tool does not fail a run.
package wire

import (
	"strings"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// UTF8 returns s with invalid UTF-8 replaced by U+FFFD.
func UTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// UTF8s returns a slice with UTF8 of each string.
func UTF8s(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = UTF8(s)
	}
	return out
}

// FromMessages converts ms to protobuf messages.
func FromMessages(ms []sdk.Message) []*basev1.Message {
	if len(ms) == 0 {
		return nil
	}
	slab := make([]basev1.Message, len(ms))
	out := make([]*basev1.Message, len(ms))
	for i := range ms {
		out[i] = &slab[i]
		fillMessage(out[i], &ms[i])
	}
	return out
}

// FromMessage converts m to a protobuf message. FromMessage(nil) returns nil.
func FromMessage(m *sdk.Message) *basev1.Message {
	if m == nil {
		return nil
	}
	out := &basev1.Message{}
	fillMessage(out, m)
	return out
}

func fillMessage(out *basev1.Message, m *sdk.Message) {
	out.Role = fromRole(m.Role)
	out.Parts = FromParts(m.Parts)
	out.ToolCallId = UTF8(m.ToolCallID)
	out.ToolError = m.ToolError
	for i := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, FromToolCall(m.ToolCalls[i]))
	}
}

// ToMessages converts ms to messages of the SDK.
func ToMessages(ms []*basev1.Message) []sdk.Message {
	if len(ms) == 0 {
		return nil
	}
	out := make([]sdk.Message, len(ms))
	for i, m := range ms {
		fillSDKMessage(&out[i], m)
	}
	return out
}

// ToMessage converts m to a message of the SDK. ToMessage(nil) returns nil.
func ToMessage(m *basev1.Message) *sdk.Message {
	if m == nil {
		return nil
	}
	out := &sdk.Message{}
	fillSDKMessage(out, m)
	return out
}

func fillSDKMessage(out *sdk.Message, m *basev1.Message) {
	out.Role = toRole(m.GetRole())
	out.Parts = ToParts(m.GetParts())
	out.ToolCallID = m.GetToolCallId()
	out.ToolError = m.GetToolError()
	for _, c := range m.GetToolCalls() {
		out.ToolCalls = append(out.ToolCalls, ToToolCall(c))
	}
}

// FromParts converts ps to protobuf messages.
func FromParts(ps []sdk.Part) []*basev1.Part {
	if len(ps) == 0 {
		return nil
	}
	slab := make([]basev1.Part, len(ps))
	out := make([]*basev1.Part, len(ps))
	for i, p := range ps {
		out[i] = &slab[i]
		if p.Blob != nil {
			out[i].Content = &basev1.Part_Blob{Blob: &basev1.Blob{
				MediaType: UTF8(p.Blob.MediaType), Data: p.Blob.Data, Name: UTF8(p.Blob.Name),
			}}
			continue
		}
		if f := p.File; f != nil {
			out[i].Content = &basev1.Part_File{File: &basev1.File{
				Id: UTF8(f.ID), Name: UTF8(f.Name), MediaType: UTF8(f.MediaType), Size: f.Size,
			}}
			continue
		}
		out[i].Content = &basev1.Part_Text{Text: UTF8(p.Text)}
	}
	return out
}

// ToParts converts ps to parts of the SDK.
func ToParts(ps []*basev1.Part) []sdk.Part {
	if len(ps) == 0 {
		return nil
	}
	out := make([]sdk.Part, len(ps))
	for i, p := range ps {
		if b := p.GetBlob(); b != nil {
			out[i].Blob = &sdk.Blob{MediaType: b.GetMediaType(), Data: b.GetData(), Name: b.GetName()}
			continue
		}
		if f := p.GetFile(); f != nil {
			out[i].File = &sdk.File{ID: f.GetId(), Name: f.GetName(), MediaType: f.GetMediaType(), Size: f.GetSize()}
			continue
		}
		out[i].Text = p.GetText()
	}
	return out
}

// FromToolCall converts c to a protobuf message.
func FromToolCall(c sdk.ToolCall) *basev1.ToolCall {
	return &basev1.ToolCall{Id: UTF8(c.ID), Name: UTF8(c.Name), ArgumentsJson: UTF8(c.Arguments)}
}

// ToToolCall converts c to a tool call of the SDK.
func ToToolCall(c *basev1.ToolCall) sdk.ToolCall {
	return sdk.ToolCall{ID: c.GetId(), Name: c.GetName(), Arguments: c.GetArgumentsJson()}
}

// FromTools converts ts to protobuf messages.
func FromTools(ts []sdk.Tool) []*basev1.Tool {
	out := make([]*basev1.Tool, 0, len(ts))
	for _, t := range ts {
		out = append(out, &basev1.Tool{
			Name: UTF8(t.Name), Description: UTF8(t.Description), ParametersJson: UTF8(t.Parameters),
			ReadOnly: t.ReadOnly, Idempotent: t.Idempotent,
		})
	}
	return out
}

// ToTools converts ts to tools of the SDK.
func ToTools(ts []*basev1.Tool) []sdk.Tool {
	if len(ts) == 0 {
		return nil
	}
	out := make([]sdk.Tool, 0, len(ts))
	for _, t := range ts {
		out = append(out, sdk.Tool{
			Name: t.GetName(), Description: t.GetDescription(), Parameters: t.GetParametersJson(),
			ReadOnly: t.GetReadOnly(), Idempotent: t.GetIdempotent(),
		})
	}
	return out
}

// FromUsage converts u to a protobuf message.
func FromUsage(u sdk.Usage) *basev1.Usage {
	return &basev1.Usage{
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens,
		CachedInputTokens: u.CachedInputTokens, ReasoningTokens: u.ReasoningTokens,
	}
}

// ToUsage converts u to the usage of the SDK.
func ToUsage(u *basev1.Usage) sdk.Usage {
	return sdk.Usage{
		InputTokens: u.GetInputTokens(), OutputTokens: u.GetOutputTokens(),
		CachedInputTokens: u.GetCachedInputTokens(), ReasoningTokens: u.GetReasoningTokens(),
	}
}

func fromRole(r sdk.Role) basev1.Role {
	switch r {
	case sdk.RoleSystem:
		return basev1.Role_ROLE_SYSTEM
	case sdk.RoleUser:
		return basev1.Role_ROLE_USER
	case sdk.RoleAssistant:
		return basev1.Role_ROLE_ASSISTANT
	case sdk.RoleTool:
		return basev1.Role_ROLE_TOOL
	}
	return basev1.Role_ROLE_UNSPECIFIED
}

func toRole(r basev1.Role) sdk.Role {
	switch r {
	case basev1.Role_ROLE_SYSTEM:
		return sdk.RoleSystem
	case basev1.Role_ROLE_USER:
		return sdk.RoleUser
	case basev1.Role_ROLE_ASSISTANT:
		return sdk.RoleAssistant
	case basev1.Role_ROLE_TOOL:
		return sdk.RoleTool
	case basev1.Role_ROLE_UNSPECIFIED:
	}
	return ""
}
