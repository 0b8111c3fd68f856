package remote

import (
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/sdk"
)

// Text returns the text of a message whose role allows nothing but text. It replaces each blob by a
// note.
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

// Invalid returns an error with CodeInvalidRequest, for a request that cannot be sent.
func Invalid(format string, args ...any) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}
