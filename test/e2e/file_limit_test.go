package e2e_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.args = append(s.args, "--max-file-size", "1MiB", "--max-user-storage", "2500KiB", "--uploads-per-user", "2")
	s.start()
	admin := s.signIn()
	ann, bob := s.newUser(admin, "ann", "member"), s.newUser(admin, "bob", "member")
	mega := randomBytes(5, 1<<20)
	wantTooLarge := func(c *client, size int, words ...string) {
		t.Helper()
		r := c.send(filePart("big", bytes.NewReader(randomBytes(6, size)))).want(t, 413)
		f := r.failure(t)
		for _, word := range words {
			if f.Code != "PAYLOAD_TOO_LARGE" || !strings.Contains(f.Message, word) {
				t.Errorf("got error %+v, want %q", f, word)
			}
		}
	}
	wantTooLarge(ann, 1<<20+1, "1048576 bytes per file")
	// An upload with a Content-Length is rejected before it is read.
	r := ann.do("POST", "/v1/files/upload", strings.Repeat("a", 4<<20), "Content-Type: multipart/form-data; boundary=x")
	if f := r.want(t, 413).failure(t); !strings.Contains(f.Message, "at most 1048576") {
		t.Errorf("got error %+v, want the limit", f)
	}
	first := ann.upload("a", mega)
	ann.upload("b", mega)
	wantTooLarge(ann, 600<<10, "2560000 bytes per user", "2097152")
	bob.upload("his", mega) // other users' files do not count
	ann.do("DELETE", "/v1/files/"+first.ID, nil).want(t, 204)
	ann.upload("c", mega)
	s.waitObjects("files-local/files", 1<<20, 1<<20, 1<<20)

	// Two uploads at the same time are allowed and a third is not, until one has ended.
	type sent struct {
		end  *io.PipeWriter
		done chan *reply
	}
	var active []sent
	for range 2 {
		read, write := io.Pipe()
		u := sent{write, make(chan *reply, 1)}
		go func() { _, _ = write.Write(make([]byte, 100<<10)) }()
		go func() {
			r, _ := bob.tryUpload(filePart("slow", read))
			u.done <- r
		}()
		active = append(active, u)
		eventually(t, "the first bytes of the upload on the disk", func() bool {
			parts, _ := listFiles(t, filepath.Join(s.dir, "data", "plugins", "files-local", "files", "parts"))
			return len(parts) == len(active)
		})
	}
	refused := bob.send(filePart("third", strings.NewReader("text"))).want(t, 429)
	if f := refused.failure(t); f.Code != "RATE_LIMITED" || refused.header.Get("Retry-After") == "" ||
		!strings.Contains(f.Message, "2 concurrent uploads") {
		t.Errorf("got %v %s, want RATE_LIMITED with Retry-After", refused.header, refused.body)
	}
	ann.send(filePart("hers", strings.NewReader("text"))).want(t, 201)
	for _, u := range active {
		_ = u.end.Close()
		if r := <-u.done; r == nil || r.status != 201 {
			t.Errorf("got %+v for a slow upload, want status 201", r)
		}
	}
	bob.send(filePart("third", strings.NewReader("text"))).want(t, 201)
}
