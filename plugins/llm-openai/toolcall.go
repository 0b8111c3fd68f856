package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/agentarea/agentarea/sdk/llm"
)

// toolCallState is a tool call that is being received.
type toolCallState struct {
	// providerIndex is the index in the provider's stream, which some servers set to 0 for every call.
	providerIndex int
	id, name      string
	// arguments are the arguments so far.
	arguments strings.Builder
	half      halfCharacter
	// index is the index that is sent to the host, or -1 while the name is unknown.
	index int
}

// addToolCalls forwards a list of tool calls, or of pieces of them.
func (a *answer) addToolCalls(list gjson.Result) error {
	for i, piece := range list.Array() {
		if !piece.IsObject() {
			return errMalformed
		}
		// A complete answer has no indexes, and neither do the streams of some servers.
		providerIndex := i
		if index := piece.Get("index"); index.Type == gjson.Number {
			providerIndex = int(index.Int())
		}
		if err := a.addPiece(providerIndex, piece); err != nil {
			return err
		}
	}
	return nil
}

// addPiece forwards a piece of a tool call. It keeps the piece until the name of the call is known.
func (a *answer) addPiece(providerIndex int, piece gjson.Result) error {
	name, id := piece.Get("function.name").Str, piece.Get("id").Str
	call := a.findCall(providerIndex, name, id)
	if call == nil {
		call = &toolCallState{providerIndex: providerIndex, index: -1}
		a.calls = append(a.calls, call)
	}
	if call.name == "" {
		call.name = name
	}
	if call.id == "" {
		call.id = id
	}
	d := llm.ToolCallDelta{Arguments: call.addArguments(piece.Get("function.arguments"))}
	if call.name == "" {
		return nil
	}
	if call.index < 0 {
		call.index = a.sentCalls
		a.sentCalls++
		if call.id == "" {
			call.id = "call_" + strconv.Itoa(call.index)
		}
		d.ID, d.Name, d.Arguments = call.id, call.name, call.arguments.String()
	}
	d.Index = call.index
	return a.send(llm.Delta{ToolCall: &d})
}

// addArguments adds a piece of the arguments and returns its text. It is a string, or an object with all
// arguments.
func (c *toolCallState) addArguments(value gjson.Result) string {
	text := ""
	switch {
	case value.Type == gjson.String:
		text = c.half.join(value)
	case value.IsObject():
		text = value.Raw
	}
	c.arguments.WriteString(text)
	return text
}

// findCall returns the call that a piece continues: the newest one with the provider's index. It returns nil for
// the first piece of a call. Some servers use the index 0 for every call, some send no id, and some change the id
// with each piece. A piece with a name begins a call if the call before has another name or id, or
// complete arguments.
func (a *answer) findCall(providerIndex int, name, id string) *toolCallState {
	for n := len(a.calls) - 1; n >= 0; n-- {
		call := a.calls[n]
		if call.providerIndex != providerIndex {
			continue
		}
		if name != "" && call.name != "" &&
			(name != call.name || id != "" && id != call.id || json.Valid([]byte(call.arguments.String()))) {
			return nil
		}
		return call
	}
	return nil
}

// end checks the tool calls at the end of the answer. It ignores a call of which only an index has arrived.
func (a *answer) end() error {
	for _, call := range a.calls {
		if call.index < 0 && call.arguments.Len() > 0 {
			return errMalformed
		}
	}
	return nil
}
