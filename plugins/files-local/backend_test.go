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
		// made is below the plugin's data folder; bad is in the error.
		made, bad string
	}{
		{name: "the default", config: `{}`, made: "files"},
		{name: "relative", config: `{"path":"a/b/c"}`, made: "a/b/c"},
		{name: "there already", config: `{"path":"."}`, made: "."},
		{name: "empty", config: `{"path":""}`, bad: "is empty"},
		{name: "a file", config: `{"path":"file"}`, bad: "the folder can't be opened"},
		{name: "below a file", config: `{"path":"file/x"}`, bad: "the folder can't be made"},
		{name: "not a disk", config: `{"path":"/proc/agentarea"}`, bad: "the folder can't be made"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend()
			if err := plugin.Decode([]byte(tt.config), &b.config); err != nil {
				t.Fatal(err)
			}
			err := b.Configure(t.Context(), sdk.Env{DataDir: dir})
			if tt.bad != "" {
				var e *sdk.ConfigError
				if !errors.As(err, &e) || !slices.Equal(e.Path, []string{"path"}) || !strings.Contains(e.Summary, tt.bad) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.root.Close() }()
			put(t, b, "k", "hello")
			if data, err := os.ReadFile(filepath.Join(dir, tt.made, "objects/k.f")); string(data) != "hello" || err != nil {
				t.Errorf("%q, %v", data, err)
			}
			if err := b.Health(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A Put leaves nothing of its own beside the object, however it ends.
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
		t.Errorf("parts: %q", names)
	}
	if o, err := b.Stat(t.Context(), "k"); err != nil || o.Size != 3 {
		t.Errorf("%v, %v", o, err)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A Put whose key is deleted before its end keeps nothing: who deletes a key may
// forget it.
func TestDeleteEndsPuts(t *testing.T) {
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
		t.Errorf("keys %q, parts %q", k, p)
	}
}

// What a killed process has left goes with the key, and no other key's does.
func TestDeleteRemovesLeftovers(t *testing.T) {
	t.Parallel()
	b := open(t)
	for _, key := range []string{"k", "other"} {
		if err := b.root.WriteFile(partsFolder+"/"+partPrefix(key)+"left", []byte("hal"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if k := keys(t, b); len(k) > 0 {
		t.Errorf("keys: %q", k)
	}
	if err := b.Delete(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	if p := parts(t, b); len(p) != 1 || !strings.HasPrefix(p[0], partPrefix("other")) {
		t.Errorf("parts: %q", p)
	}
}

// An admin may remove empty folders while the plugin runs.
func TestFoldersThatAreTidiedUp(t *testing.T) {
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
		t.Errorf("keys: %q", k)
	}
}

// Files that others have put into the folder are no objects, and do no harm.
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
		t.Errorf("keys: %q", k)
	}
	// A link leads nowhere outside.
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.root.Symlink(outside, "objects/link.f"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "link", 0, 0); err == nil {
		t.Error("a link out of the folder was followed")
	}
	if k := keys(t, b); !slices.Equal(k, []string{"a/b"}) {
		t.Errorf("keys: %q", k)
	}
}

// The host hears what ails the disk, and no path.
func TestDiskErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		errno syscall.Errno
		code  sdk.ErrorCode
		words string
	}{
		{syscall.ENOSPC, sdk.CodeNoSpace, "the disk is full"},
		{syscall.EDQUOT, sdk.CodeNoSpace, "the disk is full"},
		{syscall.EFBIG, sdk.CodeNoSpace, "of that size"},
		{syscall.EIO, sdk.CodeUnavailable, "input/output error"},
		{syscall.EROFS, sdk.CodeUnavailable, "read-only file system"},
		{syscall.EACCES, sdk.CodeUnavailable, "permission denied"},
	}
	for _, tt := range tests {
		err := failure(context.Background(), "put", &os.PathError{Op: "write", Path: "/srv/secret/a.f", Err: tt.errno})
		if code(err) != tt.code || !strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", tt.errno, err)
		}
	}
}

// A write that fails is the disk's fault, and what came is not kept.
func TestPutOnADiskThatFails(t *testing.T) {
	t.Parallel()
	b := open(t)
	if err := b.root.RemoveAll(partsFolder); err != nil {
		t.Fatal(err)
	}
	_, err := b.Put(t.Context(), "k", strings.NewReader("x"), files.PutOptions{Size: 1})
	if code(err) != sdk.CodeUnavailable {
		t.Errorf("err = %v", err)
	}
	if err := b.Health(t.Context()); err == nil || err.Error() != "the disk fails: no such file or directory" {
		t.Errorf("err = %v", err)
	}
	if k := keys(t, b); len(k) > 0 {
		t.Errorf("keys: %q", k)
	}
}
