package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
)

// Settings are the settings of the server, from flags and environment variables. docs/configuration.md is
// generated from the tags: help, default, unset (what applies without a value) and see (a page of docs/).
type Settings struct {
	Listen         string        `default:"localhost:8000" env:"AGENTAREA_LISTEN" help:"Address to listen on, host:port. Use 0.0.0.0:8000 to listen on all interfaces." placeholder:"ADDRESS"`
	Config         string        `default:"plugins.hcl" env:"AGENTAREA_CONFIG" help:"The plugin configuration. If plugins.hcl does not exist, the server logs a message and uses the built-in default. A file with another name must exist." placeholder:"FILE" see:"plugins.md"`
	DataDir        string        `default:"data" env:"AGENTAREA_DATA_DIR" help:"Folder for the database, the secret key and the plugins' data. Only one server at a time can use it." placeholder:"DIR"`
	DatabaseURL    string        `env:"AGENTAREA_DATABASE_URL" help:"sqlite:///path or postgres://user:password@host:5432/database. Set a URL with a password in the environment, because ps shows flags." placeholder:"URL" unset:"agentarea.db in the data dir" see:"database.md"`
	DatabaseWait   time.Duration `default:"60s" env:"AGENTAREA_DATABASE_WAIT" help:"How long the server waits at its start while PostgreSQL does not accept connections; 0 means not at all." placeholder:"DURATION" see:"database.md"`
	PublicURL      string        `env:"AGENTAREA_PUBLIC_URL" help:"URL at which clients reach the server. If it starts with https, browsers are told to use only HTTPS (HSTS)." placeholder:"URL" unset:"http:// and the address of --listen"`
	MaxFileSize    Size          `default:"2GiB" env:"AGENTAREA_MAX_FILE_SIZE" help:"Maximum size of a file, such as 500MB or 2GiB." placeholder:"SIZE" see:"files.md"`
	MaxUserStorage Size          `default:"10GiB" env:"AGENTAREA_MAX_USER_STORAGE" help:"Maximum total size of all files of one user, such as 10GiB; 0 means no limit." placeholder:"SIZE"`
	MaxUserData    Size          `default:"1GiB" env:"AGENTAREA_MAX_USER_DATA" help:"Maximum total size of what one user stores in the database, such as 1GiB; 0 means no limit." placeholder:"SIZE" see:"operations.md"`
	UploadsPerUser int           `default:"8" env:"AGENTAREA_UPLOADS_PER_USER" help:"Maximum number of concurrent uploads of one user on this server. Each server counts separately." placeholder:"N"`
	MaxAgents      int           `default:"1000" env:"AGENTAREA_MAX_AGENTS" help:"Maximum number of agents that each user owns; 0 means no limit." placeholder:"N" see:"operations.md"`
	MaxMCPServers  int           `name:"max-mcp-servers" default:"100" env:"AGENTAREA_MAX_MCP_SERVERS" help:"Maximum number of MCP servers that each user owns; 0 means no limit." placeholder:"N" see:"operations.md"`
	MaxSessions    int           `default:"10000" env:"AGENTAREA_MAX_SESSIONS" help:"Maximum number of chat sessions of each user; 0 means no limit." placeholder:"N" see:"operations.md"`
	MaxAPIKeys     int           `name:"max-api-keys" default:"100" env:"AGENTAREA_MAX_API_KEYS" help:"Maximum number of API keys of each user; 0 means no limit." placeholder:"N" see:"operations.md"`
	TaskSlots      int           `default:"8" env:"AGENTAREA_TASK_SLOTS" help:"Maximum number of tasks that this server runs at the same time." placeholder:"N" see:"tasks.md"`
	TaskTimeout    time.Duration `default:"1h" env:"AGENTAREA_TASK_TIMEOUT" help:"Timeout of an attempt of a task if neither the task nor its agent sets one, such as 30m; at most 24h." placeholder:"DURATION" see:"tasks.md"`
	KeepEvents     time.Duration `default:"0" env:"AGENTAREA_KEEP_EVENTS" help:"How long to keep the events of ended runs and WebSocket messages for replay, such as 30d or 12h; 0 means forever." placeholder:"DURATION"`
	KeepRuns       time.Duration `default:"0" env:"AGENTAREA_KEEP_RUNS" help:"How long to keep ended runs and tasks, such as 30d; 0 means forever." placeholder:"DURATION"`
	KeepSessions   time.Duration `default:"0" env:"AGENTAREA_KEEP_SESSIONS" help:"How long to keep a session after its last message, such as 30d; 0 means forever." placeholder:"DURATION"`
	KeepAudit      time.Duration `default:"0" env:"AGENTAREA_KEEP_AUDIT" help:"How long to keep audit records, such as 30d; 0 means forever." placeholder:"DURATION" see:"accounts.md"`
	MaxLoginAge    time.Duration `default:"90d" env:"AGENTAREA_MAX_LOGIN_AGE" help:"How long after a sign-in its refresh tokens work at most. Then the user must sign in again." placeholder:"DURATION" see:"accounts.md"`
	MCPListen      string        `name:"mcp-listen" env:"AGENTAREA_MCP_LISTEN" help:"A second address, host:port, that serves only /mcp/." placeholder:"ADDRESS" unset:"off" see:"mcp.md"`
	MCPCommands    []string      `name:"mcp-commands" env:"AGENTAREA_MCP_COMMANDS" help:"Comma-separated allow-list of commands for MCP servers." placeholder:"COMMAND" unset:"any command of an admin"`
	AdminUsername  string        `default:"admin" env:"AGENTAREA_ADMIN_USERNAME" help:"Name of the first admin. Used only at the first start." placeholder:"NAME"`
	WatchConfig    bool          `default:"true" negatable:"" env:"AGENTAREA_WATCH_CONFIG" help:"Reload plugins.hcl when the file changes. SIGHUP and POST /v1/plugins/reload always reload it." see:"plugins.md"`
	LogLevel       string        `default:"info" enum:"debug,info,warn,error" env:"AGENTAREA_LOG_LEVEL" help:"Minimum level of log messages: ${enum}."`
	LogFormat      string        `default:"text" enum:"text,json" env:"AGENTAREA_LOG_FORMAT" help:"Format of log messages: ${enum}. Both write one line per message."`

	RateLimitPerMinute int        `default:"100" env:"AGENTAREA_RATE_LIMIT_PER_MINUTE" help:"Maximum number of requests per minute per user, or per IP address for requests without a token; 0 means no limit." placeholder:"N"`
	RateLimitBurst     int        `default:"20" env:"AGENTAREA_RATE_LIMIT_BURST" help:"Maximum number of requests per second; 0 means no limit." placeholder:"N"`
	RateLimitRoles     RoleLimits `env:"AGENTAREA_RATE_LIMIT_ROLES" help:"Limits per minute and per second for individual roles, such as admin=600/60,viewer=50/10." placeholder:"ROLE=N/N,…" unset:"the limits above"`
	TrustedProxies     Networks   `env:"AGENTAREA_TRUSTED_PROXIES" help:"Comma-separated IP addresses and networks of proxies whose X-Forwarded-For header is trusted." placeholder:"NETWORK,…" unset:"none"`

	DrainDelay time.Duration `default:"5s" env:"AGENTAREA_DRAIN_DELAY" help:"How long the server accepts requests after SIGTERM, while /health/ready is 503, so that proxies can switch to other servers; 0 means not at all." placeholder:"DURATION" see:"operations.md"`

	// Secrets come only from the environment, because other users can read the command line.
	AdminPassword Secret `env:"AGENTAREA_ADMIN_PASSWORD" help:"Password of the first admin. Used only at the first start." hidden:"" kong:"-" unset:"generated, and printed once"`
	SecretKey     Secret `env:"AGENTAREA_SECRET_KEY" help:"At least 32 bytes in hex or base64. The keys for tokens and secrets are derived from it. Generate one with openssl rand -hex 32. Append older keys that must stay valid, separated by commas." hidden:"" kong:"-" unset:"generated, and stored in the data dir" see:"secrets.md"`
	// MetricsToken is the bearer token that /metrics requires. If it is empty, /metrics is public.
	MetricsToken Secret `env:"AGENTAREA_METRICS_TOKEN" help:"Bearer token that /metrics requires." hidden:"" kong:"-" unset:"none: /metrics is public" see:"telemetry.md"`
}

// LogFormatJSON is the LogFormat with one JSON object per line. The other one is text.
const LogFormatJSON = "json"

// Secret is a string that fmt and slog print as ***.
type Secret string

// String returns ***.
func (Secret) String() string { return "***" }

// GoString returns ***, so that %#v does not print the secret.
func (Secret) GoString() string { return "***" }

// LogValue returns ***, so that slog does not print the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// FromEnvironment sets the settings that have no flag.
func (s *Settings) FromEnvironment(getenv func(string) string) {
	s.AdminPassword = Secret(getenv("AGENTAREA_ADMIN_PASSWORD"))
	s.SecretKey = Secret(getenv("AGENTAREA_SECRET_KEY"))
	s.MetricsToken = Secret(getenv("AGENTAREA_METRICS_TOKEN"))
}

// Check returns an error that names the flag of the first invalid setting and what to write instead.
func (s *Settings) Check() error {
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return fmt.Errorf("--listen %q: %w (write host:port, as in localhost:8000)", s.Listen, err)
	}
	if s.MCPListen != "" {
		if _, _, err := net.SplitHostPort(s.MCPListen); err != nil {
			return fmt.Errorf("--mcp-listen %q: %w (write host:port, as in localhost:81)", s.MCPListen, err)
		}
	}
	if s.PublicURL != "" {
		u, err := url.Parse(s.PublicURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("--public-url %q: not an absolute URL (write https://agents.example.com)", s.PublicURL)
		}
	}
	if scheme, _, _ := strings.Cut(s.DatabaseURL, "://"); s.DatabaseURL != "" && scheme != "sqlite" &&
		scheme != "postgres" && scheme != "postgresql" {
		return fmt.Errorf("--database-url: must be sqlite:///path or postgres://user:password@host:5432/database (omit it " +
			"to use agentarea.db in the data dir)")
	}
	if s.DatabaseWait < 0 {
		return fmt.Errorf("--database-wait %s: must not be negative (write 60s, or 0 for no wait)", s.DatabaseWait)
	}
	if s.MaxFileSize < 1 {
		return fmt.Errorf("--max-file-size: must be at least 1 byte (write 2GiB, or omit it)")
	}
	if s.UploadsPerUser < 1 {
		return fmt.Errorf("--uploads-per-user %d: must be at least 1 (write 8, or omit it)", s.UploadsPerUser)
	}
	if s.RateLimitPerMinute < 0 {
		return fmt.Errorf("--rate-limit-per-minute %d: must not be negative (write 100, or 0 for no limit)",
			s.RateLimitPerMinute)
	}
	if s.RateLimitBurst < 0 {
		return fmt.Errorf("--rate-limit-burst %d: must not be negative (write 20, or 0 for no limit)", s.RateLimitBurst)
	}
	if s.TaskSlots < 1 {
		return fmt.Errorf("--task-slots %d: must be at least 1 (write 8, or omit it)", s.TaskSlots)
	}
	if s.TaskTimeout < time.Second || s.TaskTimeout > 24*time.Hour {
		return fmt.Errorf("--task-timeout %s: must be 1s to 24h (write 1h, or omit it)", s.TaskTimeout)
	}
	for flag, limit := range map[string]int{
		"--max-agents": s.MaxAgents, "--max-mcp-servers": s.MaxMCPServers,
		"--max-sessions": s.MaxSessions, "--max-api-keys": s.MaxAPIKeys,
	} {
		if limit < 0 {
			return fmt.Errorf("%s %d: must not be negative (write 1000, or 0 for no limit)", flag, limit)
		}
	}
	for flag, keep := range map[string]time.Duration{
		"--keep-events": s.KeepEvents, "--keep-runs": s.KeepRuns,
		"--keep-sessions": s.KeepSessions, "--keep-audit": s.KeepAudit,
	} {
		if keep < 0 {
			return fmt.Errorf("%s %s: must not be negative (write 30d, or 0 to keep everything)", flag, keep)
		}
	}
	if s.DrainDelay < 0 || s.DrainDelay > 10*time.Minute {
		return fmt.Errorf("--drain-delay %s: must be 0s to 10m (write 5s, or omit it)", s.DrainDelay)
	}
	if s.MaxLoginAge < time.Minute {
		return fmt.Errorf("--max-login-age %s: must be at least 1m (write 90d, or omit it)", s.MaxLoginAge)
	}
	if s.SecretKey != "" {
		if _, err := s.Keys(); err != nil {
			return err
		}
	}
	return nil
}

// Keys decodes the secret keys, the current key first.
func (s *Settings) Keys() ([][]byte, error) {
	keys, err := ParseKeys(string(s.SecretKey))
	if err != nil {
		return nil, fmt.Errorf("AGENTAREA_SECRET_KEY: %w (generate one with openssl rand -hex 32)", err)
	}
	return keys, nil
}
