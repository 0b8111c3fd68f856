package core

import (
	"strconv"
	"strings"
)

// FieldPath returns the path of a value in a JSON document, such as config.tools[0]. root is the path of the document,
// and segments are the names of fields and the indices of items that lead to the value. document is the decoded
// document, which distinguishes an index from a field whose name is a number.
func FieldPath(root string, document any, segments []string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, s := range segments {
		switch v := document.(type) {
		case []any:
			document = nil
			if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(v) {
				document = v[i]
			}
			b.WriteString("[" + s + "]")
		case map[string]any:
			document = v[s]
			b.WriteString("." + s)
		default:
			b.WriteString("." + s)
		}
	}
	return b.String()
}
