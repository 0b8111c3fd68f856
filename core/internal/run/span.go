package run

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// The spans of a run, by OpenTelemetry's conventions for generative AI. None holds
// what was said: errors are told by their code.

// beginSpan begins a run's span: in the trace of the request that made the run, or else
// in one of its own.
func (e *Engine) beginSpan(from origin, r *core.Run) trace.Span {
	_, span := e.Tracer.Start(from.ctx, spanName("invoke_agent", from.agentName), trace.WithTimestamp(from.at))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("gen_ai.operation.name", "invoke_agent"),
			attribute.String("gen_ai.agent.id", r.AgentID),
			attribute.String("gen_ai.conversation.id", r.SessionID),
			attribute.String("agentarea.run.id", r.ID),
			attribute.String("agentarea.run.kind", string(r.Kind)),
			attribute.String("agentarea.agent.type", r.AgentType),
			attribute.Int("agentarea.run.attempt", r.Attempt),
		)
		if from.agentName != "" {
			span.SetAttributes(attribute.String("gen_ai.agent.name", from.agentName))
		}
		if r.TaskID != "" {
			span.SetAttributes(attribute.String("agentarea.task.id", r.TaskID))
		}
	}
	return span
}

// endSpan is for a run that is done here.
func (x *execution) endSpan() {
	if x.span.IsRecording() {
		x.span.SetAttributes(attribute.String("agentarea.run.status", x.outcome))
		if x.final != nil {
			x.span.SetAttributes(
				attribute.Int64("gen_ai.usage.input_tokens", x.final.Usage.InputTokens),
				attribute.Int64("gen_ai.usage.output_tokens", x.final.Usage.OutputTokens),
			)
		}
		if x.final != nil && x.final.Error != nil {
			failSpan(x.span, x.final.Error)
		}
	}
	x.span.End()
}

// beginChat begins the span of a completion, whose model is told when its provider is
// found.
func (x *execution) beginChat(ctx context.Context, req *agent.Completion) (context.Context, trace.Span) {
	ctx, span := x.engine.Tracer.Start(ctx, "chat", trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("gen_ai.operation.name", "chat"),
			attribute.String("gen_ai.conversation.id", x.run.SessionID),
			attribute.Bool("gen_ai.request.stream", x.streams(req)),
		)
		if req.MaxTokens != nil {
			span.SetAttributes(attribute.Int64("gen_ai.request.max_tokens", int64(*req.MaxTokens)))
		}
		if req.Temperature != nil {
			span.SetAttributes(attribute.Float64("gen_ai.request.temperature", *req.Temperature))
		}
	}
	return ctx, span
}

// named tells a completion's span which model is asked.
func named(span trace.Span, provider, model string) {
	if span.IsRecording() {
		span.SetName(spanName("chat", model))
		span.SetAttributes(attribute.String("gen_ai.provider.name", provider), attribute.String("gen_ai.request.model", model))
	}
}

func endChat(span trace.Span, answer *agent.Answer, err error) {
	if span.IsRecording() && err != nil {
		failSpan(span, toSDK(err))
	} else if span.IsRecording() {
		span.SetAttributes(
			attribute.String("gen_ai.response.model", answer.Model),
			attribute.StringSlice("gen_ai.response.finish_reasons", []string{answer.FinishReason}),
			attribute.Int64("gen_ai.usage.input_tokens", answer.Usage.InputTokens),
			attribute.Int64("gen_ai.usage.output_tokens", answer.Usage.OutputTokens),
		)
		if n := answer.Usage.CachedInputTokens; n > 0 {
			span.SetAttributes(attribute.Int64("gen_ai.usage.cache_read.input_tokens", n))
		}
	}
	span.End()
}

func (x *execution) beginTool(ctx context.Context, call *sdk.ToolCall, repeated bool) (context.Context, trace.Span) {
	ctx, span := x.engine.Tracer.Start(ctx, "execute_tool")
	if span.IsRecording() {
		span.SetName(spanName("execute_tool", call.Name))
		span.SetAttributes(
			attribute.String("gen_ai.operation.name", "execute_tool"),
			attribute.String("gen_ai.tool.name", call.Name),
			attribute.String("gen_ai.tool.call.id", call.ID),
			attribute.String("gen_ai.tool.type", "function"),
		)
		if repeated {
			span.SetAttributes(attribute.Bool("agentarea.call.repeated", true))
		}
	}
	return ctx, span
}

func endTool(span trace.Span, result *sdk.ToolResult, err error) {
	switch {
	case !span.IsRecording():
	case err != nil:
		failSpan(span, toSDK(err))
	case result.IsError:
		span.SetAttributes(attribute.String("error.type", "tool_error"))
		span.SetStatus(codes.Error, "tool_error")
	}
	span.End()
}

func failSpan(span trace.Span, err *sdk.Error) {
	span.SetAttributes(attribute.String("error.type", string(err.Code)))
	span.SetStatus(codes.Error, string(err.Code))
}

func spanName(operation, of string) string {
	if of == "" {
		return operation
	}
	return operation + " " + of
}
