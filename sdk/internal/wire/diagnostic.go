package wire

import (
	"errors"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// FromConfigErrors returns a diagnostic for each ConfigError in the tree of err. If there is none, it
// returns one diagnostic with the text of err.
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

// configErrors returns the ConfigErrors in the tree of err, and one without a path for each branch that
// contains none.
func configErrors(err error) []*sdk.ConfigError {
	var first *sdk.ConfigError
	if !errors.As(err, &first) {
		return []*sdk.ConfigError{{Summary: err.Error()}}
	}
	switch e := err.(type) { //nolint:errorlint // this traverses the tree
	case interface{ Unwrap() []error }:
		return configErrorsOf(e.Unwrap())
	case interface{ Unwrap() error }:
		return configErrors(e.Unwrap())
	}
	return []*sdk.ConfigError{first}
}

// configErrorsOf returns the configErrors of all errs.
func configErrorsOf(errs []error) []*sdk.ConfigError {
	var all []*sdk.ConfigError
	for _, e := range errs {
		all = append(all, configErrors(e)...)
	}
	return all
}

// ToDiagnostics converts protobuf diagnostics to SDK diagnostics.
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
