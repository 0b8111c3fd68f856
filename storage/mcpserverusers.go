package storage

import (
	"context"
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// maxNamedAgents is the maximum number of agents that an error names.
const maxNamedAgents = 20

// checkMCPServerUnused fails with Conflict if agents use the server. The error names those that the actor can see.
func checkMCPServerUnused(ctx context.Context, tx *tx, actor core.Actor, s *core.MCPServer) error {
	var users []agentRow
	err := tx.NewSelect().Model(&users).Column("id", "name", "shared", "created_by").
		Where("mcp_servers LIKE ?", `%"id":"`+s.ID+`"%`).Order("created_at", "id").Scan(ctx)
	if err != nil || len(users) == 0 {
		return err
	}
	conflict := &core.Error{Code: core.CodeConflict}
	var names []string
	for _, a := range users {
		if (a.Shared || agentChangedBy(actor, a.CreatedBy)) && len(names) < maxNamedAgents {
			name := fmt.Sprintf("%q (%s)", a.Name, a.ID)
			names = append(names, name)
			conflict.Fields = append(conflict.Fields, core.FieldError{
				Field: "server_id", Issue: "Agent " + name + " uses the MCP server",
			})
		}
	}
	list := ": " + strings.Join(names, ", ")
	switch more := len(users) - len(names); {
	case len(names) == 0:
		list = " that you cannot see"
	case more > 0:
		list += fmt.Sprintf(", %d more", more)
	}
	conflict.Message = fmt.Sprintf("MCP server %q is used by %s%s. Remove it from config.mcp_servers of each agent first, "+
		"or delete it with ?force=true; runs of these agents then fail.", s.Slug, core.Count(len(users), "agent"), list)
	return conflict.WithObject(nounMCPServer, s.ID)
}
