package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/agentarea/agentarea/core/internal/client"
)

// filesCommands are the agentarea files commands.
type filesCommands struct {
	Move filesMoveCommand `cmd:"" help:"Move all files of one backend to another while the server runs. Run the command again to resume an interrupted move."`
}

// serverFlags are the flags of a command that calls the API of a running server.
type serverFlags struct {
	URL      string `default:"http://localhost:8000" env:"AGENTAREA_URL" help:"URL of the running server." placeholder:"URL"`
	Username string `default:"admin" env:"AGENTAREA_ADMIN_USERNAME" help:"Name of an admin. The password comes from AGENTAREA_ADMIN_PASSWORD or a prompt. Set AGENTAREA_TOKEN to use an access token instead." placeholder:"NAME"`
}

// client returns a client with the credentials of the environment. Without them it prompts for the
// password.
func (s *serverFlags) client(getenv func(string) string, stdin *os.File, prompt io.Writer) (*client.Client, error) {
	o := client.Options{
		URL: s.URL, Token: getenv("AGENTAREA_TOKEN"), Username: s.Username, Password: getenv("AGENTAREA_ADMIN_PASSWORD"),
	}
	if o.Token == "" && o.Password == "" {
		if !term.IsTerminal(int(stdin.Fd())) {
			return nil, errors.New("no credentials: set AGENTAREA_ADMIN_PASSWORD or AGENTAREA_TOKEN, or run the command " +
				"in a terminal")
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

// filesMoveCommand is agentarea files move.
type filesMoveCommand struct {
	From string `required:"" help:"The label of the files plugin to move files from." placeholder:"LABEL"`
	To   string `required:"" help:"The label of the files plugin to move files to." placeholder:"LABEL"`
	serverFlags
}

// Run moves the files and shows the progress on stderr.
func (m *filesMoveCommand) Run(ctx context.Context, out *output) error {
	c, err := m.client(os.Getenv, os.Stdin, out.stderr)
	if err != nil {
		return err
	}
	display := newMoveDisplay(out.stderr)
	p, err := c.MoveFiles(ctx, m.From, m.To, display)
	display.end()
	moved := fmt.Sprintf("%s (%s) moved from %s to %s",
		english.Plural(p.Files, "file", ""), humanize.Bytes(uint64(max(p.Bytes, 0))), m.From, m.To)
	switch {
	case err != nil && p.Files > 0:
		return fmt.Errorf("%w\n%s so far; run the command again to resume", err, moved)
	case err != nil:
		return err
	case p.Failed > 0:
		return fmt.Errorf("%s; %s in %s for the reasons above; run the command again to retry",
			moved, english.Plural(p.Failed, "file remains", "files remain"), m.From)
	}
	_, _ = fmt.Fprintln(out.stdout, moved)
	return nil
}

// moveDisplay shows the progress of a move: a progress bar on a terminal, otherwise a line every
// lineInterval.
type moveDisplay struct {
	w        io.Writer
	bar      *progressbar.ProgressBar
	lastLine time.Time
}

// lineInterval is the time between two progress lines.
const lineInterval = 5 * time.Second

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
	files := fmt.Sprintf("%d of %s", p.Files, english.Plural(p.TotalFiles, "file", ""))
	if d.bar != nil {
		d.bar.Describe(files)
		d.bar.ChangeMax64(max(p.TotalBytes, p.Bytes, 1))
		_ = d.bar.Set64(p.Bytes) // the move does not depend on the progress bar
		return
	}
	if time.Since(d.lastLine) >= lineInterval {
		d.lastLine = time.Now()
		_, _ = fmt.Fprintf(d.w, "%s, %s of %s\n", files, humanize.Bytes(uint64(max(p.Bytes, 0))),
			humanize.Bytes(uint64(max(p.TotalBytes, 0))))
	}
}

// Failed implements client.Watcher.
func (d *moveDisplay) Failed(fileID, message string) {
	d.println("%s was not moved: %s", fileID, message)
}

// Waiting implements client.Watcher.
func (d *moveDisplay) Waiting(err error) { d.println("retrying: %v", err) }

func (d *moveDisplay) println(format string, args ...any) {
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
