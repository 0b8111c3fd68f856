package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type taskRow struct {
	bun.BaseModel `bun:"table:tasks,alias:t"`

	ID            string `bun:"id,pk"`
	UserID        string `bun:"user_id"`
	AgentID       string `bun:"agent_id"`
	Title         string `bun:"title"`
	Description   string `bun:"description"`
	Priority      int64  `bun:"priority"`
	Data          string `bun:"data"`
	Input         string `bun:"input"`
	Status        string `bun:"status"`
	Result        string `bun:"result"`
	Error         string `bun:"error"`
	Attempts      int64  `bun:"attempts"`
	MaxAttempts   int64  `bun:"max_attempts"`
	TimeoutMicros int64  `bun:"timeout_micros"`
	RunID         string `bun:"run_id"`
	RunAt         int64  `bun:"run_at"`
	CreatedAt     int64  `bun:"created_at"`
	UpdatedAt     int64  `bun:"updated_at"`
	StartedAt     int64  `bun:"started_at"`
	EndedAt       int64  `bun:"ended_at"`
}

func newTaskRow(t *core.Task) (*taskRow, error) {
	input, err := json.Marshal(t.Input)
	if err != nil {
		return nil, err
	}
	return &taskRow{
		ID: t.ID, UserID: t.UserID, AgentID: t.AgentID, Title: t.Title, Description: t.Description,
		Priority: int64(t.Priority), Data: string(t.Data), Input: string(input), Status: string(t.Status),
		MaxAttempts: int64(t.MaxAttempts), TimeoutMicros: t.Timeout.Microseconds(),
		RunAt: micros(t.RunAt), CreatedAt: micros(t.CreatedAt), UpdatedAt: micros(t.UpdatedAt),
	}, nil
}

func (r *taskRow) task() (*core.Task, error) {
	t := &core.Task{
		ID: r.ID, UserID: r.UserID, AgentID: r.AgentID, Title: r.Title, Description: r.Description,
		Priority: core.TaskPriority(r.Priority), Data: rawJSON(r.Data),
		Status: core.TaskStatus(r.Status), Result: rawJSON(r.Result),
		Attempts: int(r.Attempts), MaxAttempts: int(r.MaxAttempts),
		Timeout: time.Duration(r.TimeoutMicros) * time.Microsecond,
		RunID:   r.RunID, RunAt: instant(r.RunAt), CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
		StartedAt: instant(r.StartedAt), EndedAt: instant(r.EndedAt),
	}
	var err error
	if t.Error, err = errorOf(r.Error); err != nil {
		return nil, err
	}
	return t, json.Unmarshal([]byte(r.Input), &t.Input)
}

// taskSeenBy returns the condition for tasks that the actor can see, and its arguments.
func taskSeenBy(actor core.Actor) (string, []any) {
	return "(? OR t.user_id = ?)", []any{actor.Admin(), actor.UserID}
}

// CreateTask implements core.TaskStore. It fails with NotFound if the agent does not exist.
func (db *DB) CreateTask(ctx context.Context, audit *core.AuditRecord, t *core.Task) error {
	row, err := newTaskRow(t)
	if err != nil {
		return err
	}
	if err := db.quota.reserve(ctx, t.UserID, row.size()); err != nil {
		return err
	}
	err = db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		switch {
		case err != nil && db.dialect.failure(err) == failMissing:
			return core.NotFound("agent", t.AgentID)
		case err != nil:
			return err
		}
		if err := notifyTask(ctx, tx, t.ID); err != nil {
			return err
		}
		return db.insertJob(ctx, tx, t.Priority, t.RunAt)
	})
	db.quota.settle(t.UserID, row.size(), err)
	return err
}

// notifyTask stores a notification with the current status of the task.
func notifyTask(ctx context.Context, tx *tx, id string) error {
	row := new(taskRow)
	if err := tx.NewSelect().Model(row).Where("id = ?", id).Scan(ctx); err != nil {
		return err
	}
	t, err := row.task()
	if err != nil {
		return err
	}
	n, err := core.NewTaskNotification(t)
	if err != nil {
		return err
	}
	return putNotification(ctx, tx, n)
}

// Task implements core.TaskStore.
func (db *DB) Task(ctx context.Context, actor core.Actor, id string) (*core.Task, error) {
	row, err := taskOf(ctx, db.read, actor, id)
	if err != nil {
		return nil, db.translate(err)
	}
	t, err := row.task()
	if err != nil {
		return nil, err
	}
	return t, db.translate(db.addRuns(ctx, []*core.Task{t}))
}

func taskOf(ctx context.Context, from bun.IDB, actor core.Actor, id string) (*taskRow, error) {
	row := new(taskRow)
	visible, args := taskSeenBy(actor)
	err := from.NewSelect().Model(row).Where("t.id = ?", id).Where(visible, args...).Scan(ctx)
	return row, notFound(err, "task", id)
}

// Tasks implements core.TaskStore.
func (db *DB) Tasks(ctx context.Context, actor core.Actor, f core.TaskFilter) ([]*core.Task, int, error) {
	var rows []taskRow
	q := db.read.NewSelect().Model(&rows).Order("t.created_at DESC", "t.id DESC")
	if !actor.Admin() { // with "? OR …" SQLite would not use the index
		q.Where("t.user_id = ?", actor.UserID)
	}
	if f.Status != "" {
		q.Where("t.status = ?", string(f.Status))
	}
	if f.AgentID != "" {
		q.Where("t.agent_id = ?", f.AgentID)
	}
	if f.Priority != 0 {
		q.Where("t.priority = ?", int(f.Priority))
	}
	total, err := db.listSized(ctx, q, f.Page, "(t.created_at, t.id) < (?0, ?1)", "t.id", "t.description", "t.data", "t.input", "t.result", "t.error")
	if err != nil {
		return nil, 0, err
	}
	tasks := make([]*core.Task, len(rows))
	for i := range rows {
		if tasks[i], err = rows[i].task(); err != nil {
			return nil, 0, err
		}
	}
	return tasks, total, db.translate(db.addRuns(ctx, tasks))
}

// addRuns sets Usage, Steps and Step of each task from the recorded calls of its run.
func (db *DB) addRuns(ctx context.Context, tasks []*core.Task) error {
	byRun := map[string]*core.Task{}
	var ids []string
	for _, t := range tasks {
		if t.RunID != "" {
			byRun[t.RunID] = t
			ids = append(ids, t.RunID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var runs []struct {
		RunID                            string
		Steps                            int
		Input, Output, Cached, Reasoning int64
		Kind                             string
	}
	err := db.read.NewSelect().TableExpr("calls AS c").ColumnExpr("c.run_id AS run_id").
		ColumnExpr("SUM(CASE WHEN c.done THEN 1 ELSE 0 END) AS steps").
		ColumnExpr("CAST(SUM(c.input_tokens) AS BIGINT) AS input").
		ColumnExpr("CAST(SUM(c.output_tokens) AS BIGINT) AS output").
		ColumnExpr("CAST(SUM(c.cached_tokens) AS BIGINT) AS cached").
		ColumnExpr("CAST(SUM(c.reasoning_tokens) AS BIGINT) AS reasoning").
		ColumnExpr("(SELECT l.kind FROM calls AS l WHERE l.run_id = c.run_id ORDER BY l.number DESC LIMIT 1) AS kind").
		Where("c.run_id IN (?)", bun.List(ids)).GroupExpr("c.run_id").Scan(ctx, &runs)
	for _, r := range runs {
		t := byRun[r.RunID]
		t.Steps, t.Step = r.Steps, core.CallKind(r.Kind)
		t.Usage = sdk.Usage{
			InputTokens: r.Input, OutputTokens: r.Output, CachedInputTokens: r.Cached, ReasoningTokens: r.Reasoning,
		}
	}
	return err
}

// CancelTask implements core.TaskStore.
func (db *DB) CancelTask(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, now time.Time,
) (*core.Task, error) {
	err := db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		row, err := taskOf(ctx, tx, actor, id)
		if err != nil {
			return err
		}
		if core.TaskStatus(row.Status).Ended() {
			return core.Conflict("The task has already ended with status %s", row.Status).WithObject("task", id)
		}
		n, err := tx.exec(ctx, endPendingTask, string(core.TaskCancelled), "", micros(now), micros(now), id)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := notifyTask(ctx, tx, id); err != nil {
				return err
			}
		}
		if row.RunID == "" {
			if n == 0 {
				return errTaskTaken.WithObject("task", id)
			}
			return nil
		}
		if n > 0 { // the task was pending, so no server executes its run
			return endDeferredRun(ctx, tx, row.RunID, now)
		}
		_, err = tx.NewUpdate().Model((*runRow)(nil)).Set("cancel_requested = TRUE").
			Where("id = ?", row.RunID).Where(isActive).Exec(ctx)
		tx.wakeup(core.Wakeup{Topic: core.TopicCancel, ID: row.RunID})
		return err
	})
	if err != nil {
		return nil, err
	}
	return db.Task(ctx, actor, id)
}

// endDeferredRun ends a run that no server executes, with the usage of its recorded calls, and appends the end event
// to its log.
func endDeferredRun(ctx context.Context, tx *tx, runID string, now time.Time) error {
	end := core.Run{ID: runID, Status: core.RunCancelled}
	err := tx.queryRow(ctx, endUnownedRun, []any{string(end.Status), micros(now), runID}, &end.Model,
		&end.Usage.InputTokens, &end.Usage.OutputTokens, &end.Usage.CachedInputTokens, &end.Usage.ReasoningTokens)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	event, err := json.Marshal(struct {
		Type     string           `json:"type"`
		Metadata core.RunMetadata `json:"metadata"`
	}{"end", core.RunMetadata{
		Model: end.Model, TokensUsed: end.Usage.Total(), RunID: runID, Status: end.Status, Usage: end.Usage,
	}})
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, appendEnd, string(event), micros(now), runID); err != nil {
		return err
	}
	_, err = tx.exec(ctx, countLater, runID, runID, runID)
	return err
}

var errTaskTaken = core.Conflict("The task is being started. Try again")

var (
	endPendingTask = &preparedStatement{`UPDATE tasks SET status = ?, error = ?, ended_at = ?, updated_at = ?
WHERE id = ? AND status = 'pending'`}

	endUnownedRun = &preparedStatement{`UPDATE runs SET status = ?, ended_at = ?,
input_tokens = ` + sumOfCalls("input_tokens") + `, output_tokens = ` + sumOfCalls("output_tokens") + `,
cached_tokens = ` + sumOfCalls("cached_tokens") + `, reasoning_tokens = ` + sumOfCalls("reasoning_tokens") + `,
model = COALESCE((SELECT c.model FROM calls AS c WHERE c.run_id = runs.id AND c.model <> ''
	ORDER BY c.number DESC LIMIT 1), model)
WHERE id = ? AND owner = '' AND ` + isActive + `
RETURNING model, input_tokens, output_tokens, cached_tokens, reasoning_tokens`}

	// appendEnd skips sequence numbers that the last attempt may have sent but not stored.
	appendEnd = &preparedStatement{`INSERT INTO events (run_id, first, last, type, data, created_at)
SELECT e.run_id, MAX(e.last) + 1048577, MAX(e.last) + 1048577, 'end', ?, CAST(? AS BIGINT)
	FROM events AS e WHERE e.run_id = ? GROUP BY e.run_id`}

	nextTask = &preparedStatement{fmt.Sprintf(nextTaskFormat, "", "")}

	startTask = &preparedStatement{`UPDATE tasks SET status = 'running', attempts = attempts + 1, run_id = ?,
started_at = ?, updated_at = ?
WHERE id = ? AND status = 'pending'`}

	ownRun = &preparedStatement{`UPDATE runs SET owner = ? WHERE id = ? AND owner = '' AND ` + isActive}

	deferTask = &preparedStatement{`UPDATE tasks SET status = 'pending', error = ?, run_at = ?, updated_at = ?
WHERE run_id = ? AND status = 'running'`}

	disownRun = &preparedStatement{`UPDATE runs SET owner = '' WHERE id = ? AND owner = ? AND attempt = ? AND ` + isActive}

	deleteFailedCalls = &preparedStatement{`DELETE FROM calls WHERE run_id = ? AND done AND error <> '' AND number >
COALESCE((SELECT MAX(number) FROM calls WHERE run_id = ? AND error = ''), 0)`}

	endTask = &preparedStatement{`UPDATE tasks SET status = ?, result = ?, error = ?, ended_at = ?, updated_at = ?
WHERE id = ? AND status = 'running'`}
)

// sumOfCalls returns the sum of a column of the calls of a row of runs.
func sumOfCalls(column string) string {
	return `(SELECT CAST(COALESCE(SUM(c.` + column + `), 0) AS BIGINT) FROM calls AS c WHERE c.run_id = runs.id)`
}

// nextTaskFormat is a query for each user's oldest task among those with the highest priority, and of these
// the task of the user whose last task started longest ago. Its verbs are conditions for the tasks w and p.
const nextTaskFormat = `SELECT t.id FROM tasks AS t JOIN (
SELECT w.user_id AS user_id, MIN(w.created_at) AS first FROM tasks AS w
WHERE w.status = 'pending' AND w.run_at <= ? %s AND w.priority =
(SELECT MIN(p.priority) FROM tasks AS p WHERE p.status = 'pending' AND p.run_at <= ? %s)
GROUP BY w.user_id) AS u ON u.user_id = t.user_id AND u.first = t.created_at
WHERE t.status = 'pending' AND t.run_at <= ?
ORDER BY t.priority, COALESCE((SELECT MAX(s.started_at) FROM tasks AS s WHERE s.user_id = t.user_id), 0), t.created_at, t.id LIMIT 1`

// NextTask implements core.TaskStore.
func (db *DB) NextTask(ctx context.Context, now time.Time, except []string) (*core.Task, error) {
	var id string
	at := micros(now)
	var err error
	if len(except) == 0 {
		err = db.queryRow(ctx, nextTask, []any{at, at, at}, &id)
	} else {
		query := fmt.Sprintf(nextTaskFormat, "AND w.user_id NOT IN (?)", "AND p.user_id NOT IN (?)")
		err = db.translate(db.read.NewRaw(query, at, bun.List(except), at, bun.List(except), at).Scan(ctx, &id))
	}
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil //nolint:nilnil // no task is due
		}
		return nil, err
	}
	row := new(taskRow)
	if err := db.read.NewSelect().Model(row).Where("id = ?", id).Scan(ctx); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil //nolint:nilnil // its agent was just deleted
		}
		return nil, db.translate(err)
	}
	return row.task()
}

// waitingTasks counts the due tasks of one user with one priority.
type waitingTasks struct {
	UserID   string `bun:"user_id"`
	Priority int64  `bun:"priority"`
	Tasks    int    `bun:"tasks"`
	// Earlier is the number of tasks that were created before the task in question.
	Earlier int `bun:"earlier"`
	// First is when the oldest task was created, Served when the user's last task started.
	First  int64 `bun:"first"`
	Served int64 `bun:"served"`
}

// QueuePosition implements core.TaskStore. Its cost depends only on the number of pending tasks.
func (db *DB) QueuePosition(ctx context.Context, t *core.Task, now time.Time) (int, error) {
	if t.Status != core.TaskPending || t.RunAt.After(now) {
		return 0, nil
	}
	var waiting []waitingTasks
	err := db.read.NewSelect().TableExpr("tasks AS w").ColumnExpr("w.user_id, w.priority, count(*) AS tasks").
		ColumnExpr("SUM(CASE WHEN w.created_at < ? OR w.created_at = ? AND w.id < ? THEN 1 ELSE 0 END) AS earlier",
			micros(t.CreatedAt), micros(t.CreatedAt), t.ID).
		ColumnExpr("MIN(w.created_at) AS first").
		ColumnExpr("COALESCE((SELECT MAX(s.started_at) FROM tasks AS s WHERE s.user_id = w.user_id), 0) AS served").
		Where("w.status = 'pending'").Where("w.run_at <= ?", micros(now)).Where("w.priority <= ?", int64(t.Priority)).
		GroupExpr("w.user_id, w.priority").Scan(ctx, &waiting)
	if err != nil {
		return 0, db.translate(err)
	}
	return queuePosition(t, waiting), nil
}

// queuePosition returns the position of t. Tasks with a higher priority come before it. Users take turns
// with tasks of its priority, as in NextTask.
func queuePosition(t *core.Task, waiting []waitingTasks) int {
	var own waitingTasks
	for _, w := range waiting {
		if w.UserID == t.UserID && w.Priority == int64(t.Priority) {
			own = w
		}
	}
	position := own.Earlier + 1
	for _, w := range waiting {
		switch {
		case w.Priority < int64(t.Priority):
			position += w.Tasks
		case w.UserID == t.UserID:
		case w.Served < own.Served || w.Served == own.Served && w.First < own.First:
			position += min(w.Tasks, own.Earlier+1)
		default:
			position += min(w.Tasks, own.Earlier)
		}
	}
	return position
}

// TaskBacklog counts the pending tasks of all users by priority. It uses the index on pending tasks, so
// its cost depends only on their number.
func (db *DB) TaskBacklog(ctx context.Context, now time.Time) ([]core.TaskBacklog, error) {
	var rows []struct {
		Priority int64 `bun:"priority"`
		Deferred int64 `bun:"deferred"`
		Tasks    int64 `bun:"tasks"`
	}
	err := db.read.NewSelect().Table("tasks").
		ColumnExpr("priority, CASE WHEN run_at > ? THEN 1 ELSE 0 END AS deferred, count(*) AS tasks", micros(now)).
		Where("status = 'pending'").GroupExpr("1, 2").Scan(ctx, &rows)
	if err != nil {
		return nil, db.translate(err)
	}
	out := make([]core.TaskBacklog, len(rows))
	for i, r := range rows {
		out[i] = core.TaskBacklog{Priority: core.TaskPriority(r.Priority), Deferred: r.Deferred == 1, Tasks: int(r.Tasks)}
	}
	return out, nil
}

// beginTask changes the status of a pending task to running.
func beginTask(ctx context.Context, tx *tx, id, runID string, now time.Time) error {
	n, err := tx.exec(ctx, startTask, runID, micros(now), micros(now), id)
	if err == nil && n == 0 {
		return core.Conflict("The task is no longer pending").WithObject("task", id)
	}
	if err != nil {
		return err
	}
	return notifyTask(ctx, tx, id)
}

// ResumeTask implements core.TaskStore.
func (db *DB) ResumeTask(ctx context.Context, t *core.Task, owner string, now time.Time) (*core.Run, error) {
	var run *core.Run
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := beginTask(ctx, tx, t.ID, t.RunID, now); err != nil {
			return err
		}
		n, err := tx.exec(ctx, ownRun, owner, t.RunID)
		if err != nil {
			return err
		}
		if n == 0 {
			return errFenced
		}
		run, err = db.run(ctx, tx, core.Actor{UserID: t.UserID}, t.RunID)
		return err
	})
	return run, err
}

// DeferTask implements core.TaskStore.
func (db *DB) DeferTask(ctx context.Context, run *core.Run, at time.Time, failure *sdk.Error) error {
	fault, err := errorText(failure)
	if err != nil {
		return err
	}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, disownRun, run.ID, run.Owner, run.Attempt)
		if err != nil {
			return err
		}
		if n == 0 {
			return errFenced
		}
		if _, err := tx.exec(ctx, deleteFailedCalls, run.ID, run.ID); err != nil {
			return err
		}
		n, err = tx.exec(ctx, deferTask, fault, micros(at), micros(time.Now()), run.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return errFenced
		}
		row := new(taskRow)
		if err := tx.NewSelect().Model(row).Where("run_id = ?", run.ID).Scan(ctx); err != nil {
			return err
		}
		if err := notifyTask(ctx, tx, row.ID); err != nil {
			return err
		}
		return db.insertJob(ctx, tx, core.TaskPriority(row.Priority), at)
	})
}

// FailTask implements core.TaskStore.
func (db *DB) FailTask(ctx context.Context, id string, now time.Time, failure *sdk.Error) error {
	fault, err := errorText(failure)
	if err != nil {
		return err
	}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, endPendingTask, string(core.TaskFailed), fault, micros(now), micros(now), id)
		if err == nil && n == 0 {
			err = core.Conflict("The task is no longer pending").WithObject("task", id)
		}
		if err != nil {
			return err
		}
		return notifyTask(ctx, tx, id)
	})
}

// taskEndArgs returns the arguments of endTask.
func taskEndArgs(e *core.TaskEnd, at time.Time) ([]any, error) {
	fault, err := errorText(e.Error)
	return []any{string(e.Status), string(e.Result), fault, micros(at), micros(at), e.ID}, err
}
