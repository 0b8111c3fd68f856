package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/agent"
)

// Finish sets the outcome of call: result, or err unless it is nil. It returns false,
// and leaves call as it is, when ctx ended before the call did. Such a call must not be
// recorded, because the next attempt makes it again.
func Finish(ctx context.Context, call *core.Call, result any, err error) bool {
	if err != nil && ctx.Err() != nil {
		return false
	}
	call.Done = true
	call.EndedAt = now()
	if err != nil {
		call.Error = Error(err)
		return true
	}
	call.Result = Marshal(result)
	return true
}

// Replay returns the result or the error of a recorded call that is done.
func Replay(call *core.Call) (*agent.Result, error) {
	if call.Error != nil {
		return nil, call.Error
	}
	var result agent.Result
	if err := json.Unmarshal(call.Result, &result); err != nil {
		return nil, fmt.Errorf("recorded result of call %d: %w", call.Number, err)
	}
	return &result, nil
}

// Marshal returns the JSON of v, which must be of a type that always encodes.
func Marshal(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
