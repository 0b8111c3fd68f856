package plugintest

import "time"

// SetStartTimes sets the times that a plugin has to start.
func SetStartTimes(handshake, start time.Duration) { handshakeTime, startTime = handshake, start }

// CompileSchema is compileSchema, and CheckBlock is checkBlock.
var (
	CompileSchema = compileSchema
	CheckBlock    = checkBlock
)

// Rules returns the rows of the table of checks in docs/plugins.md.
func Rules() []string {
	var rows []string
	for _, r := range rules {
		rows = append(rows, "| "+r.kind+" | `"+r.check+"` | "+r.text+" |")
	}
	return rows
}
