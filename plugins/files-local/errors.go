package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"syscall"

	"github.com/agentarea/agentarea/sdk"
)

// publicError translates an error of the disk into the error that the host receives. It
// logs the original error, because a message to the host may reach users, who must not see
// paths.
func publicError(ctx context.Context, call string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "the disk is full"}
	case errors.Is(err, syscall.EFBIG):
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "the file is too large for the disk's file system"}
	}
	slog.ErrorContext(ctx, "disk error", "call", call, "error", err)
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: diskErrorMessage(err), Retryable: true}
}

// diskErrorMessage describes an error of the disk without its path.
func diskErrorMessage(err error) string {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return "disk error: " + errno.Error()
	}
	return "disk error"
}

// isNotExist reports whether a file, or a folder on its path, does not exist.
func isNotExist(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// notFound returns the error of a Stat or Get of an unknown key.
func notFound() error {
	return &sdk.Error{Code: sdk.CodeNotFound, Message: "no object has this key"}
}
