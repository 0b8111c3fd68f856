// Package telemetry implements the observability of the server: metrics for Prometheus, traces for
// OpenTelemetry, and the log fields that connect the log lines of a request. docs/telemetry.md lists all
// of them.
//
// Other packages do not import it. Each declares the metrics that it records in its own interface, which
// Metrics implements. They start spans through the API of OpenTelemetry with a tracer from app,
// which does nothing while tracing is off. Log fields are in the context (core.WithLogFields).
//
// Metrics use client_golang and not the metrics SDK of OpenTelemetry, because only Prometheus reads them
// and their names in the code are the names that it reads. Where OpenTelemetry has a convention
// (http.server, gen_ai.client), a metric has the Prometheus form of its name.
package telemetry
