package hostcall

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// The spans follow OpenTelemetry's conventions for generative AI. They contain no content
// of messages; an error is identified by its code.

// startChatSpan starts the span of a completion. setChatModel adds the model once its
// provider is known.
func startChatSpan(
	ctx context.Context, tracer trace.Tracer, run *core.Run, req *agent.Completion, stream bool,
) (context.Context, trace.Span) {
	ctx, span := tracer.Start(ctx, "chat", trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("gen_ai.operation.name", "chat"),
			attribute.String("gen_ai.conversation.id", run.SessionID),
			attribute.Bool("gen_ai.request.stream", stream),
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

func setChatModel(span trace.Span, provider, model string) {
	if span.IsRecording() {
		span.SetName(SpanName("chat", model))
		span.SetAttributes(
			attribute.String("gen_ai.provider.name", provider), attribute.String("gen_ai.request.model", model))
	}
}

func endChatSpan(span trace.Span, answer *agent.Answer, err error) {
	if span.IsRecording() && err != nil {
		FailSpan(span, journal.Error(err))
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

// startToolSpan starts the span of a tool call. repeated reports whether the call is
// repeated after a crash.
func startToolSpan(
	ctx context.Context, tracer trace.Tracer, call *sdk.ToolCall, repeated bool,
) (context.Context, trace.Span) {
	ctx, span := tracer.Start(ctx, "execute_tool")
	if span.IsRecording() {
		span.SetName(SpanName("execute_tool", call.Name))
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

func endToolSpan(span trace.Span, result *sdk.ToolResult, err error) {
	switch {
	case !span.IsRecording():
	case err != nil:
		FailSpan(span, journal.Error(err))
	case result.IsError:
		span.SetAttributes(attribute.String("error.type", "tool_error"))
		span.SetStatus(codes.Error, "tool_error")
	}
	span.End()
}

// FailSpan marks span as failed with the code of err.
func FailSpan(span trace.Span, err *sdk.Error) {
	span.SetAttributes(attribute.String("error.type", string(err.Code)))
	span.SetStatus(codes.Error, string(err.Code))
}

// SpanName returns the name of a span: the operation, and its target unless that is empty.
func SpanName(operation, target string) string {
	if target == "" {
		return operation
	}
	return operation + " " + target
}
