package run

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/hostcall"
)

// startRunSpan starts the span of a run, in the trace of the request that started the run
// if there is one. It follows OpenTelemetry's conventions for generative AI.
func startRunSpan(tracer trace.Tracer, from origin, r *core.Run) trace.Span {
	_, span := tracer.Start(from.ctx, hostcall.SpanName("invoke_agent", from.agentName), trace.WithTimestamp(from.at))
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

// endRunSpan ends the span of a run. final is nil if the run has not ended.
func endRunSpan(span trace.Span, outcome string, final *core.Run) {
	if span.IsRecording() {
		span.SetAttributes(attribute.String("agentarea.run.status", outcome))
		if final != nil {
			span.SetAttributes(
				attribute.Int64("gen_ai.usage.input_tokens", final.Usage.InputTokens),
				attribute.Int64("gen_ai.usage.output_tokens", final.Usage.OutputTokens),
			)
		}
		if final != nil && final.Error != nil {
			hostcall.FailSpan(span, final.Error)
		}
	}
	span.End()
}
