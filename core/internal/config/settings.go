package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
)

// Settings are the server's own: flags and environment variables. docs/configuration.md
// is made of the tags: help, default or else what holds when it is unset, and the
// page to see.
type Settings struct {
	Listen         string        `default:"localhost:8000" env:"AGENTAREA_LISTEN" help:"Address to serve on, host:port; 0.0.0.0:8000 is every address of the machine." placeholder:"ADDRESS"`
	Config         string        `default:"plugins.hcl" env:"AGENTAREA_CONFIG" help:"The plugins' file. Without a plugins.hcl here the built-in default serves, and the log says so; another name must be there." placeholder:"FILE" see:"plugins.md"`
	DataDir        string        `default:"data" env:"AGENTAREA_DATA_DIR" help:"Where the database, the secret key and the plugins' data are kept; one server at a time uses it." placeholder:"DIR"`
	DatabaseURL    string        `env:"AGENTAREA_DATABASE_URL" help:"sqlite:///path or postgres://user:password@host:5432/database; with a password better in the environment, where ps does not show it." placeholder:"URL" unset:"agentarea.db in the data dir" see:"database.md"`
	PublicURL      string        `env:"AGENTAREA_PUBLIC_URL" help:"How clients reach the server; with https, browsers are told to stay there." placeholder:"URL" unset:"http:// and the listen address"`
	MaxFileSize    Size          `default:"2GiB" env:"AGENTAREA_MAX_FILE_SIZE" help:"The most bytes of a file, as in 500MB or 2GiB." placeholder:"SIZE" see:"files.md"`
	MaxUserStorage Size          `default:"10GiB" env:"AGENTAREA_MAX_USER_STORAGE" help:"The most bytes of all files of a user; 0 is no limit." placeholder:"SIZE"`
	UploadsPerUser int           `default:"8" env:"AGENTAREA_UPLOADS_PER_USER" help:"How many uploads a user may have under way at once." placeholder:"N"`
	TaskSlots      int           `default:"8" env:"AGENTAREA_TASK_SLOTS" help:"How many tasks this server works on at once." placeholder:"N" see:"tasks.md"`
	KeepEvents     time.Duration `default:"0" env:"AGENTAREA_KEEP_EVENTS" help:"How long the events of ended runs, and what WebSockets told, can be read again, as 720h; 0 is for ever." placeholder:"DURATION"`
	KeepRuns       time.Duration `default:"0" env:"AGENTAREA_KEEP_RUNS" help:"How long ended runs and tasks are kept; 0 is for ever." placeholder:"DURATION"`
	KeepSessions   time.Duration `default:"0" env:"AGENTAREA_KEEP_SESSIONS" help:"How long sessions are kept in which nothing is said any more; 0 is for ever." placeholder:"DURATION"`
	KeepAudit      time.Duration `default:"0" env:"AGENTAREA_KEEP_AUDIT" help:"How long the rows of the audit are kept; 0 is for ever." placeholder:"DURATION" see:"accounts.md"`
	MCPListen      string        `name:"mcp-listen" env:"AGENTAREA_MCP_LISTEN" help:"A second address, host:port, that serves /mcp/ alone." placeholder:"ADDRESS" unset:"off" see:"mcp.md"`
	MCPCommands    []string      `name:"mcp-commands" env:"AGENTAREA_MCP_COMMANDS" help:"The only commands that MCP servers may be, with commas." placeholder:"COMMAND" unset:"any that an admin names"`
	AdminUsername  string        `default:"admin" env:"AGENTAREA_ADMIN_USERNAME" help:"The first admin's name, used at the first start only." placeholder:"NAME"`
	WatchConfig    bool          `default:"true" negatable:"" env:"AGENTAREA_WATCH_CONFIG" help:"Reload plugins.hcl when the file changes; SIGHUP and POST /v1/plugins/reload do in any case." see:"plugins.md"`
	LogLevel       string        `default:"info" enum:"debug,info,warn,error" env:"AGENTAREA_LOG_LEVEL" help:"How much is logged, of ${enum}."`
	LogFormat      string        `default:"text" enum:"text,json" env:"AGENTAREA_LOG_FORMAT" help:"How it is logged, of ${enum}; one line an entry in either."`

	RateLimitPerMinute int        `default:"100" env:"AGENTAREA_RATE_LIMIT_PER_MINUTE" help:"How many requests a minute a user may send, or an address without a token; 0 is no limit." placeholder:"N"`
	RateLimitBurst     int        `default:"20" env:"AGENTAREA_RATE_LIMIT_BURST" help:"How many of them within a second; 0 is no limit." placeholder:"N"`
	RateLimitRoles     RoleLimits `env:"AGENTAREA_RATE_LIMIT_ROLES" help:"Other limits for roles, a minute and within a second, as in admin=600/60,viewer=50/10." placeholder:"ROLE=N/N,…"`
	TrustedProxies     Networks   `env:"AGENTAREA_TRUSTED_PROXIES" help:"Addresses and ranges of proxies whose X-Forwarded-For is believed, with commas; none unless set." placeholder:"NETWORK,…"`

	// Secrets come from the environment only, for a command line can be read by others.
	AdminPassword Secret `env:"AGENTAREA_ADMIN_PASSWORD" help:"The first admin's password, used at the first start only." hidden:"" kong:"-" unset:"made up, and printed once"`
	SecretKey     Secret `env:"AGENTAREA_SECRET_KEY" help:"32 bytes or more in hex or base64, from which the keys of tokens and secrets are derived; openssl rand -hex 32 makes one. With commas, older keys that are still good stand after the current one." hidden:"" kong:"-" unset:"made up, and kept in the data dir" see:"secrets.md"`
	// MetricsToken is what who reads /metrics must send; empty lets everybody.
	MetricsToken Secret `env:"AGENTAREA_METRICS_TOKEN" help:"What /metrics wants as a bearer token." hidden:"" kong:"-" unset:"it is open" see:"telemetry.md"`
}

// Secret is a text that is never printed.
type Secret string

func (Secret) String() string { return "***" }

// GoString keeps %#v from printing it.
func (Secret) GoString() string { return "***" }

// LogValue keeps slog from printing it.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// FromEnvironment fills in the settings that no flag has.
func (s *Settings) FromEnvironment(getenv func(string) string) {
	s.AdminPassword = Secret(getenv("AGENTAREA_ADMIN_PASSWORD"))
	s.SecretKey = Secret(getenv("AGENTAREA_SECRET_KEY"))
	s.MetricsToken = Secret(getenv("AGENTAREA_METRICS_TOKEN"))
}

// Check says what is wrong with the settings, by flag and what to write instead.
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
			return fmt.Errorf("--public-url %q: not a URL (write https://agents.example.com)", s.PublicURL)
		}
	}
	if scheme, _, _ := strings.Cut(s.DatabaseURL, "://"); s.DatabaseURL != "" && scheme != "sqlite" && scheme != "postgres" && scheme != "postgresql" {
		return fmt.Errorf("--database-url: write sqlite:///path or postgres://user:password@host:5432/database (or leave it out for agentarea.db in the data dir)")
	}
	if s.MaxFileSize < 1 {
		return fmt.Errorf("--max-file-size: must be at least 1 byte (write 2GiB, or leave it out)")
	}
	if s.UploadsPerUser < 1 {
		return fmt.Errorf("--uploads-per-user %d: must be at least 1 (write 8, or leave it out)", s.UploadsPerUser)
	}
	if s.RateLimitPerMinute < 0 {
		return fmt.Errorf("--rate-limit-per-minute %d: must not be negative (write 100, or 0 for no limit)", s.RateLimitPerMinute)
	}
	if s.RateLimitBurst < 0 {
		return fmt.Errorf("--rate-limit-burst %d: must not be negative (write 20, or 0 for no limit)", s.RateLimitBurst)
	}
	if s.TaskSlots < 1 {
		return fmt.Errorf("--task-slots %d: must be at least 1 (write 8, or leave it out)", s.TaskSlots)
	}
	for flag, keep := range map[string]time.Duration{
		"--keep-events": s.KeepEvents, "--keep-runs": s.KeepRuns, "--keep-sessions": s.KeepSessions, "--keep-audit": s.KeepAudit,
	} {
		if keep < 0 {
			return fmt.Errorf("%s %s: must not be negative (write 720h, or 0 for ever)", flag, keep)
		}
	}
	if s.SecretKey != "" {
		if _, err := s.Keys(); err != nil {
			return err
		}
	}
	return nil
}

// Keys decodes the secret keys: the first is the current one, the others are older.
func (s *Settings) Keys() ([][]byte, error) {
	keys, err := ParseKeys(string(s.SecretKey))
	if err != nil {
		return nil, fmt.Errorf("AGENTAREA_SECRET_KEY: %w (make one with: openssl rand -hex 32)", err)
	}
	return keys, nil
}
