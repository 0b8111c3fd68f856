package wire

import (
	"errors"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// FromConfigErrors makes a diagnostic of each ConfigError in err's tree, or one
// of err.
func FromConfigErrors(err error) []*basev1.Diagnostic {
	if err == nil {
		return nil
	}
	var found []*basev1.Diagnostic
	for _, e := range configErrors(err) {
		d := &basev1.Diagnostic{
			Severity: basev1.Severity_SEVERITY_ERROR,
			Summary:  UTF8(e.Summary), Detail: UTF8(e.Detail),
		}
		for _, step := range e.Path {
			d.Path = append(d.Path, UTF8(step))
		}
		found = append(found, d)
	}
	return found
}

// configErrors are the ConfigErrors of err's tree, and one without a path for
// each branch that has none.
func configErrors(err error) []*sdk.ConfigError {
	var first *sdk.ConfigError
	if !errors.As(err, &first) {
		return []*sdk.ConfigError{{Summary: err.Error()}}
	}
	switch e := err.(type) { //nolint:errorlint // this walks the tree
	case interface{ Unwrap() []error }:
		return ofAll(e.Unwrap())
	case interface{ Unwrap() error }:
		return configErrors(e.Unwrap())
	}
	return []*sdk.ConfigError{first}
}

func ofAll(errs []error) []*sdk.ConfigError {
	var all []*sdk.ConfigError
	for _, e := range errs {
		all = append(all, configErrors(e)...)
	}
	return all
}

// ToDiagnostics is what a plugin says against a config.
func ToDiagnostics(list []*basev1.Diagnostic) []sdk.Diagnostic {
	var ds []sdk.Diagnostic
	for _, d := range list {
		ds = append(ds, sdk.Diagnostic{
			Warning:     d.GetSeverity() == basev1.Severity_SEVERITY_WARNING,
			ConfigError: sdk.ConfigError{Path: d.GetPath(), Summary: d.GetSummary(), Detail: d.GetDetail()},
		})
	}
	return ds
}
