package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

type file struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Size        int64          `json:"size"`
	ContentType string         `json:"content_type"`
	SHA256      string         `json:"sha256"`
	Metadata    map[string]any `json:"metadata"`
	CreatedBy   string         `json:"created_by"`
}

const boundary = "a-boundary-of-the-test"

// part is a part of a form: its headers, each with its line break, and its content.
type part struct {
	header  string
	content io.Reader
}

// filePart returns a part with a file. Its name is escaped as browsers and curl do it.
func filePart(name string, content io.Reader) part {
	name = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)
	return part{fmt.Sprintf("Content-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n", name), content}
}

func metadataPart(metadata string) part {
	return part{
		"Content-Disposition: form-data; name=\"metadata\"\r\nContent-Type: application/json\r\n",
		strings.NewReader(metadata),
	}
}

func form(parts ...part) io.Reader {
	var all []io.Reader
	for _, p := range parts {
		all = append(all, strings.NewReader("--"+boundary+"\r\n"+p.header+"\r\n"), p.content, strings.NewReader("\r\n"))
	}
	return io.MultiReader(append(all, strings.NewReader("--"+boundary+"--\r\n"))...)
}

// tryUpload sends a form while it is read, without a Content-Length.
func (c *client) tryUpload(parts ...part) (*reply, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	req := c.request(ctx, "POST", "/v1/files/upload", nil)
	req.Body = io.NopCloser(form(parts...))
	req.ContentLength = -1
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Header, data}, nil
}

// send is tryUpload, and ends the test if there is no reply.
func (c *client) send(parts ...part) *reply {
	c.t.Helper()
	r, err := c.tryUpload(parts...)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// upload uploads a file and checks the size and checksum in the reply.
func (c *client) upload(name string, data []byte) file {
	c.t.Helper()
	f := decode[file](c.t, c.send(filePart(name, bytes.NewReader(data))).want(c.t, 201))
	if f.SHA256 != sha256Hex(data) || f.Size != int64(len(data)) {
		c.t.Errorf("upload of %d bytes with SHA-256 %s returns %+v", len(data), sha256Hex(data), f)
	}
	return f
}

// files returns all files that the user can see, newest first.
func (c *client) files() []file {
	c.t.Helper()
	var all []file
	for {
		list := decode[struct {
			Files []file
			Total int
		}](c.t, c.get("/v1/files/?limit=100&offset="+itoa(len(all))).want(c.t, 200))
		all = append(all, list.Files...)
		if len(list.Files) == 0 || len(all) >= list.Total {
			return all
		}
	}
}

// listed returns the ids and the total of a list.
func (c *client) listed(query string) (ids []string, total int) {
	c.t.Helper()
	list := decode[struct {
		Files []file
		Total int
	}](c.t, c.get("/v1/files/?"+query).want(c.t, 200))
	for _, f := range list.Files {
		ids = append(ids, f.ID)
	}
	return ids, list.Total
}

// checkDownload checks that a download has the file's size and checksum.
func (c *client) checkDownload(f file) {
	c.t.Helper()
	r, err := c.try("GET", "/v1/files/"+f.ID+"/download", nil)
	if err != nil {
		c.t.Errorf("download of %s: %v", f.ID, err)
		return
	}
	if r.status != 200 || int64(len(r.body)) != f.Size || sha256Hex(r.body) != f.SHA256 {
		c.t.Errorf("download of %+v: got status %d, %d bytes and SHA-256 %s", f, r.status, len(r.body), sha256Hex(r.body))
	}
}

// randomBytes returns pseudo-random bytes that depend only on the seed.
func randomBytes(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// sha256Hex returns the SHA-256 checksum of b in hex.
func sha256Hex(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// wantList checks the elements of a list and their order.
func wantList(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// query returns a URL query with one parameter.
func query(name, value string) string { return url.Values{name: {value}}.Encode() }
