// Package migrations holds the steps that made the schema what it is, one file a
// step. A step that was released never changes: its row structs are frozen
// copies, and what comes later is a new step at the end.
package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// Migration is one step. Its version is its place in All, from 1.
type Migration struct {
	Name string
	// Up runs in the transaction that records it.
	Up func(ctx context.Context, db bun.IDB) error
}

// All are the steps in their order.
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
	}
}
