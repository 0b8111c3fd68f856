package core_test

import (
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// The notification of a failed task says where the reason of an internal error is, but not the reason.
func TestNewTaskNotification_internalError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, runID, want string
	}{
		{"with a run", "run-1", `"message":"Internal error; the server's log has the reason under run_id run-1"`},
		{"without a run", "", `"message":"Internal error"`},
	} {
		n, err := core.NewTaskNotification(&core.Task{
			ID: "task-1", Status: core.TaskFailed, RunID: tt.runID,
			Error: &sdk.Error{Code: sdk.CodeInternal, Message: "dial tcp 10.0.0.7:5432: secret"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(n.Data); !strings.Contains(got, tt.want) || strings.Contains(got, "secret") {
			t.Errorf("%s: notification = %s, want %s and not the private text", tt.name, got, tt.want)
		}
	}
}
