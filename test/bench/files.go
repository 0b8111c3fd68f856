package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	fileSize   = 100_000_000
	fileRounds = 10
)

// files transfers the same bytes with the API and without it: with cp on a disk, and with minio-go on
// S3. Every copy is a new file, and all are removed at the end, because writing into memory that was
// just freed is faster.
func files(ctx context.Context, s *settings) error {
	r, err := newFileRig(ctx, s)
	if err != nil {
		return err
	}
	defer r.close()
	t := newTable(fmt.Sprintf("Files of %d MB, one after the other; aim: 0.5 of cp on a disk, 0.8 of minio-go on S3",
		fileSize/1_000_000),
		"", "time, median", "MB/s", "against", "in CPU seconds of server and plugins")
	if err := r.measure(ctx, t, s.scaled(fileRounds), "cp", []transfer{
		{"cp", r.cp},
		{"cp, and on the disk (sync)", r.cpSync},
		{"upload to files-local", r.upload},
		{"download from files-local", r.download},
	}); err != nil {
		return err
	}
	if err := r.swap(ctx); err != nil {
		return err
	}
	if err := r.measure(ctx, t, s.scaled(fileRounds), "minio-go", []transfer{
		{"minio-go put", r.put},
		{"upload to files-s3", r.upload},
	}); err != nil {
		return err
	}
	if err := r.measure(ctx, t, s.scaled(fileRounds), "minio-go", []transfer{
		{"minio-go get", r.get},
		{"download from files-s3", r.download},
	}); err != nil {
		return err
	}
	t.print()
	return nil
}

// transfer transfers the file once. n is different for each call.
type transfer struct {
	name string
	run  func(ctx context.Context, n int) error
}

// fileRig is a server with a folder and a bucket for files.
type fileRig struct {
	*rig
	dir, source, config string
	s3                  *minio.Client
	// plugins returns a plugins.hcl with that file_backend.
	plugins func(backend string) []byte
	// n counts transfers, id is the id of the last upload, and object the name of minio-go's last one.
	n          int
	id, object string
}

const filesHCL = `file_backend = %q

plugin "agent" "chat" {
  command = "agent-chat"
}

plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["gpt-*"]
}

plugin "files" "local" {
  command = "files-local"
}

plugin "files" "s3" {
  command = "files-s3"
  config {
    endpoint   = "http://%s"
    bucket     = %q
    access_key = %q
    secret_key = %q
  }
}
`

const bucket = "bench"

func newFileRig(ctx context.Context, s *settings) (*fileRig, error) {
	dir, err := os.MkdirTemp(s.dir, "files-")
	if err != nil {
		return nil, err
	}
	r := &fileRig{
		dir: dir, source: filepath.Join(dir, "source"),
		config: filepath.Join(dir, "plugins.hcl"), rig: &rig{clients: map[string][]*client{}},
	}
	ctx, r.cancel = context.WithCancel(ctx)
	if err := r.start(ctx, s); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *fileRig) start(ctx context.Context, s *settings) error {
	if err := r.makeSource(); err != nil {
		return err
	}
	if err := r.startS3(ctx, s); err != nil {
		return err
	}
	binary, err := filepath.Abs(s.server)
	if err != nil {
		return err
	}
	return r.startServer(ctx, r.dir, binary, r.plugins("local"))
}

func (r *fileRig) makeSource() error {
	f, err := os.Create(r.source)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, fileSize); err != nil {
		return err
	}
	return f.Close()
}

// measure runs the transfers in turns. The others are compared with the first one.
func (r *fileRig) measure(ctx context.Context, t *table, rounds int, against string, transfers []transfer) error {
	took := make([][]time.Duration, len(transfers))
	cpu := make([]time.Duration, len(transfers))
	for range rounds {
		for i, one := range transfers {
			before, err := cpuTime(r.server.pid())
			if err != nil {
				return err
			}
			r.n++
			began := time.Now()
			if err := one.run(ctx, r.n); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			took[i] = append(took[i], time.Since(began))
			after, err := cpuTime(r.server.pid())
			if err != nil {
				return err
			}
			cpu[i] += after - before
		}
	}
	for i, one := range transfers {
		slices.Sort(took[i])
		median, base := took[i][rounds/2], took[0][rounds/2]
		t.row(one.name, ms(median), fmt.Sprintf("%.0f", fileSize/1e6/median.Seconds()),
			fmt.Sprintf("%.2f of %s", base.Seconds()/median.Seconds(), against),
			fmt.Sprintf("%.2f", cpu[i].Seconds()/float64(rounds)))
	}
	return nil
}

func (r *fileRig) target(n int) string { return filepath.Join(r.dir, fmt.Sprint(n)) }

func (r *fileRig) cp(ctx context.Context, n int) error {
	return exec.CommandContext(ctx, "cp", r.source, r.target(n)).Run()
}

func (r *fileRig) cpSync(ctx context.Context, n int) error {
	if err := r.cp(ctx, n); err != nil {
		return err
	}
	f, err := os.Open(r.target(n))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (r *fileRig) put(ctx context.Context, n int) error {
	_, err := r.s3.FPutObject(ctx, bucket, fmt.Sprint(n), r.source, minio.PutObjectOptions{})
	r.object = fmt.Sprint(n)
	return err
}

func (r *fileRig) get(ctx context.Context, n int) error {
	return r.s3.FGetObject(ctx, bucket, r.object, r.target(n), minio.GetObjectOptions{})
}

func (r *fileRig) upload(ctx context.Context, n int) error {
	source, err := os.Open(r.source)
	if err != nil {
		return err
	}
	defer source.Close()
	out, in := io.Pipe()
	form := multipart.NewWriter(in)
	go func() {
		part, err := form.CreateFormFile("file", fmt.Sprintf("%d.bin", n))
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{part}, struct{ io.Reader }{source}, make([]byte, 1<<20))
		}
		if err == nil {
			err = form.Close()
		}
		in.CloseWithError(err)
	}()
	resp, err := r.send(ctx, http.MethodPost, "/v1/files/upload", form.FormDataContentType(), out)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var file struct {
		ID     string
		Size   int64
		SHA256 string
	}
	if err := json.NewDecoder(resp.Body).Decode(&file); err != nil {
		return err
	}
	if _, err := hex.DecodeString(file.SHA256); err != nil || file.Size != fileSize {
		return fmt.Errorf("the upload returns %+v", file)
	}
	r.id = file.ID
	return nil
}

func (r *fileRig) download(ctx context.Context, n int) error {
	resp, err := r.send(ctx, http.MethodGet, "/v1/files/"+r.id+"/download", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(r.target(n))
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := io.CopyBuffer(struct{ io.Writer }{f}, resp.Body, make([]byte, 1<<20))
	if err == nil && got != fileSize {
		err = fmt.Errorf("the download has %d bytes", got)
	}
	return err
}

func (r *fileRig) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.server.addr+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Authorization", "Bearer "+*r.server.token.Load())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp, nil
}

// swap makes the server store new files in the bucket.
func (r *fileRig) swap(ctx context.Context) error {
	if err := os.WriteFile(r.config, r.plugins("s3"), 0o600); err != nil {
		return err
	}
	return r.server.call(ctx, http.MethodPost, "/v1/plugins/reload", nil, nil)
}
