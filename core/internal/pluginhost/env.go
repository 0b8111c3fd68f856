package pluginhost

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core/internal/config"
)

// passed are the variables of the server that every plugin gets. Nothing else
// of its environment reaches one: it may hold secrets of other plugins.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// environment is what a stanza's process gets, before go-plugin adds its own.
func environment(s *config.Block, level string) []string {
	vars := map[string]string{"AGENTAREA_LOG_LEVEL": level}
	for _, name := range slices.Concat(passed, s.PassEnv) {
		if value, ok := os.LookupEnv(name); ok {
			vars[name] = value
		}
	}
	maps.Copy(vars, s.Env)
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// levelWord is the lowest level that the logger writes, so that a plugin need
// not make lines that nobody reads.
func levelWord(ctx context.Context, log *slog.Logger) string {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if log.Enabled(ctx, l) {
			return strings.ToLower(l.String())
		}
	}
	return "error"
}
