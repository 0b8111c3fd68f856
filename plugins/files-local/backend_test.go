package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/plugin"
)

func put(t *testing.T, b *backend, key, text string) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, strings.NewReader(text), files.PutOptions{Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
}

func code(err error) sdk.ErrorCode {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func parts(t *testing.T, b *backend) []string {
	t.Helper()
	names, err := b.names(partsFolder)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func keys(t *testing.T, b *backend) (keys []string) {
	t.Helper()
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, config string
		// folder is relative to the plugin's data folder; wantErr is part of the error.
		folder, wantErr string
	}{
		{name: "the default", config: `{}`, folder: "files"},
		{name: "relative", config: `{"path":"a/b/c"}`, folder: "a/b/c"},
		{name: "existing folder", config: `{"path":"."}`, folder: "."},
		{name: "empty", config: `{"path":""}`, wantErr: "must not be empty"},
		{name: "a file", config: `{"path":"file"}`, wantErr: "the folder cannot be opened"},
		{name: "below a file", config: `{"path":"file/x"}`, wantErr: "the folder cannot be created"},
		{name: "not writable", config: `{"path":"/proc/agentarea"}`, wantErr: "the folder cannot be created"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend()
			if err := plugin.Decode([]byte(tt.config), &b.config); err != nil {
				t.Fatal(err)
			}
			err := b.Configure(t.Context(), sdk.Env{DataDir: dir})
			if tt.wantErr != "" {
				var e *sdk.ConfigError
				if !errors.As(err, &e) || !slices.Equal(e.Path, []string{"path"}) || !strings.Contains(e.Summary, tt.wantErr) {
					t.Errorf("Configure(%s) = %v, want an error at path with %q", tt.config, err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.root.Close() }()
			put(t, b, "k", "hello")
			if data, err := os.ReadFile(filepath.Join(dir, tt.folder, "objects/k.f")); string(data) != "hello" || err != nil {
				t.Errorf("ReadFile = %q, %v, want hello", data, err)
			}
			if err := b.Health(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A failed Put leaves no part.
func TestPutLeavesNoParts(t *testing.T) {
	t.Parallel()
	b := open(t)
	broken := errors.New("broken")
	put(t, b, "k", "old")
	r := io.MultiReader(strings.NewReader("new"), iotest.ErrReader(broken))
	if _, err := b.Put(t.Context(), "k", r, files.PutOptions{Size: -1}); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
	if names := parts(t, b); len(names) > 0 {
		t.Errorf("got parts %q, want none", names)
	}
	if o, err := b.Stat(t.Context(), "k"); err != nil || o.Size != 3 {
		t.Errorf("%v, %v", o, err)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A Put whose key is deleted before it ends stores nothing, so that a deleted key can be
// forgotten.
func TestDeleteCancelsPuts(t *testing.T) {
	t.Parallel()
	b := open(t)
	r := readFunc(func([]byte) (int, error) {
		if err := b.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		return 0, io.EOF
	})
	_, err := b.Put(t.Context(), "k", io.MultiReader(strings.NewReader("hello"), r), files.PutOptions{Size: -1})
	if code(err) != sdk.CodeCancelled {
		t.Errorf("err = %v", err)
	}
	if k, p := keys(t, b), parts(t, b); len(k)+len(p) > 0 {
		t.Errorf("got keys %q and parts %q, want none", k, p)
	}
}

// Delete removes the parts that a killed process has left for the key, and no other parts.
func TestDeleteRemovesLeftovers(t *testing.T) {
	t.Parallel()
	b := open(t)
	for _, key := range []string{"k", "other"} {
		if err := b.root.WriteFile(partsFolder+"/"+partPrefix(key)+"left", []byte("hal"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if k := keys(t, b); len(k) > 0 {
		t.Errorf("unexpected keys %q", k)
	}
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	if p := parts(t, b); len(p) != 1 || !strings.HasPrefix(p[0], partPrefix("other")) {
		t.Errorf("unexpected parts %q", p)
	}
}

// An administrator may remove empty folders while the plugin runs.
func TestPut_afterFolderWasRemoved(t *testing.T) {
	t.Parallel()
	b := open(t)
	put(t, b, "a/b/c", "x")
	if err := b.Delete(t.Context(), "a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := b.root.RemoveAll("objects/a.d"); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "a/b/c"); err != nil {
		t.Error(err)
	}
	put(t, b, "a/b/c", "y")
	if k := keys(t, b); !slices.Equal(k, []string{"a/b/c"}) {
		t.Errorf("unexpected keys %q", k)
	}
}

// Files that others have put into the folder are not objects and do no harm.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	b := open(t)
	put(t, b, "a/b", "x")
	for _, name := range []string{"objects/README", "objects/A.f", "objects/a.d/.DS_Store", "parts/x"} {
		if err := b.root.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.root.Mkdir("objects/lost+found", 0o700); err != nil {
		t.Fatal(err)
	}
	if k := keys(t, b); !slices.Equal(k, []string{"a/b"}) {
		t.Errorf("unexpected keys %q", k)
	}
	// A symbolic link to a file outside the folder is not followed.
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.root.Symlink(outside, "objects/link.f"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "link", 0, 0); err == nil {
		t.Error("Get follows a symbolic link out of the folder")
	}
	if k := keys(t, b); !slices.Equal(k, []string{"a/b"}) {
		t.Errorf("unexpected keys %q", k)
	}
}

// The host receives the kind of the disk's error, and no path.
func TestDiskErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		errno   syscall.Errno
		code    sdk.ErrorCode
		message string
	}{
		{syscall.ENOSPC, sdk.CodeNoSpace, "the disk is full"},
		{syscall.EDQUOT, sdk.CodeNoSpace, "the disk is full"},
		{syscall.EFBIG, sdk.CodeNoSpace, "too large"},
		{syscall.EIO, sdk.CodeUnavailable, "input/output error"},
		{syscall.EROFS, sdk.CodeUnavailable, "read-only file system"},
		{syscall.EACCES, sdk.CodeUnavailable, "permission denied"},
	}
	for _, tt := range tests {
		err := publicError(context.Background(), "put", &os.PathError{Op: "write", Path: "/srv/secret/a.f", Err: tt.errno})
		if code(err) != tt.code || !strings.Contains(err.Error(), tt.message) || strings.Contains(err.Error(), "secret") {
			t.Errorf("publicError(%v) = %v, want code %s with %q", tt.errno, err, tt.code, tt.message)
		}
	}
}

// A Put that cannot write fails as unavailable and stores nothing.
func TestPut_diskError(t *testing.T) {
	t.Parallel()
	b := open(t)
	if err := b.root.RemoveAll(partsFolder); err != nil {
		t.Fatal(err)
	}
	_, err := b.Put(t.Context(), "k", strings.NewReader("x"), files.PutOptions{Size: 1})
	if code(err) != sdk.CodeUnavailable {
		t.Errorf("err = %v", err)
	}
	if err := b.Health(t.Context()); err == nil || err.Error() != "disk error: no such file or directory" {
		t.Errorf("err = %v", err)
	}
	if k := keys(t, b); len(k) > 0 {
		t.Errorf("unexpected keys %q", k)
	}
}
