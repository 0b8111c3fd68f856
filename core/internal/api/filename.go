package api

import (
	"strings"

	"github.com/agentarea/agentarea/core"
)

// fileName is the name that a client gives a file, without its folders. field is
// the one to blame for a name that can't be one.
func fileName(field, given string) (string, error) {
	name := given[strings.LastIndexAny(given, `/\`)+1:]
	return name, core.CheckFileName(field, name)
}
