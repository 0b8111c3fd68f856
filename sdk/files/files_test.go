package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	part := strings.Repeat("x", 80)
	tests := []struct {
		key string
		ok  bool
	}{
		{"a", true},
		{"/", true},
		{"..", true},
		{"файл 文件", true},
		{part + "/" + part + "/" + part + "/" + part[:12], true},
		{part + "/" + part + "/" + part + "/" + part[:13], false},
		{part + "x", false},
		{"a/" + part + "x/b", false},
		{"", false},
		{"a\x00b", false},
		{"a\xffb", false},
	}
	for _, tt := range tests {
		err := files.CheckKey(tt.key)
		if tt.ok && err != nil || !tt.ok && code(err) != sdk.CodeInvalidRequest {
			t.Errorf("CheckKey(%q) = %v, want success: %t", tt.key, err, tt.ok)
		}
	}
}

// The backend does not receive invalid keys.
func TestServer_rejectsInvalidKeys(t *testing.T) {
	t.Parallel()
	m := newMemory()
	c, ctx := reach(t, m), t.Context()
	for _, key := range []string{"", "a\x00b", "a\xffb", strings.Repeat("x", 81)} {
		_, stat := c.Stat(ctx, key)
		_, get := c.Get(ctx, key, 0, 0)
		_, put := c.Put(ctx, key, bytes.NewReader(nil), files.PutOptions{})
		for method, err := range map[string]error{"Stat": stat, "Get": get, "Put": put, "Delete": c.Delete(ctx, key)} {
			if code(err) != sdk.CodeInvalidRequest {
				t.Errorf("%s(%q) = %v, want an error with code %s", method, key, err, sdk.CodeInvalidRequest)
			}
		}
	}
	if len(m.keys()) > 0 {
		t.Errorf("the backend stored %q, want nothing", m.keys())
	}
}

func TestClient_StatAndDelete(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.objects["a/b"] = []byte("hello")
	c, ctx := reach(t, m), t.Context()
	o, err := c.Stat(ctx, "a/b")
	if err != nil || o.Key != "a/b" || o.Size != 5 || !o.Modified.Equal(noon) || o.Modified.Location() != time.UTC {
		t.Errorf(`Stat("a/b") = %+v, %v, want 5 bytes, modified at %v in UTC`, o, err, noon)
	}
	for range 2 {
		if err := c.Delete(ctx, "a/b"); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Stat(ctx, "a/b"); code(err) != sdk.CodeNotFound {
		t.Errorf("Stat of a deleted key: got error %v, want code %s", err, sdk.CodeNotFound)
	}
}

func TestClient_List(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var want []string
	for i := range 2500 {
		key := fmt.Sprintf("k/%04d", i)
		m.objects[key] = []byte("x")
		want = append(want, key)
	}
	m.objects["j"], m.objects["l"] = nil, nil
	m.objects[strings.Repeat("k", 81)] = nil // an invalid key, written by another program
	c := reach(t, m)
	list := func(prefix, after string, limit int) (keys []string) {
		for o, err := range c.List(t.Context(), prefix, after) {
			if err != nil {
				t.Fatal(err)
			}
			if keys = append(keys, o.Key); len(keys) == limit {
				break
			}
		}
		return keys
	}
	if got := list("k/", "", -1); !slices.Equal(got, want) {
		t.Errorf("List returned %d keys, want all", len(got))
	}
	if got := list("k", "k/2497", -1); !slices.Equal(got, want[2498:]) {
		t.Errorf("List after k/2497 = %q, want %q", got, want[2498:])
	}
	if got := list("", "", 2); !slices.Equal(got, []string{"j", "k/0000"}) {
		t.Errorf("List with limit 2 = %q, want j and k/0000", got)
	}
	if got := list("nothing", "", -1); len(got) > 0 {
		t.Errorf(`List with prefix "nothing" = %q, want no keys`, got)
	}
}

// The host receives the objects of a slow backend before a batch is full.
func TestList_sendsIncompleteBatches(t *testing.T) {
	t.Parallel()
	m := newMemory()
	seen := make(chan struct{})
	m.list = func(yield func(files.Object, error) bool) {
		for i := 0; ; i++ {
			if !yield(files.Object{Key: fmt.Sprint(i)}, nil) {
				return
			}
			select {
			case <-seen:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	for o, err := range reach(t, m).List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if o.Key == "0" {
			close(seen)
		}
	}
}

func TestList_error(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.list = func(yield func(files.Object, error) bool) {
		_ = yield(files.Object{Key: "a"}, nil) &&
			yield(files.Object{}, &sdk.Error{Code: sdk.CodeUnavailable, Message: "gone"})
	}
	var last error
	for _, err := range reach(t, m).List(t.Context(), "", "") {
		last = err
	}
	if code(last) != sdk.CodeUnavailable {
		t.Errorf("List: got error %v, want code %s", last, sdk.CodeUnavailable)
	}
}

func TestStat_otherErrors(t *testing.T) {
	t.Parallel()
	c := reach(t, failing{newMemory()})
	if _, err := c.Stat(t.Context(), "k"); code(err) != sdk.CodeInternal {
		t.Errorf("Stat: got error %v, want code %s", err, sdk.CodeInternal)
	}
}

type failing struct{ *memory }

func (failing) Stat(context.Context, string) (*files.Object, error) {
	return nil, errors.New("whatever")
}

type signer struct{ *memory }

func (signer) Presign(_ context.Context, r files.PresignRequest) (string, error) {
	return fmt.Sprintf("https://s3/%s?%s&%s&%s", r.Key, r.Expires, r.ContentDisposition, r.ContentType), nil
}

func TestClient_Presign(t *testing.T) {
	t.Parallel()
	req := files.PresignRequest{
		Key: "k", Expires: 1500 * time.Millisecond, ContentDisposition: "attachment", ContentType: "text/plain",
	}
	if url, err := reach(t,
		signer{newMemory()}).Presign(t.Context(), req); url != "https://s3/k?2s&attachment&text/plain" || err != nil {
		t.Errorf("Presign = %q, %v, want the signed URL", url, err)
	}
	// A backend without Presign returns no URL.
	if url, err := reach(t, newMemory()).Presign(t.Context(), req); url != "" || err != nil {
		t.Errorf("Presign without support = %q, %v, want no URL and no error", url, err)
	}
}
