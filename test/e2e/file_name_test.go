package e2e_test

import (
	"mime"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var objectName = regexp.MustCompile(`^blob-[0-9a-z]+\.f$`)

// A file's name is stored as it is, or rejected. It is never a path on the disk.
func TestFileNames(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	const rejected = ""
	long := strings.Repeat("é", 255)
	for given, want := range map[string]string{
		"plain.txt":               "plain.txt",
		"two words; and=more.txt": "two words; and=more.txt",
		`quoted "name".txt`:       `quoted "name".txt`,
		"100%41.txt":              "100%41.txt",
		"日本語 ✓.txt":               "日本語 ✓.txt",
		"שלום\u200f.txt":          "שלום\u200f.txt", // a direction mark is harmless
		"a\u200e.txt":             "a\u200e.txt",
		".hidden":                 ".hidden",
		long:                      long,
		"../../etc/passwd":        "passwd",
		`..\..\evil.exe`:          "evil.exe",
		"/etc/shadow":             "shadow",
		"C:\\docs\\a.txt":         "a.txt",
		"...":                     "...",
		"..":                      rejected,
		".":                       rejected,
		"../..":                   rejected,
		"a/":                      rejected,
		"":                        rejected,
		"  ":                      rejected,
		"a\x00b.txt":              rejected,
		"a\tb.txt":                rejected,
		"a\x7fb.txt":              rejected,
		"a\u0085b.txt":            rejected,
		"a\r\nX-Evil: 1.txt":      rejected,
		"a\nb.txt":                rejected,
		"gpj\u202eexe.txt":        rejected,
		"a\u2066b.txt":            rejected,
		"a\xff.txt":               rejected,
		long + "x":                rejected,
	} {
		r := c.send(filePart(given, strings.NewReader("text")))
		if want == rejected {
			if r.status != 400 || r.failure(t).Code != "VALIDATION_ERROR" {
				t.Errorf("%q: got status %d, want 400: %s", given, r.status, r.body)
			}
			continue
		}
		f := decode[file](t, r.want(t, 201))
		if f.Name != want {
			t.Errorf("%q: got name %q, want %q", given, f.Name, want)
		}
		d := c.get("/v1/files/"+f.ID+"/download").want(t, 200).header
		_, params, err := mime.ParseMediaType(d.Get("Content-Disposition"))
		if err != nil || params["filename"] != want || d.Get("X-Evil") != "" {
			t.Errorf("%q: got Content-Disposition %q (%v)", want, d.Get("Content-Disposition"), err)
		}
		if ids, _ := c.listed(query("name", want)); len(ids) == 0 {
			t.Errorf("%q: not in the list with that name", want)
		}
		if got := decode[file](t, c.do("PATCH", "/v1/files/"+f.ID, object{"name": given}).want(t, 200)); got.Name != want {
			t.Errorf("%q: got name %q after a rename, want %q", given, got.Name, want)
		}
	}
	// Some clients encode the name as RFC 5987 says.
	encoded := part{
		"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''..%2F%E2%82%AC.txt\r\n", strings.NewReader("text"),
	}
	if f := decode[file](t, c.send(encoded).want(t, 201)); f.Name != "€.txt" {
		t.Errorf("got name %q for an encoded one, want €.txt", f.Name)
	}
	kept := c.files()
	names, _ := s.objects("files-local/files")
	if len(names) != len(kept) {
		t.Errorf("got %d objects on the disk, want %d", len(names), len(kept))
	}
	for _, name := range names {
		if !objectName.MatchString(name) {
			t.Errorf("got object name %q on the disk", name)
		}
	}
	for _, name := range []string{"passwd", "evil.exe", "etc"} {
		if there, _ := filepath.Glob(filepath.Join(s.dir, "*", name)); len(there) != 0 {
			t.Errorf("a name was used as a path: %v", there)
		}
	}
}

// The server does not write uploads to the temporary folder, not even while they are received.
func TestUploadLeavesTempAlone(t *testing.T) {
	t.Parallel()
	temp, err := os.MkdirTemp("", "e2e-") // short, because it has sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	s := newServer(t, "")
	s.env = append(s.env, "TMPDIR="+temp)
	s.start()
	c := s.signIn()
	look := func(int64) {
		names, sizes := listFiles(t, temp)
		for i, size := range sizes {
			if size > 0 {
				t.Errorf("the temporary folder has %v of %d bytes", names, sizes[i])
				return
			}
		}
	}
	data := randomBytes(4, 6<<20)
	body := &slowReader{content: strings.NewReader(string(data)), pause: time.Millisecond, read: look}
	f := decode[file](t, c.send(metadataPart(`{"a":1}`), filePart("a", body)).want(t, 201))
	c.checkDownload(f)
	cut := &slowReader{content: strings.NewReader(string(data[:1<<20])), read: look}
	if r := c.send(filePart("a", cut), metadataPart("{")); r.status != 400 {
		t.Errorf("got status %d, want 400: %s", r.status, r.body)
	}
	look(0)
	s.waitObjects("files-local/files", f.Size)
}
