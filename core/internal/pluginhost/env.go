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

// passedEnv are the server's environment variables that every plugin receives. Other
// variables are withheld, because they may hold secrets of other plugins.
var passedEnv = []string{
	"PATH", "HOME", "TMPDIR", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// environment returns a process's variables, without those that go-plugin adds.
func environment(s *config.Block, level string) []string {
	vars := map[string]string{"AGENTAREA_LOG_LEVEL": level}
	for _, name := range slices.Concat(passedEnv, s.PassEnv) {
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

// lowestLevel returns the lowest level that the logger writes, so that plugins can skip
// records that would be discarded.
func lowestLevel(ctx context.Context, log *slog.Logger) string {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if log.Enabled(ctx, l) {
			return strings.ToLower(l.String())
		}
	}
	return "error"
}
