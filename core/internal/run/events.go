package run

import (
	"encoding/json"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
)

// The API reference documents the data of these events field by field.

func startEvent(r *core.Run) json.RawMessage {
	return journal.Marshal(struct {
		Type      string `json:"type"`
		SessionID string `json:"session_id"`
		RunID     string `json:"run_id"`
	}{events.TypeStart, r.SessionID, r.ID})
}

func endEvent(r *core.Run, metadata json.RawMessage) json.RawMessage {
	return journal.Marshal(struct {
		Type      string          `json:"type"`
		MessageID string          `json:"message_id,omitempty"`
		Metadata  json.RawMessage `json:"metadata"`
	}{events.TypeEnd, r.AnswerID, metadata})
}

// errorEvent returns the event of a failed run, without the request_id that each stream adds.
func errorEvent(r *core.Run, e *core.Error) json.RawMessage {
	type details struct {
		Reason    sdk.ErrorCode `json:"reason"`
		Retryable bool          `json:"retryable"`
		RunID     string        `json:"run_id"`
	}
	type body struct {
		Code    core.Code `json:"code"`
		Message string    `json:"message"`
		Details details   `json:"details"`
	}
	return journal.Marshal(struct {
		Type  string `json:"type"`
		RunID string `json:"run_id"`
		Error body   `json:"error"`
	}{events.TypeError, r.ID, body{e.Code, e.Message, details{r.Error.Code, r.Error.Retryable, r.ID}}})
}

// answerMetadata returns the metadata of the answer of r, as the API shows it.
func answerMetadata(r *core.Run, finishReason string, historyTruncated bool) json.RawMessage {
	return journal.Marshal(core.RunMetadata{
		Model: r.Model, TokensUsed: r.Usage.Total(), RunID: r.ID, Status: r.Status, FinishReason: finishReason,
		Usage: r.Usage, HistoryTruncated: historyTruncated,
	})
}
