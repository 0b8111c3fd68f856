// Package telemetry is what the server tells its operators of itself: metrics for
// Prometheus, traces for OpenTelemetry, and the fields that tie the lines of its log
// together. docs/telemetry.md names all of them.
//
// The rooms know nothing of it. Each says in an interface of its own what it tells (a
// Metrics), which Metrics implements; spans are begun through OpenTelemetry's API, with
// a tracer that app hands over and that does nothing while tracing is off; and
// log fields travel in the context (core.WithLogFields).
//
// Metrics are client_golang's own and not OpenTelemetry's: they are read by
// Prometheus only, so their names stand in the code as they are read, and the
// SDK's pipeline and its exporter have nothing to add. Those for which OpenTelemetry
// has a convention (http.server, gen_ai.client) have its name in Prometheus' form.
package telemetry
