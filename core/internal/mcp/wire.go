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

const methodDiscover = "server/discover"

// wire is a child as go-sdk's client wants to have it. What would end the
// client's connection, but is the fault of one message, is kept from it: then
// that message alone fails.
type wire struct {
	child *child
	// patience is how long the first server/discover may go unanswered until the
	// server counts as one of the old era: some old ones never answer what they
	// don't know.
	patience time.Duration

	mu sync.Mutex
	// asked is the id of that first request, and first fires when it is answered
	// in the server's place.
	asked  jsonrpc.ID
	first  *time.Timer
	silent bool
}

var _ mcp.Transport = (*wire)(nil)

// Connect implements mcp.Transport.
func (w *wire) Connect(context.Context) (mcp.Connection, error) { return w, nil }

// SessionID implements mcp.Connection.
func (w *wire) SessionID() string { return "" }

// Read implements mcp.Connection.
func (w *wire) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		data, err := w.child.inbox.get(ctx)
		if err != nil {
			return nil, err
		}
		if data == nil {
			return nil, errEnded{w.child}
		}
		message, err := jsonrpc.DecodeMessage(data)
		if err != nil {
			w.child.log.add(sourceHost, "not a JSON-RPC message: "+w.child.target.redact.told(cut(string(data), maxLine)))
			continue
		}
		if r, ok := message.(*jsonrpc.Response); ok {
			w.answered(r.ID)
		}
		return message, nil
	}
}

// Write implements mcp.Connection.
func (w *wire) Write(ctx context.Context, message jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	request, _ := message.(*jsonrpc.Request)
	if len(data) > mcptransport.MaxMessage {
		return w.refuse(request, fmt.Sprintf("the message has %d bytes, and %d is the most", len(data), mcptransport.MaxMessage))
	}
	if request != nil && request.Method == methodDiscover {
		w.await(request)
	}
	err = w.child.conn.Send(ctx, data)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case w.child.ended():
		return errEnded{w.child}
	}
	return w.refuse(request, w.child.target.redact.told(publicText(err)))
}

// refuse answers a request in the server's place; anything else is lost.
func (w *wire) refuse(request *jsonrpc.Request, why string) error {
	w.child.log.add(sourceHost, "a message could not be sent: "+why)
	if request != nil && request.IsCall() {
		w.answer(request.ID, jsonrpc.CodeInternalError, why)
	}
	return nil
}

func (w *wire) answer(id jsonrpc.ID, code int64, why string) {
	data, err := jsonrpc.EncodeMessage(&jsonrpc.Response{ID: id, Error: &jsonrpc.Error{Code: code, Message: why}})
	if err == nil {
		w.child.inbox.offer(data, true)
	}
}

// await watches over the first server/discover.
func (w *wire) await(request *jsonrpc.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first != nil {
		return
	}
	w.asked, w.silent = request.ID, true
	w.first = time.AfterFunc(w.patience, func() {
		w.answer(request.ID, jsonrpc.CodeMethodNotFound, "no answer in time")
	})
}

func (w *wire) answered(id jsonrpc.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first != nil && id == w.asked {
		w.first.Stop()
		w.silent = false
	}
}

// unanswered says whether there was no answer to the first server/discover.
func (w *wire) unanswered() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silent
}

// Close implements mcp.Connection.
func (w *wire) Close() error {
	w.mu.Lock()
	if w.first != nil {
		w.first.Stop()
	}
	w.mu.Unlock()
	w.child.close("the connection was closed")
	return nil
}
