package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type runRow struct {
	bun.BaseModel `bun:"table:runs,alias:r"`

	ID              string `bun:"id,pk"`
	Kind            string `bun:"kind"`
	AgentID         string `bun:"agent_id"`
	UserID          string `bun:"user_id"`
	SessionKey      string `bun:"session_key,nullzero"`
	SessionID       string `bun:"session_id"`
	AgentType       string `bun:"agent_type"`
	Config          string `bun:"config"`
	InputID         string `bun:"input_id"`
	AnswerID        string `bun:"answer_id"`
	Status          string `bun:"status"`
	Error           string `bun:"error"`
	Stream          bool   `bun:"stream"`
	Seed            int64  `bun:"seed"`
	Owner           string `bun:"owner"`
	Attempt         int    `bun:"attempt"`
	CancelRequested bool   `bun:"cancel_requested"`
	InputTokens     int64  `bun:"input_tokens"`
	OutputTokens    int64  `bun:"output_tokens"`
	CachedTokens    int64  `bun:"cached_tokens"`
	ReasoningTokens int64  `bun:"reasoning_tokens"`
	Model           string `bun:"model"`
	CreatedAt       int64  `bun:"created_at"`
	EndedAt         int64  `bun:"ended_at"`
	TaskID          string `bun:"task_id"`
	AgentOwner      string `bun:"agent_owner"`
	// MCPServers is stored as in agents.
	MCPServers string `bun:"mcp_servers"`
}

func (r *runRow) run() (*core.Run, error) {
	fault, err := errorOf(r.Error)
	servers, refsErr := serverRefsOf(r.MCPServers)
	return &core.Run{
		ID: r.ID, Kind: core.RunKind(r.Kind), AgentID: r.AgentID, UserID: r.UserID,
		SessionKey: r.SessionKey, SessionID: r.SessionID, AgentType: r.AgentType, Config: rawJSON(r.Config),
		InputID: r.InputID, AnswerID: r.AnswerID, Status: core.RunStatus(r.Status), Error: fault,
		Stream: r.Stream, Seed: uint64(r.Seed), Owner: r.Owner, Attempt: r.Attempt, //nolint:gosec // it was converted from uint64
		CancelRequested: r.CancelRequested, Model: r.Model,
		Usage: sdk.Usage{
			InputTokens: r.InputTokens, OutputTokens: r.OutputTokens,
			CachedInputTokens: r.CachedTokens, ReasoningTokens: r.ReasoningTokens,
		},
		CreatedAt: instant(r.CreatedAt), EndedAt: instant(r.EndedAt), TaskID: r.TaskID,
		AgentOwner: r.AgentOwner, MCPServers: servers,
	}, errors.Join(err, refsErr)
}

// isActive selects runs that have not ended. It must equal the condition of the index runs_under_way.
const isActive = `status IN ('running', 'waiting_approval')`

// activeRuns restricts a query to runs that have not ended.
func activeRuns(q *bun.SelectQuery) *bun.SelectQuery {
	return q.Model((*runRow)(nil)).Where(isActive)
}

// busySession returns the Conflict of a session in which a run is active. It names the run.
func busySession(ctx context.Context, tx *tx, key, sessionID string) error {
	id, err := idOf(ctx, activeRuns(tx.NewSelect()).Where("session_key = ?", key))
	switch {
	case err != nil:
		return err
	case id == "": // it has ended in the meantime
		return core.Conflict("Session %q was busy with another run. Send the request again", sessionID).
			WithField("session_id")
	}
	return core.Conflict("Session %q is busy with run %s. Wait for it, or cancel it with POST /v1/runs/%s/cancel.",
		sessionID, id, id).WithField("session_id").WithObject("session", sessionID).WithRun(core.RunRef{ID: id})
}

// runSeenBy returns the condition for runs that the actor can see, and its arguments.
func runSeenBy(actor core.Actor) (string, []any) {
	return "(? OR r.user_id = ?)", []any{actor.Admin(), actor.UserID}
}

var (
	// insertRun inserts nothing while another run of the session is active.
	insertRun = &preparedStatement{`INSERT INTO runs (id, kind, agent_id, user_id, session_key, session_id,
	agent_type, config,
input_id, answer_id, status, error, stream, seed, owner, attempt, cancel_requested,
input_tokens, output_tokens, cached_tokens, reasoning_tokens, model, created_at, ended_at, task_id,
agent_owner, mcp_servers)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, '', ?, ?, ?, ?, FALSE, 0, 0, 0, 0, ?, ?, 0, ?, ?, ?)
ON CONFLICT (session_key) WHERE ` + isActive + ` DO NOTHING`}

	endRun = &preparedStatement{`UPDATE runs SET answer_id = ?, status = ?, error = ?, input_tokens = ?, output_tokens = ?,
cached_tokens = ?, reasoning_tokens = ?, model = ?, ended_at = ?
WHERE id = ? AND owner = ? AND attempt = ? AND ` + isActive + `
RETURNING COALESCE(session_key, ''), session_id, agent_id, user_id`}

	retryRun = &preparedStatement{`UPDATE runs SET attempt = attempt + 1
WHERE id = ? AND owner = ? AND attempt = ? AND ` + isActive}

	fenceRun = &preparedStatement{`SELECT 1 FROM runs WHERE id = ? AND owner = ? AND attempt = ?
AND ` + isActive + ` FOR UPDATE`}
)

var errFenced = core.Conflict("The run has ended, or another server or attempt executes it")

// fence returns errFenced unless the run is active and has run's owner and attempt. It locks the run
// until the commit.
func fence(ctx context.Context, tx *tx, run *core.Run) error {
	var one int
	err := tx.queryRow(ctx, fenceRun, []any{run.ID, run.Owner, run.Attempt}, &one)
	return orFenced(err)
}

// orFenced converts sql.ErrNoRows into errFenced.
func orFenced(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errFenced
	}
	return err
}

// StartRun implements core.RunStore. It fails with NotFound if the agent does not exist.
func (db *DB) StartRun(ctx context.Context, audit *core.AuditRecord, s core.RunStart) error {
	run := s.Run
	input, err := encodeMessage(s.Input, run.ID)
	if err != nil {
		return err
	}
	servers, err := serverRefsText(run.MCPServers)
	if err != nil {
		return err
	}
	newKey, created := core.NewID("session"), micros(run.CreatedAt)
	key := newKey
	size := rowBytes + int64(len(run.Config)+len(servers)) + input.size() + firstSize(s.Events)
	if err := db.quota.reserve(ctx, run.UserID, size); err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		if s.Task != nil {
			if err := beginTask(ctx, tx, s.Task.ID, run.ID, run.CreatedAt); err != nil {
				return err
			}
		}
		err := tx.queryRow(ctx, touchSession,
			[]any{newKey, run.SessionID, run.AgentID, run.UserID, size, created, created}, &key)
		if err != nil {
			if db.dialect.failure(err) == failMissing {
				return core.NotFound("agent", run.AgentID)
			}
			return err
		}
		// The sessions of tasks do not count: tasks are limited otherwise, and a session is created when one starts.
		if key == newKey && s.Task == nil {
			own := tx.NewSelect().Model((*sessionRow)(nil)).Where("user_id = ?", run.UserID).Where("id NOT LIKE 'task-%'").
				Where("key <> ?", key)
			if err := checkLimit(ctx, own, db.limits.Sessions, "session", "--max-sessions"); err != nil {
				return err
			}
		}
		n, err := tx.exec(ctx, insertRun, run.ID, string(run.Kind), run.AgentID, run.UserID, key, run.SessionID,
			run.AgentType, string(run.Config), input.id, string(run.Status), run.Stream,
			int64(run.Seed), run.Owner, run.Attempt, run.Model, created, run.TaskID, //nolint:gosec // the conversion is undone on reading
			run.AgentOwner, servers)
		if err != nil {
			return err
		}
		if n == 0 {
			return busySession(ctx, tx, key, run.SessionID)
		}
		if err := input.insert(ctx, tx, key, run.SessionID, run.AgentID, run.UserID); err != nil {
			return err
		}
		return putEvents(ctx, tx, run.ID, s.Events)
	})
	db.quota.settle(run.UserID, size, err)
	if err == nil {
		run.SessionKey, s.Input.SessionKey = key, key
	}
	return err
}

// Run implements core.RunStore.
func (db *DB) Run(ctx context.Context, actor core.Actor, id string) (*core.Run, error) {
	r, err := db.run(ctx, db.read, actor, id)
	return r, db.translate(err)
}

func (db *DB) run(ctx context.Context, from bun.IDB, actor core.Actor, id string) (*core.Run, error) {
	r := new(runRow)
	visible, args := runSeenBy(actor)
	err := from.NewSelect().Model(r).Where("id = ?", id).Where(visible, args...).Scan(ctx)
	if err != nil {
		return nil, notFound(err, "run", id)
	}
	return r.run()
}

// RetryRun implements core.RunStore.
func (db *DB) RetryRun(ctx context.Context, run *core.Run, events []core.EventRow) error {
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, retryRun, run.ID, run.Owner, run.Attempt)
		if err != nil {
			return err
		}
		if n == 0 {
			return errFenced
		}
		return putEvents(ctx, tx, run.ID, events)
	})
	if err == nil {
		run.Attempt++
	}
	return err
}

// EndRun implements core.RunStore. It sets the SessionKey of e.Answer.
func (db *DB) EndRun(ctx context.Context, e core.RunEnd) error {
	w, err := prepareEnd(e)
	if err != nil {
		return err
	}
	var key string
	err = db.write(ctx, func(ctx context.Context, tx *tx) (err error) {
		key, err = w.write(ctx, tx, e)
		return err
	})
	if err != nil {
		return err
	}
	db.quota.add(e.Run.UserID, w.size+w.laterSize)
	if e.Answer != nil {
		e.Answer.SessionKey = key
	}
	return nil
}

// runEnd contains the statement arguments of a RunEnd, which are prepared before the transaction.
type runEnd struct {
	run, call, task []any
	answer          storedMessage
	notification    *core.Notification
	// size is the size of the answer and the error, laterSize that of the call and the events.
	size, laterSize int64
}

func prepareEnd(e core.RunEnd) (w runEnd, err error) {
	run, answerID := e.Run, e.Run.AnswerID
	if !run.Status.Ended() {
		return w, fmt.Errorf("end run %s: status %q is not final", run.ID, run.Status)
	}
	if e.Answer != nil {
		answerID = e.Answer.ID
		if w.answer, err = encodeMessage(e.Answer, run.ID); err != nil {
			return w, err
		}
		if w.notification, err = core.NewMessageNotification(e.Answer); err != nil {
			return w, err
		}
		w.notification.TaskID = run.TaskID
		w.size = w.answer.size()
	}
	w.laterSize = eventsSize(e.Events)
	if e.Call != nil {
		var size int64
		if w.call, size, err = callArgs(run.ID, e.Call, ""); err != nil {
			return w, err
		}
		w.call, w.laterSize = append(w.call, 0), w.laterSize+size
	}
	if e.Task != nil {
		if w.task, err = taskEndArgs(e.Task, run.EndedAt); err != nil {
			return w, err
		}
	}
	fault, err := errorText(run.Error)
	w.size += int64(len(fault))
	w.run = []any{
		answerID, string(run.Status), fault, run.Usage.InputTokens, run.Usage.OutputTokens,
		run.Usage.CachedInputTokens, run.Usage.ReasoningTokens, run.Model, micros(run.EndedAt),
		run.ID, run.Owner, run.Attempt,
	}
	return w, err
}

func (w runEnd) write(ctx context.Context, tx *tx, e core.RunEnd) (key string, err error) {
	var sessionID, agentID, userID string
	err = tx.queryRow(ctx, endRun, w.run, &key, &sessionID, &agentID, &userID)
	if err != nil {
		return "", orFenced(err)
	}
	if w.call != nil {
		if _, err := tx.exec(ctx, putCall, w.call...); err != nil {
			return "", err
		}
		if err := recordUsage(ctx, tx, e.Run, e.Call); err != nil {
			return "", err
		}
	}
	if w.task != nil {
		if _, err := tx.exec(ctx, endTask, w.task...); err != nil {
			return "", err
		}
		if err := notifyTask(ctx, tx, e.Task.ID); err != nil {
			return "", err
		}
	}
	if e.Answer != nil {
		if err := w.answer.insert(ctx, tx, key, sessionID, agentID, userID); err != nil {
			return "", err
		}
		w.notification.SessionKey = key
		if err := putNotification(ctx, tx, w.notification); err != nil {
			return "", err
		}
	}
	if err := putEvents(ctx, tx, e.Run.ID, e.Events); err != nil {
		return "", err
	}
	return key, w.endTurn(ctx, tx, e, key)
}

// endTurn updates the session of the run. The calls and events of the run must be stored already.
func (w runEnd) endTurn(ctx context.Context, tx *tx, e core.RunEnd, key string) error {
	answers, at := 0, int64(0) // without an answer, the session keeps its time
	if e.Answer != nil {
		answers, at = 1, w.answer.createdAt
	}
	var err error
	if e.Complete {
		_, err = tx.exec(ctx, endTurn, answers, w.size+w.laterSize, at, at, key)
	} else {
		_, err = tx.exec(ctx, endLongTurn, answers, w.size, e.Run.ID, e.Run.ID, at, at, key)
	}
	return err
}

// RequestCancel implements core.RunStore.
func (db *DB) RequestCancel(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string,
) (*core.Run, error) {
	var run *core.Run
	err := db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) (err error) {
		visible, args := runSeenBy(actor)
		res, err := tx.NewUpdate().Model((*runRow)(nil)).Set("cancel_requested = TRUE").
			Where("id = ?", id).Where(isActive).Where(visible, args...).Exec(ctx)
		unchanged := changed(res, err, errUnchanged)
		if unchanged != nil && !errors.Is(unchanged, errUnchanged) {
			return unchanged
		}
		tx.wakeup(core.Wakeup{Topic: core.TopicCancel, ID: id})
		if run, err = db.run(ctx, tx, actor, id); err != nil {
			return err
		}
		return unchanged
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return run, err
}

// errUnchanged rolls back a write that changed nothing, so that it is not audited.
var errUnchanged = errors.New("nothing to change")

// ActiveRuns implements core.RunStore.
func (db *DB) ActiveRuns(ctx context.Context, owner string) ([]string, error) {
	var ids []string
	err := activeRuns(db.read.NewSelect()).Column("id").Where("owner = ?", owner).Scan(ctx, &ids)
	return ids, db.translate(err)
}

// CancelRequests implements core.RunStore.
func (db *DB) CancelRequests(ctx context.Context, owner string) ([]string, error) {
	var ids []string
	err := activeRuns(db.read.NewSelect()).Column("id").
		Where("owner = ?", owner).Where("cancel_requested").Scan(ctx, &ids)
	return ids, db.translate(err)
}
