package agent

import (
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	"github.com/agentarea/agentarea/sdk/plugin"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// maxPayload is the maximum size of a call or a reply in bytes: the maximum size of a message less
// the envelope.
const maxPayload = plugin.MaxMessageSize - 64

func fromRun(r *Run) *agentv1.Start {
	return &agentv1.Start{
		RunId: r.ID, AgentId: r.AgentID, SessionId: r.SessionID,
		ConfigJson: wire.UTF8(string(r.Config)),
		History:    wire.FromMessages(r.History),
		Input:      wire.FromMessage(&r.Input),
		TimeMs:     r.Time.UnixMilli(),
		Seed:       r.Seed,
	}
}

func toRun(s *agentv1.Start) *Run {
	r := &Run{
		ID: s.GetRunId(), AgentID: s.GetAgentId(), SessionID: s.GetSessionId(),
		Config:  json.RawMessage(s.GetConfigJson()),
		History: wire.ToMessages(s.GetHistory()),
		Time:    time.UnixMilli(s.GetTimeMs()).UTC(),
		Seed:    s.GetSeed(),
	}
	if in := wire.ToMessage(s.GetInput()); in != nil {
		r.Input = *in
	}
	return r
}

func fromCompletion(c *Completion) *agentv1.Complete {
	return &agentv1.Complete{
		Model: wire.UTF8(c.Model), Messages: wire.FromMessages(c.Messages), Tools: wire.FromTools(c.Tools),
		Temperature: c.Temperature, MaxTokens: c.MaxTokens, TopP: c.TopP, Stop: wire.UTF8s(c.Stop),
		Forward: c.Forward, WantDeltas: c.OnDelta != nil, Final: c.Final,
	}
}

// toCompletion converts c. It does not set OnDelta.
func toCompletion(c *agentv1.Complete) *Completion {
	return &Completion{
		Model: c.GetModel(), Messages: wire.ToMessages(c.GetMessages()), Tools: wire.ToTools(c.GetTools()),
		Temperature: c.Temperature, MaxTokens: c.MaxTokens, TopP: c.TopP, Stop: c.GetStop(),
		Forward: c.GetForward(), Final: c.GetFinal(),
	}
}

func fromAnswer(a *Answer) *agentv1.Completion {
	return &agentv1.Completion{
		Message: wire.FromMessage(&a.Message), FinishReason: wire.UTF8(a.FinishReason),
		Usage: wire.FromUsage(a.Usage), Model: wire.UTF8(a.Model),
	}
}

func toAnswer(c *agentv1.Completion) *Answer {
	a := &Answer{FinishReason: c.GetFinishReason(), Usage: wire.ToUsage(c.GetUsage()), Model: c.GetModel()}
	if m := wire.ToMessage(c.GetMessage()); m != nil {
		a.Message = *m
	}
	return a
}

func fromToolResult(r *sdk.ToolResult) *agentv1.ToolResult {
	return &agentv1.ToolResult{Parts: wire.FromParts(r.Parts), IsError: r.IsError}
}

func toToolResult(r *agentv1.ToolResult) sdk.ToolResult {
	return sdk.ToolResult{Parts: wire.ToParts(r.GetParts()), IsError: r.GetIsError()}
}

func fromFileRange(r *FileRange) *agentv1.ReadFile {
	return &agentv1.ReadFile{FileId: wire.UTF8(r.FileID), Offset: r.Offset, Length: r.Length}
}

func toFileRange(r *agentv1.ReadFile) *FileRange {
	return &FileRange{FileID: r.GetFileId(), Offset: r.GetOffset(), Length: r.GetLength()}
}
