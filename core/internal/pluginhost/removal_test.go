package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// fakeDependents has one agent for each dependency, one unfinished task for each agent, five files in each backend in
// files, and one server for each transport in servers.
type fakeDependents struct {
	agents         []core.Dependency
	files, servers []string
	err            error
}

func (f *fakeDependents) AgentDependencies(context.Context, core.Actor) ([]core.Dependency, error) {
	return f.agents, f.err
}

func (f *fakeDependents) AgentDependents(
	_ context.Context, dependencies []core.Dependency,
) (agents, tasks core.ObjectSample, err error) {
	for _, d := range dependencies {
		agents.Names = append(agents.Names, d.Type+"+"+d.Model)
	}
	agents.Total = len(dependencies)
	tasks.Total = len(dependencies)
	return agents, tasks, f.err
}

func (f *fakeDependents) FileDependents(_ context.Context, backend string) (core.ObjectSample, error) {
	if !slices.Contains(f.files, backend) {
		return core.ObjectSample{}, f.err
	}
	return core.ObjectSample{Total: 5, Names: []string{"a.txt", "b.txt", "c.txt"}}, f.err
}

func (f *fakeDependents) MCPServerDependents(_ context.Context, transport string) (core.ObjectSample, error) {
	if !slices.Contains(f.servers, transport) {
		return core.ObjectSample{}, f.err
	}
	return core.ObjectSample{Total: 1, Names: []string{"tools"}}, f.err
}

func agentBlock(label string) string { return kindBlock("agent", label, "agent") }

func TestReload_removalOfNeededPlugin(t *testing.T) {
	t.Parallel()
	serves := func(label, pattern string) string { return block(label, "", fmt.Sprintf("models = [%q]", pattern)) }
	off := func(kind, label string) string {
		return fmt.Sprintf("plugin %q %q {\n  enabled = false\n}", kind, label)
	}
	agents := func(dependencies ...core.Dependency) *fakeDependents { return &fakeDependents{agents: dependencies} }
	for _, tt := range []struct {
		name          string
		before, after []string
		needs         *fakeDependents
		// want is a part of the error; empty if the reload must succeed.
		want string
	}{
		{
			"agent type",
			[]string{agentBlock("x"), agentBlock("y")},
			[]string{agentBlock("y")},
			agents(core.Dependency{Type: "x", Model: "m"}, core.Dependency{Type: "y"}),
			`Plugin agent/x is in use by 1 agent ("x+m") and 1 unfinished task (1 more). `,
		},
		{
			"disabled agent type",
			[]string{agentBlock("x")},
			[]string{off("agent", "x")},
			agents(core.Dependency{Type: "x"}), `Plugin agent/x is in use by 1 agent`,
		},
		{
			"renamed agent type",
			[]string{agentBlock("x")},
			[]string{agentBlock("z")},
			agents(core.Dependency{Type: "x"}), `Plugin agent/x is in use by 1 agent`,
		},
		{
			"unused agent type",
			[]string{agentBlock("x"), agentBlock("y")},
			[]string{agentBlock("y")},
			agents(core.Dependency{Type: "y"}), "",
		},
		{"replaced", []string{block("a", "")}, []string{block("a", "", "retries = 5")}, agents(core.Dependency{Model: "a/m"}), ""},
		{
			"provider named by agents",
			[]string{block("a", ""), block("b", "")},
			[]string{block("b", "")},
			agents(core.Dependency{Type: "t", Model: "a/m"}, core.Dependency{Type: "t", Model: "b/m"}),
			`Plugin llm/a is in use by 1 agent ("t+a/m")`,
		},
		{
			"provider with a pattern",
			[]string{serves("a", "gpt-*")},
			nil,
			agents(core.Dependency{Type: "t", Model: "gpt-5"}), `Plugin llm/a is in use by 1 agent ("t+gpt-5")`,
		},
		{
			"provider whose models another one serves",
			[]string{serves("a", "gpt-*")},
			[]string{serves("b", "gpt-*")},
			agents(core.Dependency{Type: "t", Model: "gpt-5"}), "",
		},
		{
			"provider that lists the model",
			[]string{block("a", ""), serves("b", "x")},
			[]string{serves("b", "x")},
			agents(core.Dependency{Type: "t", Model: "bad/2"}), "",
		},
		{
			"the only provider that lists the model",
			[]string{block("a", "")},
			nil,
			agents(core.Dependency{Type: "t", Model: "bad-1"}, core.Dependency{Type: "t"}), `("t+bad-1")`,
		},
		{
			"unknown models",
			[]string{block("a", "")},
			nil,
			agents(core.Dependency{Type: "t", Model: "gone"}), "",
		},
		{
			"provider that cannot be reached",
			[]string{block("a", "unreachable")},
			nil,
			agents(core.Dependency{Type: "t", Model: "any"}), `Plugin llm/a is in use by 1 agent ("t+any")`,
		},
		{
			"file backend",
			[]string{`file_backend = "old"`, filesBlock("old"), filesBlock("s3")},
			[]string{filesBlock("s3")},
			&fakeDependents{files: []string{"old"}},
			`Plugin files/old is in use by 5 stored files ("a.txt", "b.txt", "c.txt" and 2 more). `,
		},
		{
			"empty file backend",
			[]string{`file_backend = "old"`, filesBlock("old"), filesBlock("s3")},
			[]string{filesBlock("s3")},
			&fakeDependents{files: []string{"s3"}}, "",
		},
		{
			"transport",
			[]string{mcpBlock()},
			nil, &fakeDependents{servers: []string{"a"}},
			`Plugin mcp/a is in use by 1 MCP server ("tools"). `,
		},
		{"unused transport", []string{mcpBlock()}, nil, &fakeDependents{}, ""},
		{
			"several",
			[]string{mcpBlock(), filesBlock("old")},
			nil,
			&fakeDependents{servers: []string{"a"}, files: []string{"old"}},
			`Plugin mcp/a is in use by 1 MCP server ("tools"). Plugin files/old is in use by 5 stored files (`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, testTiming, tt.before...)
			h.dependents = tt.needs
			before := h.pids()
			h.write(t, tt.after...)
			plan, planErr := h.PlanReload(t.Context(), core.ReloadOptions{})
			_, err := h.Reload(t.Context(), core.ReloadOptions{})
			if tt.want == "" {
				if err != nil || planErr != nil {
					t.Errorf("PlanReload() = %+v, %v, Reload() = %v, want no error", plan, planErr, err)
				}
				return
			}
			for _, err := range []error{planErr, err} {
				if core.CodeOf(err) != core.CodeConflict || !strings.Contains(err.Error(), tt.want) ||
					!strings.Contains(err.Error(), "?force=true") || !strings.Contains(err.Error(), "plugins reload --force") {
					t.Errorf("err = %v, want %s with %q and how to force it", err, core.CodeConflict, tt.want)
				}
			}
			if after := h.pids(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("processes %v, want %v", after, before)
			}
			if _, err := h.PlanReload(t.Context(), core.ReloadOptions{Force: true}); err != nil {
				t.Errorf("PlanReload() with force = %v", err)
			}
			if r, err := h.Reload(t.Context(), core.ReloadOptions{Force: true}); err != nil || len(r.Stopped) == 0 {
				t.Errorf("Reload() with force = %+v, %v, want stopped plugins", r, err)
			}
		})
	}
}

// Without an answer of the database nothing is removed.
func TestReload_removalCannotBeChecked(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, agentBlock("x"))
	h.dependents = &fakeDependents{err: errors.New("the database is down")}
	h.write(t)
	if _, err := h.Reload(t.Context(), core.ReloadOptions{}); !errors.Is(err, h.dependents.(*fakeDependents).err) {
		t.Errorf("Reload() = %v, want the error of the database", err)
	}
	if p := h.plugin(t, "x"); p.State != core.PluginRunning {
		t.Errorf("plugin = %+v, want running", p)
	}
}
