package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"syscall"

	"github.com/agentarea/agentarea/sdk"
)

// failure is what the host hears of an error of the disk. The log has the rest:
// the host's words may reach users, whom no path concerns.
func failure(ctx context.Context, what string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "the disk is full"}
	case errors.Is(err, syscall.EFBIG):
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "the disk takes no file of that size"}
	}
	slog.ErrorContext(ctx, "the disk fails", "call", what, "error", err)
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: ailment(err), Retryable: true}
}

// ailment is what ails the disk, without the path.
func ailment(err error) string {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return "the disk fails: " + errno.Error()
	}
	return "the disk fails"
}

// missing says that a name, or a folder on the way to it, is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func notFound() error {
	return &sdk.Error{Code: sdk.CodeNotFound, Message: "there is no object of that key"}
}
