// Package cli is the command line of agentarea. Each command has a file with its flags and its Run
// method.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/agentarea/agentarea/core/internal/app"
	"github.com/agentarea/agentarea/core/internal/config"
)

// commands is the command line.
type commands struct {
	Serve   serveCommand    `cmd:"" help:"Run the server."`
	Files   filesCommands   `cmd:"" help:"Manage files."`
	Plugins pluginsCommands `cmd:"" help:"Manage plugins."`
	DB      dbCommands      `cmd:"" name:"db" help:"Manage the database."`
	Users   usersCommands   `cmd:"" help:"Manage users."`
	Health  healthCommand   `cmd:"" help:"Check the health of a running server. Exits with 0 if the server is healthy. Otherwise prints the reason and exits with 1."`
	Secrets secretsCommands `cmd:"" help:"Manage the encryption of secrets in the database."`
	Backup  backupCommand   `cmd:"" help:"Back up the database and the files to one archive. The server may be running."`
	Restore restoreCommand  `cmd:"" help:"Fill an empty data dir and an empty database, SQLite or PostgreSQL, from an archive."`
	Version versionCommand  `cmd:"" help:"Print the version."`
}

// output contains the streams to which a command prints: results to stdout, progress and logs to stderr.
type output struct {
	stdout, stderr io.Writer
	// args are the arguments of the command line.
	args []string
}

// message returns the text of an error for the user or the log, without the URLs of databases in the arguments and in
// the variables of agentarea.
func (o *output) message(err error) string {
	return withoutURLs(err.Error(), append(valuesOf(os.Environ()), o.args...))
}

type versionCommand struct{}

// Run prints the version of this program.
func (versionCommand) Run(out *output) error {
	_, err := fmt.Fprintln(out.stdout, app.Version)
	return err
}

// exitCode is the panic value with which kong exits, for example after --help. Main recovers it.
type exitCode int

// Main runs the command line and returns the exit code: 0, or 1 after an error, which it prints to
// stderr.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exitCode:
			code = int(e)
		default:
			panic(e)
		}
	}()
	out := &output{stdout, stderr, args}
	if err := run(ctx, args, out); err != nil {
		var logged loggedError
		if !errors.As(err, &logged) {
			_, _ = fmt.Fprintf(stderr, "agentarea: %s\n", out.message(err))
		}
		return 1
	}
	return 0
}

// loggedError is an error that a command has logged, so that Main does not print it.
type loggedError struct{ error }

func run(ctx context.Context, args []string, out *output) error {
	if err := readVariableFiles(os.Environ(), os.Setenv); err != nil {
		return err
	}
	parser, err := kong.New(&commands{},
		kong.Name("agentarea"), kong.Description("A self-hosted platform for AI agents."),
		kong.Writers(out.stdout, out.stderr), kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.UsageOnError(), kong.ValueFormatter(helpWithDefault),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(out), config.DurationMapper(),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return command.Run()
}

// helpWithDefault returns the help of a flag with its default, or with the words of its unset tag.
func helpWithDefault(v *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(v)
	if value := cmp.Or(v.Default, v.Tag.Get("unset")); value != "" && v.Flag != nil && !v.IsBool() {
		help += " Default: " + value + "."
	}
	return help
}
