package api

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Default limits of the bodies that are held in memory at the same time, in bytes of their decoded form.
const (
	defaultBodies     = 128 << 20
	defaultUserBodies = 32 << 20
)

// decodedValue is the approximate size of a decoded JSON value in bytes, in addition to its text, with the error that
// its validation may add.
const decodedValue = 200

// bodyBudget limits the bytes of all request bodies that are held at the same time, per server and per caller.
// Without it, a caller could use up the server's memory with parallel requests. A caller that holds nothing
// else can always send one body.
type bodyBudget struct {
	max, maxCaller int64

	mu    sync.Mutex
	total int64
	// callers has the held bytes by caller, without zeros.
	callers map[string]int64
}

func newBodyBudget(maxBytes, maxCaller int64) *bodyBudget {
	return &bodyBudget{max: maxBytes, maxCaller: maxCaller, callers: map[string]int64{}}
}

// callerKey identifies the caller of a request: the user, or the address of an unknown caller.
func callerKey(req *Request) string {
	if req.Principal != nil {
		return "user " + req.Principal.User.ID
	}
	return "address " + core.AddressKey(req.Address)
}

// heldBody is the share of one request in the budget. It counts what is read through it.
type heldBody struct {
	io.ReadCloser
	budget *bodyBudget
	caller string
	held   int64
}

// Read implements io.Reader. It fails with Unavailable if the budget is exhausted.
func (h *heldBody) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if heldErr := h.hold(int64(n)); heldErr != nil {
		return 0, heldErr
	}
	return n, err
}

// hold adds n bytes to the share. It fails with Unavailable if they exceed the budget.
func (h *heldBody) hold(n int64) error {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	used := b.callers[h.caller]
	switch {
	case used > h.held && used+n > b.maxCaller:
		return &core.Error{
			Code: core.CodeUnavailable, RetryAfter: time.Second,
			Message: "Too many large requests of yours are in progress. Send fewer of them at the same time.",
		}
	case b.total > h.held && b.total+n > b.max:
		return &core.Error{
			Code: core.CodeUnavailable, RetryAfter: time.Second,
			Message: "The server is processing too many large requests. Try again in a moment.",
		}
	}
	h.held += n
	b.total += n
	b.callers[h.caller] = used + n
	return nil
}

// release returns the share to the budget.
func (h *heldBody) release() {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total -= h.held
	if b.callers[h.caller] -= h.held; b.callers[h.caller] == 0 {
		delete(b.callers, h.caller)
	}
	h.held = 0
}

// body returns the body of a request, which counts towards the budget until release is called.
func (b *bodyBudget) body(r *http.Request) *heldBody {
	return &heldBody{ReadCloser: r.Body, budget: b, caller: callerKey(RequestFrom(r.Context()))}
}

// LimitBodies returns h with the bodies of its requests counted towards the budget of bodies until h returns.
// It is for handlers that are not operations and read whole bodies into memory.
func (a *API) LimitBodies(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := a.bodies.body(r)
		defer held.release()
		r.Body = held
		h.ServeHTTP(w, r)
	})
}

// decodedSize returns the approximate size of the decoded form of a JSON text, apart from its text.
func decodedSize(body []byte) int64 {
	values, inString := int64(0), false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[' || c == ',' || c == ':':
			values++
		}
	}
	return values * decodedValue
}
