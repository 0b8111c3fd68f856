package e2e_test

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlp is an OpenTelemetry collector that keeps the spans that it receives.
type otlp struct {
	url string

	mu    sync.Mutex
	spans []span
	// raw has all bytes that were sent, to search them for secrets.
	raw []byte
}

type span struct {
	name, id, parent, trace string
	kind                    trace.Span_SpanKind
	failed                  bool
	attributes              map[string]any
}

func newOTLP(t *testing.T) *otlp {
	t.Helper()
	o := &otlp{}
	s := httptest.NewServer(http.HandlerFunc(o.receive))
	t.Cleanup(s.Close)
	o.url = s.URL
	return o
}

func (o *otlp) receive(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(data, &sent) != nil {
		http.Error(w, "the body has no spans", http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.raw = append(o.raw, data...)
	for _, resource := range sent.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				o.spans = append(o.spans, span{
					name: s.GetName(), kind: s.GetKind(), failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR,
					id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
					trace: hex.EncodeToString(s.GetTraceId()), attributes: attributes(s.GetAttributes()),
				})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func attributes(list []*common.KeyValue) map[string]any {
	out := map[string]any{}
	for _, a := range list {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.GetKey()] = v.IntValue
		case *common.AnyValue_BoolValue:
			out[a.GetKey()] = v.BoolValue
		case *common.AnyValue_ArrayValue:
			var all string
			for _, one := range v.ArrayValue.GetValues() {
				all += one.GetStringValue()
			}
			out[a.GetKey()] = all
		}
	}
	return out
}

// trace returns the spans of a trace that have been received so far.
func (o *otlp) trace(traceID string) []span {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []span
	for _, s := range o.spans {
		if s.trace == traceID {
			out = append(out, s)
		}
	}
	return out
}
