package plugin

import (
	"strings"
	"sync/atomic"
)

// activeCalls is the number of calls in progress in this process whose methods isCounted accepts. Health reports it.
var activeCalls atomic.Int64

// isCounted reports whether calls of a method are counted. It returns false for the Base service, and for the
// services of go-plugin, which have streams that last as long as the process.
func isCounted(method string) bool {
	return strings.HasPrefix(method, "/agentarea.") && !strings.HasPrefix(method, "/agentarea.base.")
}
