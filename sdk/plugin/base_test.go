package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// author is a plugin whose methods call the functions.
type author struct {
	configure func(sdk.Env) error
	health    error
	stops     int
}

func (a *author) Configure(_ context.Context, env sdk.Env) error { return a.configure(env) }
func (a *author) Health(context.Context) error                   { return a.health }
func (a *author) Stop(context.Context) error                     { a.stops++; return nil }

func reach(t *testing.T, info sdk.Info, impl any) *plugin.Base {
	t.Helper()
	return plugin.NewBase(loopback.Connect(t, func(s *grpc.Server) {
		if err := plugin.Register(s, "llm", info, impl); err != nil {
			t.Fatal(err)
		}
	}))
}

func TestConfigure_diagnostics(t *testing.T) {
	t.Parallel()
	port := &sdk.ConfigError{Path: []string{"proxy", "port"}, Summary: "is taken", Detail: "Write another."}
	key := &sdk.ConfigError{Path: []string{"api_key"}, Summary: "is refused"}
	for name, test := range map[string]struct {
		err  error
		want []sdk.Diagnostic
	}{
		"fine":    {nil, nil},
		"one":     {port, []sdk.Diagnostic{{ConfigError: *port}}},
		"several": {errors.Join(port, key), []sdk.Diagnostic{{ConfigError: *port}, {ConfigError: *key}}},
		"wrapped": {fmt.Errorf("check: %w", errors.Join(port, key)), []sdk.Diagnostic{{ConfigError: *port}, {ConfigError: *key}}},
		"another": {errors.New("no disk"), []sdk.Diagnostic{{ConfigError: sdk.ConfigError{Summary: "no disk"}}}},
		"mixed": {
			errors.Join(errors.New("no disk"), key),
			[]sdk.Diagnostic{{ConfigError: sdk.ConfigError{Summary: "no disk"}}, {ConfigError: *key}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var conf settings
			var got sdk.Env
			a := &author{configure: func(env sdk.Env) error {
				got = env
				if conf.URL != "u" {
					t.Error("Configure was called before the config was set")
				}
				return test.err
			}}
			b := reach(t, sdk.Info{Config: &conf}, a)
			env := sdk.Env{Label: "main", DataDir: "/data"}
			ds, err := b.Configure(t.Context(), []byte(`{"base_url":"u"}`), env)
			if err != nil || !reflect.DeepEqual(ds, test.want) {
				t.Errorf("Configure() = %+v, %v, want %+v", ds, err, test.want)
			}
			if got != env {
				t.Errorf("Configure received %+v, want %+v", got, env)
			}
		})
	}
}

func TestConfigure_invalidValues(t *testing.T) {
	t.Parallel()
	a := &author{configure: func(sdk.Env) error { t.Error("Configure was called for an invalid config"); return nil }}
	b := reach(t, sdk.Info{Config: &settings{}}, a)
	ds, err := b.Configure(t.Context(), []byte(`{"route":[{"name":"r","timeout":"x"}]}`), sdk.Env{})
	if err != nil || len(ds) != 2 {
		t.Fatalf("Configure() = %+v, %v, want 2 diagnostics", ds, err)
	}
	if want := []string{"route", "0", "timeout"}; !reflect.DeepEqual(ds[1].Path, want) {
		t.Errorf("path %v, want %v", ds[1].Path, want)
	}
}

func TestBase_roundTrip(t *testing.T) {
	t.Parallel()
	a := &author{configure: func(sdk.Env) error { panic("oh") }}
	b, ctx := reach(t, sdk.Info{Config: &settings{}}, a), t.Context()
	got, err := b.ConfigSchema(ctx)
	want, _ := plugin.SchemaOf(&settings{})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ConfigSchema() = %+v, %v, want the schema of the struct", got, err)
	}

	var e *sdk.Error
	if _, err := b.Configure(ctx, []byte(`{"base_url":"u"}`), sdk.Env{}); !errors.As(err, &e) ||
		e.Code != sdk.CodeInternal {
		t.Errorf("Configure that panics: error = %v, want code internal", err)
	}
	if err := b.Health(ctx); err != nil {
		t.Error(err)
	}
	a.health = errors.New("no key")
	if err := b.Health(ctx); !errors.As(err, &e) || e.Code != sdk.CodeUnavailable || e.Message != "no key" {
		t.Errorf("Health of an unhealthy plugin: error = %v, want code unavailable", err)
	}
	for range 2 {
		if err := b.Stop(ctx); err != nil || a.stops != 1 {
			t.Errorf("Stop was called %d times, error %v, want once", a.stops, err)
		}
	}
	late, cancel := context.WithTimeout(ctx, time.Nanosecond)
	defer cancel()
	if err := b.Health(late); !errors.As(err, &e) || e.Code != sdk.CodeTimeout {
		t.Errorf("Health after its deadline = %v, want code %s", err, sdk.CodeTimeout)
	}
}

func TestConfigure_withoutConfig(t *testing.T) {
	t.Parallel()
	b := reach(t, sdk.Info{}, struct{}{})
	if ds, err := b.Configure(t.Context(), []byte(`{}`), sdk.Env{}); err != nil || ds != nil {
		t.Errorf("Configure() = %+v, %v, want no diagnostics", ds, err)
	}
	if err := errors.Join(b.Health(t.Context()), b.Stop(t.Context())); err != nil {
		t.Error(err)
	}
}
