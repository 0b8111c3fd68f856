package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/agentarea/agentarea/core/internal/client"
)

// server is the running one that a command speaks to.
type server struct {
	URL      string `default:"http://localhost:8000" env:"AGENTAREA_URL" help:"The running server." placeholder:"URL"`
	Username string `default:"admin" env:"AGENTAREA_ADMIN_USERNAME" help:"An admin; the password is AGENTAREA_ADMIN_PASSWORD or asked for. AGENTAREA_TOKEN, an access token, stands for both." placeholder:"NAME"`
}

// client signs in with what the environment has, or asks for the password.
func (s *server) client(getenv func(string) string, stdin *os.File, prompt io.Writer) (*client.Client, error) {
	o := client.Options{URL: s.URL, Token: getenv("AGENTAREA_TOKEN"), Username: s.Username, Password: getenv("AGENTAREA_ADMIN_PASSWORD")}
	if o.Token == "" && o.Password == "" {
		if !term.IsTerminal(int(stdin.Fd())) {
			return nil, errors.New("AGENTAREA_ADMIN_PASSWORD is not set (set it, or AGENTAREA_TOKEN, or run this in a terminal)")
		}
		_, _ = fmt.Fprintf(prompt, "Password of %s: ", s.Username)
		password, err := term.ReadPassword(int(stdin.Fd()))
		_, _ = fmt.Fprintln(prompt)
		if err != nil {
			return nil, err
		}
		o.Password = string(password)
	}
	return client.New(o), nil
}

// moveCommand is agentarea files move.
type moveCommand struct {
	From string `required:"" help:"The label of the files stanza to empty." placeholder:"LABEL"`
	To   string `required:"" help:"The label of the files stanza to fill." placeholder:"LABEL"`
	server
}

func (m *moveCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	c, err := m.client(os.Getenv, os.Stdin, stderr)
	if err != nil {
		return err
	}
	show := newMoveDisplay(stderr)
	p, err := c.MoveFiles(ctx, m.From, m.To, show)
	show.end()
	moved := fmt.Sprintf("%d files (%s) moved from %s to %s", p.Files, humanize.Bytes(uint64(max(p.Bytes, 0))), m.From, m.To)
	switch {
	case err != nil && p.Files > 0:
		return fmt.Errorf("%w\n%s so far; the same command goes on", err, moved)
	case err != nil:
		return err
	case p.Failed > 0:
		return fmt.Errorf("%s; %d stay in %s, for the reasons above: the same command tries them again", moved, p.Failed, m.From)
	}
	_, _ = fmt.Fprintln(stdout, moved)
	return nil
}

// moveDisplay shows a move: with a bar on a terminal, else by a line now and then.
type moveDisplay struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	told time.Time
}

// tellEvery is how often a move that nobody watches leaves a line.
const tellEvery = 5 * time.Second

func newMoveDisplay(w io.Writer) *moveDisplay {
	d := &moveDisplay{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		d.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	return d
}

// Progress implements client.Watcher.
func (d *moveDisplay) Progress(p client.Progress) {
	files := fmt.Sprintf("%d of %d files", p.Files, p.TotalFiles)
	if d.bar != nil {
		d.bar.Describe(files)
		d.bar.ChangeMax64(max(p.TotalBytes, p.Bytes, 1))
		_ = d.bar.Set64(p.Bytes) // no bar is no reason to stop
		return
	}
	if time.Since(d.told) >= tellEvery {
		d.told = time.Now()
		_, _ = fmt.Fprintf(d.w, "%s, %s of %s\n", files, humanize.Bytes(uint64(max(p.Bytes, 0))), humanize.Bytes(uint64(max(p.TotalBytes, 0))))
	}
}

// Failed implements client.Watcher.
func (d *moveDisplay) Failed(fileID, message string) { d.say("%s stays: %s", fileID, message) }

// Waiting implements client.Watcher.
func (d *moveDisplay) Waiting(err error) { d.say("waiting to go on: %v", err) }

func (d *moveDisplay) say(format string, args ...any) {
	if d.bar != nil {
		_ = d.bar.Clear()
	}
	_, _ = fmt.Fprintf(d.w, format+"\n", args...)
}

func (d *moveDisplay) end() {
	if d.bar != nil {
		_ = d.bar.Clear()
	}
}
