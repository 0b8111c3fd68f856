// Package usage serves the counts of tokens that models have used, and the sizes of what users store.
package usage

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

const (
	// maxDays is the maximum number of days in one request, and defaultDays the default.
	maxDays     = 366
	defaultDays = 30
)

// Store counts tokens and stored bytes.
type Store interface {
	StorageStore
	// Usage returns a page of the counts that the actor may see, the number of all rows, and the sum
	// of all rows.
	Usage(
		ctx context.Context, v core.Actor, f core.UsageFilter,
	) (rows []core.UsageRow, total int, sum core.UsageRow, err error)
}

type usedRow struct {
	Day               string `json:"day,omitempty" doc:"In UTC"`
	AgentID           string `json:"agent_id,omitempty"`
	Model             string `json:"model,omitempty" doc:"The id of the model in GET /v1/models"`
	UserID            string `json:"user_id,omitempty"`
	Completions       int64  `json:"completions" doc:"The number of completions"`
	InputTokens       int64  `json:"input_tokens"`
	OutputTokens      int64  `json:"output_tokens"`
	CachedInputTokens int64  `json:"cached_input_tokens" doc:"Input tokens that were read from the provider's cache"`
	ReasoningTokens   int64  `json:"reasoning_tokens" doc:"Output tokens that were used for reasoning"`
}

type usageList struct {
	Usage []usedRow `json:"usage"`
	Sum   usedRow   `json:"sum" doc:"The sum of all rows on all pages"`
	api.Paged
}

type (
	usageInput struct {
		api.Page
		From    api.TimeInput `query:"from" doc:"The first day, in UTC: a date, or a time on that day. The default is 30 days before to"`
		To      api.TimeInput `query:"to" doc:"The last day, in UTC: a date, or a time on that day. The default is today"`
		By      string        `query:"by" default:"day" doc:"How to group: a comma-separated list of day, agent, model and user"`
		AgentID string        `query:"agent_id" doc:"Filter by agent"`
		Model   string        `query:"model" doc:"Filter by model: label/model"`
		UserID  string        `query:"user_id" doc:"Filter by user"`
	}
	usageOutput struct{ Body usageList }
)

// Register adds the operations of the group.
func Register(a *api.API, store Store, limits Limits) {
	example := usedRow{
		Day: "2026-11-24", Model: "openai/gpt-4", Completions: 12,
		InputTokens: 5400, OutputTokens: 1300, CachedInputTokens: 1024,
	}
	sum := example
	sum.Day, sum.Model = "", ""
	api.Register(a, api.Operation{
		ID: "list-usage", Method: http.MethodGet, Path: "/v1/usage", Tag: "Plugins", Access: api.SignedIn,
		Summary: "Count the tokens used",
		Description: "The number of completions and their tokens, grouped by day, agent, model or user. You see your own; " +
			"an admin sees all. Usage stays counted when its run or agent is deleted.",
		Response: usageList{Usage: []usedRow{example}, Sum: sum, Paged: api.Paged{Total: 1, Limit: 20}},
		Errors:   []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *usageInput) (*usageOutput, error) { return list(ctx, store, in) })
	registerStorage(a, store, limits)
}

func list(ctx context.Context, store Store, in *usageInput) (*usageOutput, error) {
	f, err := in.filter(time.Now().UTC())
	if err != nil {
		return nil, err
	}
	var sum core.UsageRow
	rows, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) (rows []core.UsageRow, n int, err error) {
		f.Page = p
		rows, n, sum, err = store.Usage(ctx, api.Actor(ctx), f)
		return rows, n, err
	}, func(r core.UsageRow) core.PageKey { return r.PageKey() })
	if err != nil {
		return nil, err
	}
	out := &usageOutput{Body: usageList{Usage: make([]usedRow, len(rows)), Sum: newUsedRow(sum), Paged: paged}}
	for i, r := range rows {
		out.Body.Usage[i] = newUsedRow(r)
	}
	return out, nil
}

// filter returns the filter for the store. It fails with Invalid.
func (in *usageInput) filter(now time.Time) (f core.UsageFilter, err error) {
	f = core.UsageFilter{
		AgentID: in.AgentID, Model: in.Model, UserID: in.UserID, To: now.Truncate(24 * time.Hour),
	}
	if in.To != "" {
		if f.To, err = dayOf("to", in.To); err != nil {
			return f, err
		}
	}
	f.From = f.To.AddDate(0, 0, 1-defaultDays)
	if in.From != "" {
		if f.From, err = dayOf("from", in.From); err != nil {
			return f, err
		}
	}
	if days := f.To.Sub(f.From) / (24 * time.Hour); days < 0 || days >= maxDays {
		return f, core.Invalid("from", "Must not be after to, and must be less than %d days before it", maxDays)
	}
	for word := range strings.SplitSeq(in.By, ",") {
		key := core.UsageKey(strings.TrimSpace(word))
		switch key {
		case core.UsageByDay, core.UsageByAgent, core.UsageByModel, core.UsageByUser:
		default:
			return f, core.Invalid("by", "Must be a comma-separated list of: day, agent, model, user")
		}
		if slices.Contains(f.By, key) {
			return f, core.Invalid("by", "Contains a duplicate: %q", key)
		}
		f.By = append(f.By, key)
	}
	return f, nil
}

// dayOf returns the start of the day that a parameter names. It fails with Invalid.
func dayOf(field string, t api.TimeInput) (time.Time, error) {
	at, _, err := t.Parse(field)
	return at.Truncate(24 * time.Hour), err
}

func newUsedRow(u core.UsageRow) usedRow {
	r := usedRow{
		AgentID: u.AgentID, Model: u.Model, UserID: u.UserID, Completions: u.Completions,
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens,
		CachedInputTokens: u.CachedInputTokens, ReasoningTokens: u.ReasoningTokens,
	}
	if !u.Day.IsZero() {
		r.Day = u.Day.Format(time.DateOnly)
	}
	return r
}
