package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
)

// maxUsageDays bounds what is counted at once, and usageDays is what is counted
// unless the request says.
const (
	maxUsageDays = 366
	usageDays    = 30
)

type usedRow struct {
	Day               string `json:"day,omitempty" doc:"In UTC"`
	AgentID           string `json:"agent_id,omitempty"`
	Model             string `json:"model,omitempty" doc:"The model's id, as GET /v1/models has it"`
	UserID            string `json:"user_id,omitempty"`
	Completions       int64  `json:"completions" doc:"How often a model has answered"`
	InputTokens       int64  `json:"input_tokens"`
	OutputTokens      int64  `json:"output_tokens"`
	CachedInputTokens int64  `json:"cached_input_tokens" doc:"Those of the input that came from the provider's cache"`
	ReasoningTokens   int64  `json:"reasoning_tokens" doc:"Those of the output that were spent on reasoning"`
}

type usageList struct {
	Usage []usedRow `json:"usage"`
	Sum   usedRow   `json:"sum" doc:"Of all rows, of other pages too"`
	Paged
}

type (
	usageInput struct {
		Page
		From    string `query:"from" format:"date" doc:"The first day, in UTC; 30 days before to unless given"`
		To      string `query:"to" format:"date" doc:"The last day; today unless given"`
		By      string `query:"by" default:"day" doc:"What to count by: day, agent, model, user, or several with commas"`
		AgentID string `query:"agent_id" doc:"Count this agent's only"`
		Model   string `query:"model" doc:"Count this model's only: label/model"`
		UserID  string `query:"user_id" doc:"Count this user's only"`
	}
	usageOutput struct{ Body usageList }
)

func (a *api) registerUsage() {
	example := usedRow{Day: "2026-11-24", Model: "openai/gpt-4", Completions: 12, InputTokens: 5400, OutputTokens: 1300, CachedInputTokens: 1024}
	sum := example
	sum.Day, sum.Model = "", ""
	register(a, operation{
		id: "list-usage", method: http.MethodGet, path: "/v1/usage", tag: "Plugins", summary: "Count the tokens used", access: signedIn,
		about:    "What models have answered and used, by day, agent, model or user. Your own; an admin sees all. What was used stays counted when its run or agent is deleted.",
		response: usageList{Usage: []usedRow{example}, Sum: sum, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, a.listUsage)
}

func (a *api) listUsage(ctx context.Context, in *usageInput) (*usageOutput, error) {
	f, err := in.filter(time.Now().UTC())
	if err != nil {
		return nil, err
	}
	rows, total, sum, err := a.usage.Usage(ctx, actor(ctx), f)
	if err != nil {
		return nil, err
	}
	out := &usageOutput{Body: usageList{Usage: make([]usedRow, len(rows)), Sum: usedReply(sum), Paged: in.reply(total)}}
	for i, r := range rows {
		out.Body.Usage[i] = usedReply(r)
	}
	return out, nil
}

func (in *usageInput) filter(now time.Time) (f core.UsageFilter, err error) {
	f = core.UsageFilter{AgentID: in.AgentID, Model: in.Model, UserID: in.UserID, Page: in.core(), To: now.Truncate(24 * time.Hour)}
	if in.To != "" {
		if f.To, err = time.Parse(time.DateOnly, in.To); err != nil {
			return f, core.Invalid("to", "must be a day, such as 2026-11-24")
		}
	}
	f.From = f.To.AddDate(0, 0, 1-usageDays)
	if in.From != "" {
		if f.From, err = time.Parse(time.DateOnly, in.From); err != nil {
			return f, core.Invalid("from", "must be a day, such as 2026-11-01")
		}
	}
	if days := f.To.Sub(f.From) / (24 * time.Hour); days < 0 || days >= maxUsageDays {
		return f, core.Invalid("from", "must be before to, by less than %d days", maxUsageDays)
	}
	for word := range strings.SplitSeq(in.By, ",") {
		key := core.UsageKey(strings.TrimSpace(word))
		switch key {
		case core.UsageByDay, core.UsageByAgent, core.UsageByModel, core.UsageByUser:
		default:
			return f, core.Invalid("by", "must be of day, agent, model and user, with commas")
		}
		if slices.Contains(f.By, key) {
			return f, core.Invalid("by", "names %s twice", key)
		}
		f.By = append(f.By, key)
	}
	return f, nil
}

func usedReply(u core.UsageRow) usedRow {
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
