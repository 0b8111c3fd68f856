package hostcall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/core/internal/run/suspect"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// maxCrashRetries is the maximum number of retries of a completion after crashes of its provider.
const maxCrashRetries = 2

// Providers finds the LLM providers of models.
type Providers interface {
	// Provider returns the provider that serves a model, its label, and the name of the
	// model there. It waits a short time while the plugin is starting, and then fails with
	// Unavailable. It fails with Invalid for a model that no provider serves.
	Provider(ctx context.Context, model string) (label, name string, p llm.Provider, err error)
	// Supports reports whether the model is known to have the capability. It returns true
	// when the provider does not say.
	Supports(ctx context.Context, model, capability string) bool
}

// completer handles the host call Complete.
type completer struct {
	run       *core.Run
	providers Providers
	files     *Files
	output    Output
	recorder  Recorder
	settler   Settler
	logger    *slog.Logger
	metrics   Metrics
	tracer    trace.Tracer
	suspects  *suspect.List
	// refused contains the models that did not accept the attachments of earlier messages in this run.
	refused sync.Map
}

// isolator is a provider that can answer in a process of its own. If that is not possible, it answers in the
// shared process, or fails with Unavailable if must is true.
type isolator interface {
	Isolated(userID string, must bool) llm.Provider
}

// isolate returns the provider for the next completion of the run.
func (c *completer) isolate(label string, p llm.Provider) llm.Provider {
	verdict := c.suspects.Verdict(pluginName(label), c.run)
	if i, ok := p.(isolator); ok && verdict != suspect.Innocent {
		return i.Isolated(c.run.UserID, verdict == suspect.Guilty)
	}
	return p
}

// judge records a crash of the provider. It returns the error of a run that is not repeated, or err.
func (c *completer) judge(label string, err error) error {
	var crash *core.PluginCrash
	if !errors.As(err, &crash) || !c.suspects.Crashed(pluginName(label), c.run, crash.Alone) {
		return err
	}
	return &sdk.Error{
		Code: sdk.CodeInternal, Message: "it crashed each time it answered this run, so the completion is not repeated",
	}
}

func pluginName(label string) string { return llm.Kind + "/" + label }

// complete asks a provider for the next message. A final answer without tool calls ends
// the run, and the call is recorded in the same transaction.
func (c *completer) complete(
	ctx context.Context, req *agent.Completion, record *core.Call,
) (*agent.Result, error) {
	record.Request = journal.Marshal(struct {
		Model    string `json:"model"`
		Messages int    `json:"messages"`
		Tools    int    `json:"tools"`
	}{req.Model, len(req.Messages), len(req.Tools)})
	answer, modelID, err := c.askProvider(ctx, req)
	var result *agent.Result
	if err == nil {
		result = &agent.Result{Answer: answer}
		record.Model, record.ModelID, record.Usage = answer.Model, modelID, answer.Usage
	}
	if !journal.Finish(ctx, record, result, err) {
		return nil, err
	}
	if err == nil && req.Final && len(answer.Message.ToolCalls) == 0 {
		return result, c.settler.Answer(answer, record)
	}
	var usage *journal.Event
	if err == nil {
		usage = usageEvent(record)
	}
	if recordErr := c.recorder.Record(record, usage); recordErr != nil {
		return nil, recordErr
	}
	return result, err
}

// askProvider asks the provider of the model. It retries when the provider's process crashes
// before it has sent anything. modelID is the ID of the model in GET /v1/models.
func (c *completer) askProvider(
	ctx context.Context, req *agent.Completion,
) (answer *agent.Answer, modelID string, err error) {
	ctx, span := startChatSpan(ctx, c.tracer, c.run, req, c.streams(req))
	defer func() { endChatSpan(span, answer, err) }()
	var prompt, messages []sdk.Message
	var start time.Time
	crashes := 0
	for {
		label, name, provider, err := c.providers.Provider(ctx, req.Model)
		if err != nil {
			return nil, "", err
		}
		setChatModel(span, label, name)
		if messages == nil {
			if prompt, err = c.prompt(ctx, req); err != nil {
				return nil, "", err
			}
			messages = normalize(prompt)
		}
		if start.IsZero() {
			start = time.Now()
			c.output.Asking(req.Model)
		}
		collector := &collector{output: c.output, req: req}
		finish, err := c.isolate(label, provider).Chat(ctx, c.request(req, name, messages), collector)
		if err == nil {
			answer, err = collector.answer(finish)
		} else {
			err = c.judge(label, err)
		}
		switch {
		case err == nil:
			if answer.Usage != finish.Usage {
				c.logger.WarnContext(ctx, "provider reported an impossible usage", "provider", label, "model", name,
					"reported", finish.Usage, "stored", answer.Usage)
			}
			c.metrics.Completion(label, name, time.Since(start), c.firstChunk(collector, start), answer.Usage, "")
			return answer, label + "/" + name, nil
		case isCrash(err) && !collector.received && crashes < maxCrashRetries && ctx.Err() == nil:
			c.logger.WarnContext(ctx, "retrying completion after provider crash", "provider", label, "error", err)
			c.metrics.CompletionRetried(label)
			crashes++
		case !collector.received && c.dropBlobs(ctx, req.Model, &prompt, err):
			messages = normalize(prompt)
			c.metrics.CompletionRetried(label)
		default:
			c.metrics.Completion(
				label, name, time.Since(start), c.firstChunk(collector, start), sdk.Usage{}, journal.Error(err).Code)
			return nil, "", wrapProviderError(label, nameBlobs(prompt, err))
		}
	}
}

// prompt returns the messages for the provider, before normalize.
func (c *completer) prompt(ctx context.Context, req *agent.Completion) ([]sdk.Message, error) {
	messages, err := buildPrompt(ctx, c.files, c.providers, c.logger, req)
	if err != nil {
		return nil, err
	}
	if _, refused := c.refused.Load(req.Model); refused {
		messages, _ = withoutEarlierBlobs(messages)
	}
	return messages, nil
}

// dropBlobs replaces the attachments of earlier messages in prompt by notes if the model rejected the request.
// Otherwise one attachment that a model does not accept would make each later turn of the session fail. It
// returns false if the error is another one, or if there is nothing to replace.
func (c *completer) dropBlobs(ctx context.Context, model string, prompt *[]sdk.Message, err error) bool {
	if journal.Error(err).Code != sdk.CodeInvalidRequest || ctx.Err() != nil {
		return false
	}
	messages, replaced := withoutEarlierBlobs(*prompt)
	if !replaced {
		return false
	}
	c.logger.WarnContext(ctx, "repeating a rejected completion without the attachments of earlier messages",
		"model", model, "error", err)
	c.refused.Store(model, true)
	*prompt = messages
	return true
}

// nameBlobs adds the attachments of the user's message to the error of a request that was rejected.
func nameBlobs(prompt []sdk.Message, err error) error {
	var e *sdk.Error
	names := inputBlobs(prompt)
	if names == "" || !errors.As(err, &e) || e.Code != sdk.CodeInvalidRequest {
		return err
	}
	named := *e
	named.Message = fmt.Sprintf("%s (the message has attachments: %s)", e.Message, names)
	return &named
}

func (c *completer) request(req *agent.Completion, model string, messages []sdk.Message) *llm.Request {
	return &llm.Request{
		Model: model, Messages: messages, Tools: req.Tools,
		Parameters: llm.Parameters{
			Temperature: req.Temperature, MaxTokens: req.MaxTokens, TopP: req.TopP, Stop: req.Stop,
		},
		Stream: c.streams(req), RunID: c.run.ID,
	}
}

// streams reports whether the provider should send the answer in chunks.
func (c *completer) streams(req *agent.Completion) bool {
	return c.run.Stream || req.OnDelta != nil
}

// firstChunk returns the time from start to the first chunk of a streamed answer, or 0 if
// there was none.
func (c *completer) firstChunk(collector *collector, start time.Time) time.Duration {
	if !collector.received || !c.streams(collector.req) {
		return 0
	}
	return collector.first.Sub(start)
}

func isCrash(err error) bool { return journal.Error(err).Code == sdk.CodePluginCrashed }

// wrapProviderError adds the provider's label to the message of err. The message of a
// crash names the plugin already.
func wrapProviderError(label string, err error) error {
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code == sdk.CodePluginCrashed {
		return err
	}
	wrapped := *e
	wrapped.Message = fmt.Sprintf("provider %q: %s", label, e.Message)
	return &wrapped
}
