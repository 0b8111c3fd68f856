package pluginhost

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
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
	if limit := heapLimit(debug.SetMemoryLimit(-1), int64(s.MaxMemory)); limit > 0 {
		vars["GOMEMLIMIT"] = strconv.FormatInt(limit, 10)
	}
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

// heapLimit returns the limit of a plugin's Go heap in bytes, or 0 for none: a fifth of the server's limit, or 80 % of
// the plugin's max_memory if that is less. Without a limit, a plugin that handles large messages keeps several times
// the memory that it needs, and the server and its plugins share the memory of one control group.
func heapLimit(server, maxMemory int64) int64 {
	limit := int64(math.MaxInt64)
	if server < math.MaxInt64 {
		limit = server / 5
	}
	if maxMemory > 0 {
		limit = min(limit, maxMemory/10*8)
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
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
