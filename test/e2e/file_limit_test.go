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
	over := func(c *client, size int, words ...string) {
		t.Helper()
		r := c.send(filePart("big", bytes.NewReader(randomBytes(6, size)))).want(t, 413)
		f := r.failure(t)
		for _, word := range words {
			if f.Code != "PAYLOAD_TOO_LARGE" || !strings.Contains(f.Message, word) {
				t.Errorf("no %q in %+v", word, f)
			}
		}
	}
	over(ann, 1<<20+1, "1048576 bytes a file")
	// One that says beforehand how much it is, is refused at once.
	r := ann.do("POST", "/v1/files/upload", strings.Repeat("a", 4<<20), "Content-Type: multipart/form-data; boundary=x")
	if f := r.want(t, 413).failure(t); !strings.Contains(f.Message, "at most 1048576") {
		t.Errorf("%+v", f)
	}
	first := ann.upload("a", mega)
	ann.upload("b", mega)
	over(ann, 600<<10, "2560000 bytes a user", "2097152")
	bob.upload("his", mega) // one's own files count alone
	ann.do("DELETE", "/v1/files/"+first.ID, nil).want(t, 204)
	ann.upload("c", mega)
	s.waitObjects("files-local/files", 1<<20, 1<<20, 1<<20)

	// Two at once, and no third; when one has ended, there is room for another.
	type sent struct {
		end  *io.PipeWriter
		done chan *reply
	}
	var under []sent
	for range 2 {
		read, write := io.Pipe()
		u := sent{write, make(chan *reply, 1)}
		go func() { _, _ = write.Write(make([]byte, 100<<10)) }()
		go func() {
			r, _ := bob.tryUpload(filePart("slow", read))
			u.done <- r
		}()
		under = append(under, u)
		eventually(t, "its first bytes on the disk", func() bool {
			parts, _ := disk(t, filepath.Join(s.dir, "data", "plugins", "files-local", "files", "parts"))
			return len(parts) == len(under)
		})
	}
	refused := bob.send(filePart("third", strings.NewReader("text"))).want(t, 429)
	if f := refused.failure(t); f.Code != "RATE_LIMITED" || refused.header.Get("Retry-After") == "" || !strings.Contains(f.Message, "2 uploads") {
		t.Errorf("%v %s", refused.header, refused.body)
	}
	ann.send(filePart("hers", strings.NewReader("text"))).want(t, 201)
	for _, u := range under {
		_ = u.end.Close()
		if r := <-u.done; r == nil || r.status != 201 {
			t.Errorf("the slow one: %+v", r)
		}
	}
	bob.send(filePart("third", strings.NewReader("text"))).want(t, 201)
}
