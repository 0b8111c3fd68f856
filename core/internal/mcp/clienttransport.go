package mcp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const (
	methodDiscover  = "server/discover"
	methodListTools = "tools/list"
	methodCallTool  = "tools/call"
)

// codeListTooLarge is the code of the error that replaces a tool list that is too large. JSON-RPC reserves the
// range from -32099 to -32000 for such errors.
const codeListTooLarge = -32098

// clientTransport is a connection as a transport of go-sdk's client. It hides errors that
// concern one message but would end the client's connection. Only that message fails.
type clientTransport struct {
	conn *connection
	// discoverTimeout is the maximum time for an answer to the first server/discover.
	// After it the server is treated as a legacy one, because some legacy servers
	// ignore unknown methods.
	discoverTimeout time.Duration

	// maxList is the maximum size of a page of a tool list, in bytes.
	maxList int

	mu sync.Mutex
	// lists holds the IDs of the requests for tool lists that are not answered yet.
	lists map[jsonrpc.ID]struct{}
	// results holds the rawResult of each tool call that is not answered yet.
	results map[jsonrpc.ID]*rawResult
	// discoverID is the ID of that request. discoverTimer answers it after
	// discoverTimeout.
	discoverID      jsonrpc.ID
	discoverTimer   *time.Timer
	discoverPending bool
}

var _ mcp.Transport = (*clientTransport)(nil)

// Connect implements mcp.Transport.
func (t *clientTransport) Connect(context.Context) (mcp.Connection, error) { return t, nil }

// SessionID implements mcp.Connection.
func (t *clientTransport) SessionID() string { return "" }

// Read implements mcp.Connection.
func (t *clientTransport) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		data, err := t.conn.inbox.get(ctx)
		if err != nil {
			return nil, err
		}
		if data == nil {
			return nil, errEnded{t.conn}
		}
		message, err := jsonrpc.DecodeMessage(data)
		if err != nil {
			t.conn.log.add(sourceHost,
				"received a message that is not JSON-RPC: "+t.conn.endpoint.redactor.redact(truncate(string(data), maxLine)))
			continue
		}
		if r, ok := message.(*jsonrpc.Response); ok {
			t.onResponse(r)
		}
		return message, nil
	}
}

// Write implements mcp.Connection.
func (t *clientTransport) Write(ctx context.Context, message jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	request, _ := message.(*jsonrpc.Request)
	if len(data) > mcptransport.MaxMessage {
		return t.reject(request,
			fmt.Sprintf("the message has %d bytes; the maximum is %d", len(data), mcptransport.MaxMessage))
	}
	if request != nil && request.Method == methodDiscover {
		t.startDiscoverTimer(request)
	}
	if request != nil && request.Method == methodListTools {
		t.mu.Lock()
		if t.lists == nil {
			t.lists = map[jsonrpc.ID]struct{}{}
		}
		t.lists[request.ID] = struct{}{}
		t.mu.Unlock()
	}
	if request != nil && request.Method == methodCallTool {
		t.keepResult(ctx, request.ID)
	}
	err = t.conn.raw.Send(ctx, data)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case t.conn.ended():
		return errEnded{t.conn}
	}
	return t.reject(request, t.conn.endpoint.redactor.redact(publicMessage(err)))
}

// reject answers a request with an error in place of the server. Other messages are dropped.
func (t *clientTransport) reject(request *jsonrpc.Request, reason string) error {
	t.conn.log.add(sourceHost, "sending a message failed: "+reason)
	if request != nil && request.IsCall() {
		t.respond(request.ID, jsonrpc.CodeInternalError, reason)
	}
	return nil
}

func (t *clientTransport) respond(id jsonrpc.ID, code int64, reason string) {
	data, err := jsonrpc.EncodeMessage(&jsonrpc.Response{ID: id, Error: &jsonrpc.Error{Code: code, Message: reason}})
	if err == nil {
		t.conn.inbox.offer(data, true)
	}
}

// startDiscoverTimer starts the timeout of the first server/discover.
func (t *clientTransport) startDiscoverTimer(request *jsonrpc.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.discoverTimer != nil {
		return
	}
	t.discoverID, t.discoverPending = request.ID, true
	t.discoverTimer = time.AfterFunc(t.discoverTimeout, func() {
		t.respond(request.ID, jsonrpc.CodeMethodNotFound, "no answer in time")
	})
}

// onResponse handles a response of the server. It replaces a tool list that is too large with an error, before
// go-sdk decodes the list into many times its size.
func (t *clientTransport) onResponse(r *jsonrpc.Response) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if result := t.results[r.ID]; result != nil {
		delete(t.results, r.ID)
		result.set(r.Result)
	}
	if _, ok := t.lists[r.ID]; ok {
		delete(t.lists, r.ID)
		if len(r.Result) > 2*t.maxList { // twice, because a page also has parts that are not kept
			r.Result, r.Error = nil, &jsonrpc.Error{Code: codeListTooLarge, Message: errListTooLarge.Error()}
		}
	}
	if t.discoverTimer != nil && r.ID == t.discoverID {
		t.discoverTimer.Stop()
		t.discoverPending = false
	}
}

// discoverUnanswered reports whether the first server/discover was sent but not answered.
func (t *clientTransport) discoverUnanswered() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.discoverPending
}

// Close implements mcp.Connection.
func (t *clientTransport) Close() error {
	t.mu.Lock()
	if t.discoverTimer != nil {
		t.discoverTimer.Stop()
	}
	t.mu.Unlock()
	t.conn.close("the connection was closed")
	return nil
}
