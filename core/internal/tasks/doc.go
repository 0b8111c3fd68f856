// Package tasks holds the rules of tasks: which agents accept one, which message the agent receives, and which
// requests repeat an earlier one. It is the service behind the HTTP handlers of tasks. The run engine executes
// the tasks and decides about their attempts.
package tasks
