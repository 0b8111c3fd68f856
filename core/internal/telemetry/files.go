package telemetry

import (
	"context"
	"io"

	"github.com/agentarea/agentarea/core"
)

// SignedIn counts a sign-in attempt by its outcome err, and returns err.
func (m *Metrics) SignedIn(err error) error {
	outcome := "ok"
	switch code := core.CodeOf(err); {
	case err == nil:
	case code == core.CodeUnauthorized:
		outcome = "refused"
	case code == core.CodeRateLimited:
		outcome = "limited"
	default:
		outcome = "error"
	}
	m.signIns.WithLabelValues(outcome).Inc()
	return err
}

// Files returns a core.Files that counts the uploaded and downloaded bytes.
func (m *Metrics) Files(files core.Files) core.Files {
	return &meteredFiles{Files: files, metrics: m}
}

type meteredFiles struct {
	core.Files
	metrics *Metrics
}

// Upload implements core.Files.
func (f *meteredFiles) Upload(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload,
) (*core.File, error) {
	file, err := f.Files.Upload(ctx, audit, v, u)
	if err == nil {
		f.metrics.fileBytes.WithLabelValues("up").Add(float64(file.Size))
	}
	return file, err
}

// Open implements core.Files.
func (f *meteredFiles) Open(ctx context.Context, file *core.File) io.ReadSeekCloser {
	return &meteredReader{ReadSeekCloser: f.Files.Open(ctx, file), metrics: f.metrics}
}

// meteredReader adds the bytes that were read to the metric when it is closed.
type meteredReader struct {
	io.ReadSeekCloser
	metrics *Metrics
	read    int64
}

// Read implements io.Reader.
func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadSeekCloser.Read(p)
	r.read += int64(n)
	return n, err
}

// Close implements io.Closer.
func (r *meteredReader) Close() error {
	r.metrics.fileBytes.WithLabelValues("down").Add(float64(r.read))
	r.read = 0
	return r.ReadSeekCloser.Close()
}
