package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// UserParam is the query parameter with which an admin selects another user's objects.
type UserParam struct {
	UserID string `query:"user_id" doc:"The user whose sessions are used. The default is the caller. Only admins can select another user"`
}

// Owner returns the selected user. It fails with Forbidden if the actor may not select them.
func (u UserParam) Owner(v core.Actor) (string, error) {
	switch {
	case u.UserID == "" || u.UserID == v.UserID:
		return v.UserID, nil
	case v.Admin():
		return u.UserID, nil
	default:
		return "", core.Forbidden("Insufficient permissions: only an admin may access another user's sessions")
	}
}

// ETag returns the value of ETag and If-Match for a version.
func ETag(version int64) string { return fmt.Sprintf(`"v%d"`, version) }

// CheckIfMatch returns a VersionConflict if the If-Match header does not accept the version. Of an ETag, it compares
// only the version.
func CheckIfMatch(ifMatch, noun string, version int64) error {
	if ifMatch == "" || ifMatch == "*" {
		return nil
	}
	tags := strings.Split(ifMatch, ",")
	if slices.ContainsFunc(tags, func(t string) bool { return versionOfTag(strings.TrimSpace(t)) == ETag(version) }) {
		return nil
	}
	return VersionConflict(noun)
}

// VersionConflict returns the PreconditionFailed error of an object that has changed since the client
// read it.
func VersionConflict(noun string) *core.Error {
	e := &core.Error{
		Code:    core.CodePreconditionFailed,
		Message: fmt.Sprintf("The %s has changed since you read it. Read it again and repeat the change.", noun),
	}
	return e.WithField("If-Match")
}
