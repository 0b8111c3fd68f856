package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/telemetry"
)

// commands is the command line.
type commands struct {
	Serve config.Settings `cmd:"" help:"Run the server."`
	Files struct {
		Move moveCommand `cmd:"" help:"Move the files of one backend to another while the server runs. What was cut goes on with the same command."`
	} `cmd:"" help:"Look after files."`
	Plugins pluginCommands   `cmd:"" help:"Look after plugins."`
	DB      databaseCommands `cmd:"" name:"db" help:"Look after the database."`
	Users   userCommands     `cmd:"" help:"Look after users."`
	Health  healthCommand    `cmd:"" help:"Ask a running server how it is: the exit code is 0, or 1 with the reason."`
	Secrets secretsCommands  `cmd:"" help:"Look after what is encrypted in the database."`
	Backup  backupCommand    `cmd:"" help:"Write one archive of all that the server keeps, while it runs or not."`
	Restore restoreCommand   `cmd:"" help:"Fill an empty data dir and an empty database, SQLite or PostgreSQL, from an archive."`
	Version struct{}         `cmd:"" help:"Print the version."`
}

// helpOf is a flag's help with what holds without the flag.
func helpOf(v *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(v)
	if without := cmp.Or(v.Default, v.Tag.Get("unset")); without != "" && v.Flag != nil && !v.IsBool() {
		help += " Default: " + without + "."
	}
	return help
}

// exited is how kong's wish to exit, after --help, comes back to Main.
type exited int

// Main runs the command line and gives the exit code: 0, or 1 for bad settings,
// a bad plugins.hcl or a failure, which stderr explains.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exited:
			code = int(e)
		default:
			panic(e)
		}
	}()
	if err := fromFiles(os.Environ(), os.Setenv); err != nil {
		return complain(stderr, err)
	}
	var c commands
	parser, err := kong.New(&c,
		kong.Name("agentarea"), kong.Description("A self-hosted platform for AI agents."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.UsageOnError(), kong.ValueFormatter(helpOf),
	)
	if err != nil {
		return complain(stderr, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return complain(stderr, err)
	}
	switch parsed.Command() {
	case "version":
		_, err = fmt.Fprintln(stdout, Version)
	case "health":
		err = c.Health.run(ctx, stdout)
	case "files move":
		err = c.Files.Move.run(ctx, stdout, stderr)
	case "plugins list":
		err = c.Plugins.List.run(stdout)
	case "plugins check":
		err = c.Plugins.Check.run(ctx, stdout, stderr)
	case "plugins describe <binary>":
		err = c.Plugins.Describe.run(ctx, stdout, stderr)
	case "plugins test <binary>":
		err = c.Plugins.Test.run()
	case "plugins new <kind> <name>":
		err = c.Plugins.New.run(stdout)
	case "plugins lock":
		err = c.Plugins.Lock.run(stdout)
	case "users reset-password <username>":
		err = c.Users.ResetPassword.run(ctx, stdout)
	case "db migrate":
		err = c.DB.Migrate.run(ctx, stdout)
	case "db status":
		err = c.DB.Status.run(ctx, stdout)
	case "db copy":
		err = c.DB.Copy.run(ctx, stdout)
	case "backup <file>":
		err = c.Backup.run(ctx, stdout)
	case "restore <file>":
		err = c.Restore.run(ctx, stdout)
	case "secrets rotate":
		err = c.Secrets.Rotate.run(ctx, stdout)
	case "secrets status":
		err = c.Secrets.Status.run(ctx, stdout)
	default:
		c.Serve.FromEnvironment(os.Getenv)
		err = serve(ctx, &c.Serve, stdout, stderr)
	}
	if err != nil {
		return complain(stderr, err)
	}
	return 0
}

func complain(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "agentarea: %v\n", err)
	return 1
}

func serve(ctx context.Context, settings *config.Settings, stdout, stderr io.Writer) error {
	// From the start on, for without it SIGHUP ends the process.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	a, err := Open(ctx, settings, newLogger(settings, stderr))
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before it was up")
		}
		return err
	}
	a.Banner(stdout)
	return a.Run(ctx, reload)
}

func newLogger(settings *config.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(settings.LogLevel)) // kong has checked it
	options := &slog.HandlerOptions{Level: level}
	if settings.LogFormat == "json" {
		return slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(telemetry.NewLogHandler(slog.NewTextHandler(w, options)))
}
