package wire

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
)

// An error with any text is the same after the conversion to a status and back.
func FuzzStatus(f *testing.F) {
	f.Add("rate_limited", "wait", true, int64(1500), 429)
	f.Add("", "\xff\x00\n", false, int64(-1), -1)
	f.Add("no code of ours", strings.Repeat("é", 5000), true, int64(0), 0)
	f.Fuzz(func(t *testing.T, code, message string, retryable bool, wait int64, status int) {
		sent := &sdk.Error{
			Code: sdk.ErrorCode(code), Message: message, Retryable: retryable,
			RetryAfter: time.Duration(max(0, wait)%1e9) * time.Millisecond, ProviderStatus: status % 1000,
		}
		got := FromStatus(ToStatus(sent))
		e, ok := got.(*sdk.Error) //nolint:errorlint // FromStatus does not wrap its result
		if !ok || !utf8.ValidString(e.Message) || len(e.Message) > 2*maxErrorMessage {
			t.Fatalf("round trip of %v = %v", sent, got)
		}
		if utf8.ValidString(code) && utf8.ValidString(message) && len(message) <= maxErrorMessage &&
			!reflect.DeepEqual(e, sent) {
			t.Errorf("round trip of %+v = %+v", sent, e)
		}
	})
}
