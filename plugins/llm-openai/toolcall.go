package main

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// maxCalls is the maximum number of tool calls in an answer.
	maxCalls = 1000
	// maxPending is the maximum size in bytes of the arguments of a call whose name is unknown.
	maxPending = 4 << 20
)

// toolCallState is a tool call that is being received.
type toolCallState struct {
	id, name string
	// arguments watches for the end of the arguments.
	arguments objectEnd
	half      halfCharacter
	// index is the index that is sent to the host, or -1 while the name is unknown. pending holds the arguments until
	// then.
	index   int
	pending strings.Builder
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
	call := a.newest[providerIndex]
	if call == nil || call.endsBefore(name, id) {
		if len(a.calls) == maxCalls {
			return errManyCalls
		}
		call = &toolCallState{index: -1}
		a.calls = append(a.calls, call)
		if a.newest == nil {
			a.newest = map[int]*toolCallState{}
		}
		a.newest[providerIndex] = call
	}
	if call.name == "" {
		call.name = name
	}
	if call.id == "" {
		call.id = id
	}
	text := call.argumentsOf(piece.Get("function.arguments"))
	if call.name == "" {
		call.pending.WriteString(text)
		if call.pending.Len() > maxPending {
			return errMalformed
		}
		return nil
	}
	d := llm.ToolCallDelta{Arguments: text}
	if call.index < 0 {
		call.index = a.sentCalls
		a.sentCalls++
		if call.id == "" {
			call.id = "call_" + strconv.Itoa(call.index)
		}
		d.ID, d.Name, d.Arguments = call.id, call.name, call.pending.String()+text
		call.pending.Reset()
	}
	d.Index = call.index
	return a.send(llm.Delta{ToolCall: &d})
}

// endsBefore reports whether a piece with the provider's index of c, and with the given name and id, is the first one
// of another call. Some servers use the index 0 for every call, some send no id, and some change the id with each
// piece. A piece with a name begins a call if the call before has another name or id, or complete arguments.
func (c *toolCallState) endsBefore(name, id string) bool {
	return name != "" && c.name != "" && (name != c.name || id != "" && id != c.id || c.arguments.ended())
}

// argumentsOf returns the text of a piece of the arguments. It is a string, or an object with all arguments.
func (c *toolCallState) argumentsOf(value gjson.Result) string {
	text := ""
	switch {
	case value.Type == gjson.String:
		text = c.half.join(value)
	case value.IsObject():
		text = value.Raw
	}
	c.arguments.add(text)
	return text
}

// end checks the tool calls at the end of the answer. It ignores a call of which only an index has arrived.
func (a *answer) end() error {
	for _, call := range a.calls {
		if call.index < 0 && call.pending.Len() > 0 {
			return errMalformed
		}
	}
	return nil
}

// objectEnd finds the end of a JSON object that arrives in pieces, each of which it reads once.
type objectEnd struct {
	depth                    int
	begun, inString, escaped bool
}

// add reads the next piece.
func (o *objectEnd) add(piece string) {
	for i := range len(piece) {
		switch b := piece[i]; {
		case o.escaped:
			o.escaped = false
		case o.inString && b == '\\':
			o.escaped = true
		case b == '"':
			o.inString = !o.inString
		case o.inString:
		case b == '{', b == '[':
			o.begun = true
			o.depth++
		case b == '}', b == ']':
			o.depth--
		}
	}
}

// ended reports whether the object is complete.
func (o *objectEnd) ended() bool { return o.begun && o.depth <= 0 && !o.inString }
