package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/agentarea/agentarea/core"
)

// toolNames are the names of the tools of each server, by id. A server without an entry is not running, and one
// with the error of a context never answers.
type toolNames map[string]any

func (n toolNames) ToolNames(ctx context.Context, m *core.MCPServer, slug string) ([]string, error) {
	switch names := n[m.ID].(type) {
	case []string:
		full := []string{}
		for _, name := range names {
			full = append(full, slug+"__"+name)
		}
		return full, nil
	case error:
		if errors.Is(names, context.DeadlineExceeded) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, names
	}
	return nil, core.Unavailable("MCP server %q is not running. Its status is stopped.", slug)
}

// A reply has a warning for each MCP server that runs cannot use and for each tool pattern that matches nothing.
func TestWarnings(t *testing.T) {
	t.Parallel()
	up := toolNames{"server-ann": []string{"read", "write", "a.b"}, "server-shared": []string{"search"}}
	down := toolNames{"server-shared": []string{"search"}}
	for name, c := range map[string]struct {
		tools  toolNames
		config string
		shared bool
		want   []string // the field and a part of the text of each warning
	}{
		"no servers":             {up, `{}`, false, nil},
		"running":                {up, `{"mcp_servers":["ann-own","all"]}`, false, nil},
		"running, matches":       {up, `{"mcp_servers":["ann-own","all"],"tools":["ann-own__read","all__s*","*__write","ann-own__a.b"]}`, false, nil},
		"down":                   {down, `{"mcp_servers":["ann-own"]}`, false, []string{`config.mcp_servers[0] "ann-own" is not running`}},
		"down, second":           {down, `{"mcp_servers":["all","ann-own","ann-own"]}`, false, []string{`config.mcp_servers[1] "ann-own" is not running`}},
		"starting for long":      {toolNames{"server-ann": context.DeadlineExceeded}, `{"mcp_servers":["ann-own"]}`, false, []string{`config.mcp_servers[0] not ready yet`}},
		"failing":                {toolNames{"server-ann": &core.Error{Code: core.CodeUpstream, Message: "It failed to list its tools."}}, `{"mcp_servers":["ann-own"]}`, false, []string{`config.mcp_servers[0] failed to list`}},
		"an internal error":      {toolNames{"server-ann": errors.New("secret")}, `{"mcp_servers":["ann-own"]}`, false, []string{`config.mcp_servers[0] could not be checked`}},
		"no such tool":           {up, `{"mcp_servers":["ann-own"],"tools":["ann-own__reed"]}`, false, []string{`config.tools[0] "ann-own__reed" matches no tool`}},
		"tool without its slug":  {up, `{"mcp_servers":["ann-own"],"tools":["read"]}`, false, []string{`config.tools[0] "read" matches no tool`}},
		"tool of another server": {up, `{"mcp_servers":["ann-own"],"tools":["ann-own__read","all__search"]}`, false, []string{`config.tools[1] "all__search" matches no tool`}},
		"pattern":                {up, `{"mcp_servers":["ann-own"],"tools":["ann-own__x*","ann-own__r*"]}`, false, []string{`config.tools[0] "ann-own__x*" matches no tool`}},
		"invalid pattern":        {up, `{"mcp_servers":["ann-own"],"tools":["["]}`, false, []string{`config.tools[0] "[" matches no tool`}},
		"tools without servers":  {up, `{"tools":["ann-own__read"]}`, false, []string{`config.tools[0] "ann-own__read" matches no tool`}},
		"file tools":             {up, `{"tools":["files__read","files__*"]}`, false, nil},
		"no such file tool":      {up, `{"tools":["files__reed"]}`, false, []string{`config.tools[0] "files__reed" matches no tool`}},
		"no tools allowed":       {up, `{"mcp_servers":["ann-own"],"tools":[]}`, false, nil},
		"of a server that is down": {down, `{"mcp_servers":["ann-own","all"],"tools":["ann-own__reed","*__reed","all__reed"]}`, false, []string{
			`config.mcp_servers[0] not running`, `config.tools[2] "all__reed" matches no tool`,
		}},
		"private, shared agent": {up, `{"mcp_servers":["ann-own"],"tools":["ann-own__read"]}`, true, []string{`config.mcp_servers[0] share_credentials`}},
		"shared, shared agent":  {up, `{"mcp_servers":["all"]}`, true, nil},
		"another meaning":       {up, `{"mcp_servers":{"x":1},"tools":{"y":2}}`, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := withServers(t)
				e.Service = New(e.store, e.servers, e.plugins, c.tools)
				a := &core.Agent{Name: "a", Type: "free", Shared: c.shared, Config: json.RawMessage(c.config)}
				if err := e.Create(t.Context(), nil, ann, a); err != nil {
					t.Fatal(err)
				}
				wantWarnings(t, a.Warnings, c.want)
				updated, err := e.Update(t.Context(), nil, ann, a.ID, func(a *core.Agent) error { a.Name = "b"; return nil })
				if err != nil {
					t.Fatal(err)
				}
				wantWarnings(t, updated.Warnings, c.want)
			})
		})
	}
}

// An agent whose server was deleted can be renamed, with a warning.
func TestWarnings_deletedServer(t *testing.T) {
	t.Parallel()
	e := withServers(t)
	e.Service = New(e.store, e.servers, e.plugins, toolNames{"server-ann": []string{"read"}})
	a := &core.Agent{Name: "a", Type: "free", Config: json.RawMessage(`{"mcp_servers":["ann-own"],"tools":["ann-own__read"]}`)}
	if err := e.Create(t.Context(), nil, ann, a); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(e.servers, func(id string, _ *core.MCPServer) bool { return id == "server-ann" })
	updated, err := e.Update(t.Context(), nil, ann, a.ID, func(a *core.Agent) error { a.Name = "b"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, updated.Warnings, []string{`config.mcp_servers[0] does not exist anymore`})
}

// wantWarnings compares warnings with their fields and parts of their texts.
func wantWarnings(t *testing.T, got []core.FieldError, want []string) {
	t.Helper()
	ok := slices.EqualFunc(got, want, func(w core.FieldError, text string) bool {
		field, part, _ := strings.Cut(text, " ")
		return w.Field == field && strings.Contains(w.Issue, part) && !strings.Contains(w.Issue, "secret")
	})
	if !ok {
		t.Errorf("warnings = %s, want %q", fmt.Sprint(got), want)
	}
}
