package api

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
)

type auditEntry struct {
	Seq        int64        `json:"seq" doc:"Rises with each row"`
	At         stamp        `json:"at"`
	Action     string       `json:"action" doc:"The operation, by its operationId in this document"`
	Target     string       `json:"target,omitempty" doc:"The id of what it was done to, or several with slashes"`
	Outcome    core.Outcome `json:"outcome" enum:"done,refused"`
	Reason     core.Code    `json:"reason,omitempty" doc:"The error's code, when it was refused"`
	UserID     string       `json:"user_id,omitempty" doc:"Left out when nobody was signed in"`
	Username   string       `json:"username,omitempty" doc:"Of a sign-in that was refused, the name that was given"`
	Credential string       `json:"credential,omitempty" doc:"The sign-in or API key"`
	Address    string       `json:"address" doc:"Where the request came from"`
	RequestID  string       `json:"request_id" doc:"Names the request in the server's log"`
}

type auditList struct {
	Entries []auditEntry `json:"entries"`
	Paged
}

type (
	auditInput struct {
		UserID    string       `query:"user_id" doc:"Filter by who did it"`
		Action    string       `query:"action" doc:"Filter by operation, as create-agent"`
		Target    string       `query:"target" doc:"Filter by the id it was done to"`
		Outcome   core.Outcome `query:"outcome" enum:"done,refused" doc:"Filter by outcome"`
		RequestID string       `query:"request_id" doc:"Filter by request"`
		From      time.Time    `query:"from" doc:"Not before this time"`
		To        time.Time    `query:"to" doc:"Before this time"`
		Page
	}
	auditReply struct{ Body auditList }
)

var exampleAudit = auditEntry{
	Seq: 42, At: exampleTime, Action: "create-agent", Target: "agent-123", Outcome: core.OutcomeDone,
	UserID: "user-123", Username: "ann", Credential: "login-123", Address: "192.0.2.7", RequestID: "req-123",
}

func (a *api) registerAudit() {
	register(a, operation{
		id: "list-audit", method: http.MethodGet, path: "/v1/audit", tag: "Audit", summary: "Read the audit", access: admin,
		about: "Every change by way of the API, in the transaction that made it, and every access that was refused; newest first. " +
			"Rows are only added, and go when the setting --keep-audit says so.",
		response: auditList{Entries: []auditEntry{exampleAudit}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *auditInput) (*auditReply, error) {
		found, total, err := a.audits.Audit(ctx, core.AuditFilter{
			UserID: in.UserID, Action: in.Action, Target: in.Target, Outcome: in.Outcome, RequestID: in.RequestID,
			From: in.From, To: in.To, Page: in.core(),
		})
		if err != nil {
			return nil, err
		}
		out := &auditReply{Body: auditList{Entries: make([]auditEntry, 0, len(found)), Paged: in.reply(total)}}
		for _, e := range found {
			out.Body.Entries = append(out.Body.Entries, auditEntry{
				Seq: e.Seq, At: stamp(e.At), Action: e.Action, Target: e.Target, Outcome: e.Outcome, Reason: e.Reason,
				UserID: e.UserID, Username: e.Username, Credential: e.Credential, Address: e.Address, RequestID: e.RequestID,
			})
		}
		return out, nil
	})
}
