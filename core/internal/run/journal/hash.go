package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// hasher computes the hash of a request. Each value is written with its length, so that
// the hash is the same in every release and does not depend on a library. A new field
// must not be written when it is empty.
type hasher struct {
	hash.Hash
	n [8]byte
}

// Hash returns the SHA-256 of the request of call. Equal requests have equal hashes in
// every release, so a run that an older server started can be replayed.
func Hash(call *agent.Call) []byte {
	h := &hasher{Hash: sha256.New()}
	switch {
	case call.Complete != nil:
		h.completion(call.Complete)
	case call.CallTool != nil:
		h.text("call_tool")
		h.toolCall(*call.CallTool)
	case call.ReadFile != nil:
		h.text("read_file")
		h.text(call.ReadFile.FileID)
		h.number(uint64(call.ReadFile.Offset)) //nolint:gosec // the hash needs the bits only
		h.number(uint64(call.ReadFile.Length)) //nolint:gosec // the hash needs the bits only
	default:
		h.text("list_tools")
	}
	return h.Sum(nil)
}

func (h *hasher) number(n uint64) {
	binary.LittleEndian.PutUint64(h.n[:], n)
	_, _ = h.Write(h.n[:])
}

func (h *hasher) count(n int) { h.number(uint64(n)) } //nolint:gosec // lengths

func (h *hasher) bytes(b []byte) {
	h.count(len(b))
	_, _ = h.Write(b)
}

func (h *hasher) text(s string) { h.bytes([]byte(s)) }

func (h *hasher) float(f *float64) {
	if f == nil {
		h.count(0)
		return
	}
	h.count(1)
	h.number(math.Float64bits(*f))
}

func (h *hasher) completion(c *agent.Completion) {
	h.text("complete")
	h.text(c.Model)
	h.count(len(c.Messages))
	for _, m := range c.Messages {
		h.message(m)
	}
	h.count(len(c.Tools))
	for _, t := range c.Tools {
		h.text(t.Name)
		h.text(t.Description)
		h.text(t.Parameters)
	}
	h.float(c.Temperature)
	h.float(c.TopP)
	if c.MaxTokens != nil {
		h.count(1)
		h.number(uint64(*c.MaxTokens)) //nolint:gosec // the hash needs the bits only
	} else {
		h.count(0)
	}
	h.count(len(c.Stop))
	for _, s := range c.Stop {
		h.text(s)
	}
}

func (h *hasher) message(m sdk.Message) {
	h.text(string(m.Role))
	h.count(len(m.Parts))
	for _, p := range m.Parts {
		h.text(p.Text)
		if p.Blob != nil {
			h.text(p.Blob.MediaType)
			h.bytes(p.Blob.Data)
		}
		if p.File != nil {
			h.text("file")
			h.text(p.File.ID)
		}
	}
	h.count(len(m.ToolCalls))
	for _, c := range m.ToolCalls {
		h.toolCall(c)
	}
	h.text(m.ToolCallID)
}

func (h *hasher) toolCall(c sdk.ToolCall) {
	h.text(c.ID)
	h.text(c.Name)
	h.text(c.Arguments)
}
