package remote

import (
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/sdk"
)

// Text is the text of a message whose role takes nothing else; in place of a blob
// it says that there was one.
func Text(m sdk.Message) string {
	var b strings.Builder
	for _, p := range m.Parts {
		if p.Blob != nil {
			fmt.Fprintf(&b, "[%s %s, %d bytes, not shown]", p.Blob.MediaType, p.Blob.Name, len(p.Blob.Data))
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// Invalid is the error of a request that can't be sent as it is.
func Invalid(format string, args ...any) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}
