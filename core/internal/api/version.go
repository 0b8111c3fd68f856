package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// etag is the version of a noun as ETag and If-Match have it.
func etag(version int64) string { return fmt.Sprintf(`"v%d"`, version) }

// matches compares an If-Match header with the version there is.
func matches(ifMatch, noun string, version int64) error {
	if ifMatch == "" || ifMatch == "*" {
		return nil
	}
	tags := strings.Split(ifMatch, ",")
	if slices.ContainsFunc(tags, func(t string) bool { return strings.TrimSpace(t) == etag(version) }) {
		return nil
	}
	return changedMeanwhile(noun)
}

func changedMeanwhile(noun string) *core.Error {
	return &core.Error{Code: core.CodePreconditionFailed, Message: fmt.Sprintf("The %s has changed meanwhile: read it again", noun)}
}
