package gateway

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// bodyTimeout is how long a message may take to arrive.
const bodyTimeout = 30 * time.Second

// The headers of MCP.
const (
	versionHeader = "Mcp-Protocol-Version"
	sessionHeader = "Mcp-Session-Id"
	lastHeader    = "Last-Event-ID"
	methodHeader  = "Mcp-Method"
	nameHeader    = "Mcp-Name"
	paramHeader   = "Mcp-Param-"
)

// The revisions that are told apart.
const (
	version202503 = "2025-03-26"
	version202511 = "2025-11-25"
	version202607 = "2026-07-28"
)

// legacyVersions are those that open a session.
var legacyVersions = []string{version202511, "2025-06-18", version202503, "2024-11-05"}

// The members of _meta that make a request modern.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// post takes a message, or in old revisions several, to the child.
func (g *Gateway) post(w http.ResponseWriter, r *http.Request, c *caller) {
	raw, ok := g.body(w, r)
	if !ok {
		return
	}
	if items := batch(raw); items != nil {
		g.postBatch(w, r, c, items)
		return
	}
	m, err := cut(raw)
	if err != nil {
		var id []byte
		if m != nil {
			id = m.id
		}
		fail(w, id, &rpcError{Code: codeInvalidRequest, Message: "Invalid request: " + err.Error()})
		return
	}
	if modern(r, m) {
		g.postModern(w, r, c, m)
		return
	}
	g.postLegacy(w, r, c, []*message{m})
}

// modern says whether a message is of the stateless era.
func modern(r *http.Request, m *message) bool {
	return r.Header.Get(versionHeader) >= version202607 || m.method == "server/discover" ||
		get(m.params, "_meta", metaVersion) != nil
}

// body reads what was posted.
func (g *Gateway) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, nil, &rpcError{Code: codeServer, Message: "Content-Type must be application/json", status: http.StatusUnsupportedMediaType})
		return nil, false
	}
	if !accepts(r, "application/json") || !accepts(r, "text/event-stream") {
		fail(w, nil, &rpcError{
			Code: codeServer, Message: "Accept must name both application/json and text/event-stream", status: http.StatusNotAcceptable,
		})
		return nil, false
	}
	// A deadline that stays would end what is listened to. Test writers have none.
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.limits.Body))
	_ = c.SetReadDeadline(time.Time{})
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		fail(w, nil, &rpcError{
			Code: codeServer, Message: fmt.Sprintf("The request is longer than %d bytes", tooLong.Limit), status: http.StatusRequestEntityTooLarge,
		})
		return nil, false
	case err != nil:
		fail(w, nil, &rpcError{Code: codeParse, Message: "The request's body could not be read"})
		return nil, false
	}
	raw, err := compact(b)
	if err != nil {
		fail(w, nil, &rpcError{Code: codeParse, Message: "Parse error: the body is " + err.Error()})
		return nil, false
	}
	return raw, true
}

func accepts(r *http.Request, kind string) bool {
	family, _, _ := strings.Cut(kind, "/")
	for _, header := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(header, ",") {
			name, _, _ := strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case kind, family + "/*", "*/*":
				return true
			}
		}
	}
	return false
}

// postBatch is of the revisions up to 2025-03-26, which had batches.
func (g *Gateway) postBatch(w http.ResponseWriter, r *http.Request, c *caller, items [][]byte) {
	if v := r.Header.Get(versionHeader); v > version202503 {
		fail(w, nil, &rpcError{Code: codeInvalidRequest, Message: "Invalid request: there are no batches in revision " + v})
		return
	}
	if len(items) == 0 || len(items) > g.limits.Calls {
		fail(w, nil, &rpcError{Code: codeInvalidRequest, Message: fmt.Sprintf("Invalid request: a batch has 1 to %d messages", g.limits.Calls)})
		return
	}
	messages := make([]*message, 0, len(items))
	for _, item := range items {
		m, err := cut(item)
		if err == nil && m.method == "initialize" {
			err = errors.New("initialize stands alone")
		}
		if err != nil {
			fail(w, nil, &rpcError{Code: codeInvalidRequest, Message: "Invalid request: " + err.Error()})
			return
		}
		messages = append(messages, m)
	}
	g.postLegacy(w, r, c, messages)
}

// checkVersion is of the header that a legacy client sends once it has a session.
func checkVersion(w http.ResponseWriter, r *http.Request) bool {
	v := r.Header.Get(versionHeader)
	if v == "" || slices.Contains(legacyVersions, v) {
		return true
	}
	fail(w, nil, &rpcError{
		Code: codeServer, Message: "Unsupported protocol version: " + versionHeader + " may be " + strings.Join(legacyVersions, ", "),
	})
	return false
}
