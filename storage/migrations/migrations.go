// Package migrations contains the steps that create the database schema, one file per step. A released
// step never changes: its row structs are frozen copies. Later changes are new steps at the end.
package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// Migration is one step. Its version is its position in All, starting with 1.
type Migration struct {
	Name string
	// Up changes the schema. It runs in the transaction that records the step.
	Up func(ctx context.Context, db bun.IDB) error
}

// All returns all steps in their order. The number of a file is that of its first step: 005_river.go
// has two.
func All() []Migration {
	return []Migration{
		{Name: "first", Up: first},
		{Name: "files", Up: files},
		{Name: "mcp servers", Up: mcpServers},
		{Name: "tasks", Up: tasks},
		{Name: "task queue", Up: river(5)},
		{Name: "task queue, second half", Up: river(8)},
		{Name: "notices", Up: notices},
		{Name: "retention", Up: retention},
		{Name: "usage", Up: usage},
		{Name: "API keys and audit", Up: accounts},
		{Name: "rate counts", Up: rates},
		{Name: "instance", Up: instance},
		{Name: "user data", Up: userData},
		{Name: "tool lists", Up: toolLists},
		{Name: "data size", Up: dataSize},
		{Name: "steps", Up: steps},
		{Name: "idempotency keys", Up: idempotencyKeys},
		{Name: "servers", Up: servers},
	}
}
