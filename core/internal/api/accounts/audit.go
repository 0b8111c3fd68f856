package accounts

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

type auditEntry struct {
	Seq        int64        `json:"seq" doc:"Increases with each record"`
	At         api.Time     `json:"at"`
	Action     string       `json:"action" doc:"The operationId of the operation in this document"`
	Target     string       `json:"target,omitempty" doc:"The id of the object, or several ids separated by slashes"`
	Outcome    core.Outcome `json:"outcome" enum:"done,refused"`
	Reason     core.Code    `json:"reason,omitempty" doc:"The code of the error, if the request was refused"`
	UserID     string       `json:"user_id,omitempty" doc:"Omitted if nobody was signed in"`
	Username   string       `json:"username,omitempty" doc:"For a refused sign-in, the username in the request"`
	Credential string       `json:"credential,omitempty" doc:"The id of the login or API key"`
	Address    string       `json:"address" doc:"The address of the client"`
	RequestID  string       `json:"request_id" doc:"Identifies the request in the server's log"`
	Repeated   int          `json:"repeated" doc:"The number of requests that the record stands for. More than 1 for refusals of the same kind within a minute; the record describes the last one"`
}

type auditList struct {
	Entries []auditEntry `json:"entries"`
	api.Paged
}

type (
	auditInput struct {
		UserID    string        `query:"user_id" doc:"Filter by user"`
		Action    string        `query:"action" doc:"Filter by operation, such as create-agent"`
		Target    string        `query:"target" doc:"Filter by the id of the object"`
		Outcome   core.Outcome  `query:"outcome" enum:"done,refused" doc:"Filter by outcome"`
		RequestID string        `query:"request_id" doc:"Filter by request"`
		From      api.TimeInput `query:"from" doc:"At or after this time. A date means the start of that day in UTC"`
		To        api.TimeInput `query:"to" doc:"Before this time. A date includes that day in UTC"`
		api.Page
	}
	auditReply struct{ Body auditList }
)

var exampleAudit = auditEntry{
	Seq: 42, At: api.ExampleTime, Action: "create-agent", Target: "agent-123", Outcome: core.OutcomeDone,
	UserID: "user-123", Username: "ann", Credential: "login-123", Address: "192.0.2.7", RequestID: "req-123", Repeated: 1,
}

// times returns the times from and to. They are zero if they are not given. It fails with Invalid.
func (in *auditInput) times() (from, to time.Time, err error) {
	if from, _, err = in.From.Parse("from"); err != nil {
		return from, to, err
	}
	to, isDate, err := in.To.Parse("to")
	if isDate {
		to = to.AddDate(0, 0, 1)
	}
	if err == nil && !to.IsZero() && !from.Before(to) {
		err = core.Invalid("from", "Must be before to")
	}
	return from, to, err
}

func registerAudit(a *api.API, audit Audit) {
	api.Register(a, api.Operation{
		ID: "list-audit", Method: http.MethodGet, Path: "/v1/audit",
		Tag: "Audit", Summary: "List the audit log", Access: api.Admin,
		Description: "Every change made through the API, recorded in the same transaction, and every refused request; " +
			"newest first. Records are never changed. They are deleted after the time that the setting --keep-audit specifies.",
		Response: auditList{Entries: []auditEntry{exampleAudit}, Paged: api.Paged{Total: 1, Limit: 20}},
		Errors:   []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *auditInput) (*auditReply, error) {
		from, to, err := in.times()
		if err != nil {
			return nil, err
		}
		found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.AuditEntry, int, error) {
			return audit.Audit(ctx, core.AuditFilter{
				UserID: in.UserID, Action: in.Action, Target: in.Target, Outcome: in.Outcome, RequestID: in.RequestID,
				From: from, To: to, Page: p,
			})
		}, func(e *core.AuditEntry) core.PageKey { return core.PageKey{Number: e.Seq} })
		if err != nil {
			return nil, err
		}
		out := &auditReply{Body: auditList{Entries: make([]auditEntry, 0, len(found)), Paged: paged}}
		for _, e := range found {
			out.Body.Entries = append(out.Body.Entries, auditEntry{
				Seq: e.Seq, At: api.Time(e.At), Action: e.Action, Target: e.Target, Outcome: e.Outcome, Reason: e.Reason,
				UserID: e.UserID, Username: e.Username, Credential: e.Credential,
				Address: e.Address, RequestID: e.RequestID, Repeated: e.Repeated,
			})
		}
		return out, nil
	})
}
