package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/configschema"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/llm"
)

// verifyKey is the key of a file that does not exist.
const verifyKey = "agentarea-check"

// unusableError says why a plugin that has started cannot work as configured: a provider refuses the key, a file
// backend has no bucket or no credentials, or the config schema of an agent type does not compile.
type unusableError struct{ reason string }

// Error returns the reason.
func (e *unusableError) Error() string { return e.reason }

// verification is the outcome of the last verification of a process.
type verification struct {
	mu      sync.Mutex
	running bool
	at      time.Time
	err     error
}

// verify returns an *unusableError if the plugin cannot work as configured. It returns nil if the provider or the file
// backend is not reachable at the moment, because a correct config does not prevent that.
func (s *supervisor) verify(ctx context.Context, i *instance) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	switch s.block.Kind {
	case agent.Kind:
		return i.schemaError
	case llm.Kind:
		_, err := s.listModels(ctx, relistAfter)
		if e := refusal(err); e != nil && e.Code == sdk.CodeUnauthorized {
			return &unusableError{e.Message}
		}
	case files.Kind:
		if e := refusal(i.stat(ctx, verifyKey)); e != nil {
			return &unusableError{e.Message}
		}
	}
	return nil
}

// refusal returns err if a plugin reports it and a retry cannot help. It returns nil for a success, a missing file, an
// internal error, and an error of the network or of the process.
func refusal(err error) *sdk.Error {
	var e *sdk.Error
	if !errors.As(err, &e) || e.Retryable {
		return nil
	}
	switch e.Code { //nolint:exhaustive // the other codes do not mean that the config is wrong
	case sdk.CodeUnauthorized, sdk.CodeUnavailable, sdk.CodeInvalidRequest:
		return e
	}
	return nil
}

// stat requests the description of a file.
func (i *instance) stat(ctx context.Context, key string) error {
	if !i.calls.begin() {
		return errRetired
	}
	defer i.calls.end()
	_, err := i.backend.Stat(ctx, key)
	return err
}

// compileSchema returns an *unusableError if the config schema of an agent type does not compile.
func compileSchema(schema []byte) error {
	if _, err := configschema.Compile(schema); err != nil {
		return &unusableError{fmt.Sprintf("the config schema of the agent type does not compile: %v", err)}
	}
	return nil
}

// verifyAll verifies the enabled plugins that have started, and sets the outcomes of those that cannot work.
func verifyAll(ctx context.Context, plugins []*supervisor, outcomes []error) {
	var wg sync.WaitGroup
	for n, s := range plugins {
		i := s.liveInstance()
		if i == nil || outcomes[n] != nil {
			continue
		}
		wg.Go(func() { outcomes[n] = s.verify(ctx, i) })
	}
	wg.Wait()
}

// Verify checks the health of all running plugins, and whether they can work as configured. It returns a *config.Error
// with the reason and the position of each plugin that cannot.
func (h *Host) Verify(ctx context.Context) error {
	plugins := h.registry.Load().plugins
	outcomes := make([]error, len(plugins))
	verifyAll(ctx, plugins, outcomes)
	all := &config.Error{}
	for n, s := range plugins {
		if i := s.liveInstance(); i != nil {
			s.checkHealth(ctx, i)
		}
		var bad *config.Error
		if errors.As(s.position(outcomes[n]), &bad) {
			all.Problems = append(all.Problems, bad.Problems...)
		}
	}
	if len(all.Problems) == 0 {
		return nil
	}
	return all
}

// checkHealth checks the health of a process once and records the answer, if there is one.
func (s *supervisor) checkHealth(ctx context.Context, i *instance) {
	ctx, cancel := context.WithTimeout(ctx, s.timing.HealthTimeout)
	defer cancel()
	if answered, err := i.checkHealth(ctx); answered {
		s.setHealth(ctx, i, err)
	}
}

// position returns a *config.Error at the config of the plugin for an *unusableError, and other errors unchanged.
func (s *supervisor) position(err error) error {
	var unusable *unusableError
	if !errors.As(err, &unusable) {
		return err
	}
	return s.block.Diagnostics([]sdk.Diagnostic{{ConfigError: sdk.ConfigError{
		Summary: fmt.Sprintf("Plugin %s cannot work", s.block.Name()), Detail: unusable.reason,
	}}})
}

// unusable returns why the process cannot work as configured, or nil. It returns the outcome of the last verification,
// and starts another one in the background if there was none, or if it failed longer than Timing.ModelsFresh ago. ctx
// ends with the process.
func (s *supervisor) unusable(ctx context.Context, i *instance) error {
	v := &i.verification
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.running || !v.at.IsZero() && (v.err == nil || time.Since(v.at) < s.timing.ModelsFresh) {
		return v.err
	}
	v.running = true
	s.cleanup.Go(func() {
		err := s.verify(ctx, i)
		v.mu.Lock()
		changed := (err == nil) != (v.err == nil)
		v.running, v.at, v.err = false, time.Now(), err
		v.mu.Unlock()
		if changed {
			i.probeNow()
		}
	})
	return v.err
}
