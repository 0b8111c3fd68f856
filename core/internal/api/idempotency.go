package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// KeyStore finds idempotency keys. core.IdempotencyKeyStore documents its methods.
type KeyStore interface {
	FindKey(ctx context.Context, k *core.IdempotencyKey) (*core.RepeatedRequest, error)
	StoreKey(ctx context.Context, k *core.IdempotencyKey) error
}

const (
	keyHeader = "Idempotency-Key"
	// maxKey is the maximum length of a key.
	maxKey = 255
	// replayedHeader marks the reply to a repeated request.
	replayedHeader = "Idempotency-Replayed"
)

// RegisterRepeatable is Register for a POST operation that a client may repeat with the same Idempotency-Key. handler
// passes Audit(ctx) to the write that makes the change, which stores the key with it. For a repeated request, replay
// returns the reply. object is the ID of what the first request created, or the target of its audit record.
//
// A request that failed has not used its key: a repeated one is executed.
func RegisterRepeatable[I, O any](
	a *API, o Operation, handler func(context.Context, *I) (*O, error),
	replay func(ctx context.Context, in *I, object string) (*O, error),
) {
	o.repeatable = true
	o.Errors = append([]core.Code{core.CodeConflict, core.CodeValidation}, o.Errors...)
	Register(a, o, func(ctx context.Context, in *I) (*O, error) {
		req := RequestFrom(ctx)
		if req.audit == nil || req.audit.Key == nil {
			return handler(ctx, in)
		}
		out, earlier, err := a.executeOnce(ctx, o.LateHash, func() (any, error) { return handler(ctx, in) })
		if err != nil {
			return nil, err
		}
		if earlier == nil {
			reply, _ := out.(*O)
			return reply, nil
		}
		req.audit.Claim() // the first request was audited
		if earlier.Different {
			return nil, keyReused()
		}
		req.reply.Header().Set(replayedHeader, "true")
		reply, err := replay(ctx, in, earlier.Object)
		if core.CodeOf(err) == core.CodeNotFound {
			return nil, objectGone(earlier.Object)
		}
		return reply, err
	})
}

// executeOnce calls handler, unless the key of the request was used before: then it returns the earlier request.
func (a *API) executeOnce(
	ctx context.Context, lateHash bool, handler func() (any, error),
) (out any, earlier *core.RepeatedRequest, err error) {
	audit := Audit(ctx)
	if !lateHash {
		if earlier, err = a.keys.FindKey(ctx, audit.Key); err != nil || earlier != nil {
			return nil, earlier, err
		}
	}
	out, err = handler()
	if err == nil {
		audit.Key.Object = cmp.Or(audit.Key.Object, audit.Target)
		if !audit.Claimed() { // no write has stored the key
			err = a.keys.StoreKey(ctx, audit.Key)
		}
	}
	if errors.As(err, &earlier) {
		return nil, earlier, nil
	}
	return out, nil, err
}

func keyReused() error {
	const issue = "The Idempotency-Key was used for a different request. Choose a new key"
	return &core.Error{
		Code: core.CodeConflict, Message: issue, Fields: []core.FieldError{{Field: keyHeader, Issue: issue}},
	}
}

func objectGone(id string) error {
	issue := fmt.Sprintf("An earlier request with this Idempotency-Key has used %q, which has been deleted. "+
		"Choose a new key", id)
	return &core.Error{
		Code: core.CodeConflict, Message: issue, Fields: []core.FieldError{{Field: keyHeader, Issue: issue}},
	}
}

// setKey sets the key of the request's audit record, if the operation is repeatable and the request has a key. It
// fails with Invalid.
func (a *API) setKey(r *http.Request, op *huma.Operation, body []byte) error {
	values := r.Header[keyHeader]
	if len(values) == 0 || values[0] == "" {
		return nil
	}
	if repeatable, _ := op.Metadata[repeatableKey].(bool); !repeatable || a.keys == nil {
		return nil
	}
	req := RequestFrom(r.Context())
	if req.audit == nil || req.Principal == nil {
		return nil
	}
	switch key := values[0]; {
	case len(values) > 1:
		return core.Invalid(keyHeader, "Must not be sent more than once")
	case len(key) > maxKey:
		return core.Invalid(keyHeader, "Must be at most %d characters long", maxKey)
	case strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }):
		return core.Invalid(keyHeader, "Must be printable ASCII")
	default:
		req.audit.Key = &core.IdempotencyKey{
			UserID: req.Principal.User.ID, Key: key, Hash: a.requestHash(req, r.URL.RawQuery, body),
		}
		return nil
	}
}

// requestHash returns a hash of the operation, its path and query, and its body without white space. It is keyed,
// because a body can contain a password.
func (a *API) requestHash(req *Request, query string, body []byte) []byte {
	h := hmac.New(sha256.New, a.keySecret)
	fmt.Fprintf(h, "%s %s?%s\n", req.action, req.target, query)
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		body = compact.Bytes()
	}
	h.Write(body)
	return h.Sum(nil)
}

// describeKey documents the headers of a repeatable operation.
func describeKey(op *huma.Operation) {
	shortest, longest := 1, maxKey
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: keyHeader, In: "header",
		Description: "Makes the request safe to repeat: a second request with the same key and the same body within 24 hours " +
			"changes nothing, and returns what the first one created or changed",
		Schema: &huma.Schema{
			Type: huma.TypeString, MinLength: &shortest, MaxLength: &longest, Pattern: "^[ -~]+$",
			PatternDescription: "Must be printable ASCII",
		},
	})
}

// describeReplayed documents the header of the replies to repeated requests.
func describeReplayed(r *huma.Response) {
	if r == nil {
		return
	}
	if r.Headers == nil {
		r.Headers = map[string]*huma.Param{}
	}
	r.Headers[replayedHeader] = &huma.Param{
		Description: "true if an earlier request with the same Idempotency-Key made the change",
		Schema:      &huma.Schema{Type: huma.TypeString, Enum: []any{"true"}},
	}
}
