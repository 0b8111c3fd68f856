package storage

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentarea/agentarea/core"
)

// postgresForm is the form of a database URL in error messages.
const postgresForm = "use postgres://user:password@host:5432/database" //nolint:gosec // no credentials

// postgresParameters are the parameters of a database URL, as libpq names them, with their values if there are
// few. The value of ignoredParameter means that a parameter is accepted and has no effect.
var postgresParameters = map[string][]string{
	"application_name":     nil,
	"channel_binding":      {"prefer", "require", "disable"},
	"connect_timeout":      nil,
	"host":                 nil,
	"options":              nil,
	"port":                 nil,
	"require_auth":         nil,
	"sslcert":              nil,
	"sslkey":               nil,
	"sslmode":              {"verify-full", "verify-ca", "require", "prefer", "allow", "disable"},
	"sslnegotiation":       {"postgres", "direct"},
	"sslpassword":          nil,
	"sslrootcert":          nil,
	"sslsni":               {"0", "1"},
	"target_session_attrs": {"read-write", "primary", "any"},

	"gssencmode":          {ignoredParameter},
	"keepalives":          {ignoredParameter},
	"keepalives_count":    {ignoredParameter},
	"keepalives_idle":     {ignoredParameter},
	"keepalives_interval": {ignoredParameter},
	"sslcompression":      {ignoredParameter},
	"tcp_user_timeout":    {ignoredParameter},
}

const ignoredParameter = "(ignored)"

// maxConnectTimeout is the maximum of connect_timeout in seconds.
const maxConnectTimeout = 60

// postgresURL is a database URL in parts, which are decoded. Hosts and ports are comma-separated lists of the same
// length.
type postgresURL struct {
	user, password, hosts, ports, database string
	parameters                             map[string]string
}

// parsePostgres parses a URL such as postgres://user:password@host:port/database?sslmode=…. Its errors contain
// nothing of the URL except for the names of known parameters and the paths of files, because the password of a
// malformed URL can be anywhere in it.
func parsePostgres(text string) (*postgresDialect, error) {
	u, err := splitPostgresURL(text)
	if err != nil {
		return nil, err
	}
	settings := maps.Clone(u.parameters)
	settings["user"], settings["password"], settings["dbname"] = u.user, u.password, u.database
	settings["host"], settings["port"] = u.hosts, u.ports
	defaults := map[string]string{
		"application_name": "agentarea", "connect_timeout": strconv.Itoa(int(connectTimeout.Seconds())),
		"sslmode": "verify-full",
	}
	if u.local() {
		defaults["sslmode"] = "disable"
	}
	if strings.Contains(u.hosts, ",") {
		defaults["target_session_attrs"] = "read-write" // the server cannot use a standby
	}
	for name, value := range defaults {
		if settings[name] == "" {
			settings[name] = value
		}
	}
	config, err := pgxpool.ParseConfig(keywordValues(settings))
	if err != nil {
		return nil, u.invalid() // err contains most of the URL
	}
	return &postgresDialect{config: config, name: core.NewID("db")}, nil
}

// splitPostgresURL splits and checks a URL. It accepts no @ after the host, so a password with such a
// character that is not encoded cannot become a part of a host or a parameter unnoticed.
func splitPostgresURL(text string) (*postgresURL, error) {
	_, rest, _ := strings.Cut(text, "://")
	account, rest, found := strings.Cut(rest, "@")
	switch {
	case !found || strings.Contains(account, "/"):
		return nil, errors.New("the database URL has no user: " + postgresForm +
			" (encode special characters of the password: / as %2F, @ as %40)")
	case strings.Contains(rest, "@"):
		return nil, errors.New("the database URL has a second @: encode special characters of the password: " +
			"@ as %40, / as %2F, : as %3A")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	user, password, _ := strings.Cut(account, ":")
	u := &postgresURL{}
	for _, part := range []struct {
		to   *string
		text string
	}{{&u.user, user}, {&u.password, password}, {&u.database, database}} {
		if err := decode(part.to, part.text); err != nil {
			return nil, err
		}
	}
	if u.user == "" || u.database == "" {
		return nil, errors.New("the database URL has no user or no database: " + postgresForm)
	}
	var err error
	if u.parameters, err = splitParameters(query); err != nil {
		return nil, err
	}
	return u, u.splitHosts(authority)
}

// decode stores the text without its percent encoding.
func decode(to *string, text string) error {
	decoded, err := url.PathUnescape(text)
	if err != nil || strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("the database URL is not valid: " + postgresForm + ", and encode a % of the password as %25")
	}
	*to = decoded
	return nil
}

// parameterName matches what can be the name of a parameter.
var parameterName = regexp.MustCompile(`^[a-z][a-z_]{2,30}$`)

// splitParameters returns the parameters that have an effect.
func splitParameters(query string) (map[string]string, error) {
	parameters := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		values, known := postgresParameters[name]
		switch {
		case name == "user" || name == "password" || name == "dbname":
			return nil, fmt.Errorf("the database URL has %s as a parameter: %s", name, postgresForm)
		case name == "pgbouncer":
			return nil, errors.New("the database URL has the parameter pgbouncer: " + needsSessions)
		case !known && parameterName.MatchString(name):
			return nil, fmt.Errorf("the database URL has an unknown parameter %q: remove it (known: %s)",
				name, knownParameters())
		case !known:
			return nil, errors.New("the database URL has an unknown parameter: remove it (known: " + knownParameters() + ")")
		}
		if err := decode(&value, value); err != nil {
			return nil, err
		}
		if slices.Contains(values, ignoredParameter) {
			continue
		}
		if len(values) > 0 && !slices.Contains(values, value) {
			return nil, fmt.Errorf("%s of the database URL is not valid: use %s", name, orList(values))
		}
		if seconds, err := strconv.Atoi(value); name == "connect_timeout" &&
			(err != nil || seconds < 1 || seconds > maxConnectTimeout) {
			return nil, fmt.Errorf("connect_timeout of the database URL is not valid: use a number of seconds from 1 to %d",
				maxConnectTimeout)
		}
		parameters[name] = value
	}
	return parameters, nil
}

// knownParameters returns the names of the parameters that have an effect.
func knownParameters() string {
	var names []string
	for name, values := range postgresParameters {
		if !slices.Contains(values, ignoredParameter) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// orList returns text such as "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// splitHosts splits host:port,host:port, unless the parameters host and port are set.
func (u *postgresURL) splitHosts(authority string) error {
	var hosts, ports []string
	for one := range strings.SplitSeq(authority, ",") {
		host, port := one, ""
		if i := strings.LastIndex(one, ":"); i > strings.LastIndex(one, "]") {
			host, port = one[:i], one[i+1:]
		}
		if err := decode(&host, strings.Trim(host, "[]")); err != nil {
			return err
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if list, ok := u.parameters["host"]; ok {
		hosts = strings.Split(list, ",")
		if len(ports) != len(hosts) {
			ports = slices.Repeat(ports[:1], len(hosts))
		}
	}
	if list, ok := u.parameters["port"]; ok {
		ports = strings.Split(list, ",")
	}
	if len(ports) == 1 {
		ports = slices.Repeat(ports, len(hosts))
	}
	if len(ports) != len(hosts) {
		return fmt.Errorf("the database URL has %d hosts but %d ports: give one port for all hosts, or one for each",
			len(hosts), len(ports))
	}
	for i, port := range ports {
		if port == "" {
			ports[i] = "5432"
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("the port of the database URL is not a number from 1 to 65535: " + postgresForm)
		}
		if hosts[i] == "" {
			return errors.New("the database URL has no host: " + postgresForm)
		}
	}
	u.hosts, u.ports = strings.Join(hosts, ","), strings.Join(ports, ",")
	return nil
}

// local reports whether all hosts are this machine.
func (u *postgresURL) local() bool {
	for host := range strings.SplitSeq(u.hosts, ",") {
		if !strings.HasPrefix(host, "/") && host != "localhost" && !net.ParseIP(host).IsLoopback() {
			return false
		}
	}
	return true
}

// invalid returns the error for settings that pgx does not accept. That is mostly a file.
func (u *postgresURL) invalid() error {
	files := false
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		path := u.parameters[name]
		if path == "" || name == "sslrootcert" && path == "system" {
			continue
		}
		files = true
		if _, err := os.ReadFile(path); err != nil {
			return fmt.Errorf("%s of the database URL: %w", name, err)
		}
	}
	switch {
	case (u.parameters["sslcert"] == "") != (u.parameters["sslkey"] == ""):
		return errors.New("the database URL has only one of sslcert and sslkey: a client certificate needs both files")
	case files:
		return errors.New("the files in sslrootcert, sslcert and sslkey of the database URL are not PEM files with " +
			"certificates and the certificate's private key (sslpassword is the password of an encrypted key)")
	case u.parameters["require_auth"] != "":
		return errors.New("require_auth of the database URL is not valid: use scram-sha-256, md5, password or none")
	}
	return errors.New("the database URL is not valid: " + postgresForm)
}

// keywordValues returns the settings in the form of libpq's connection strings.
func keywordValues(settings map[string]string) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		b.WriteString(name + "='" + escape.Replace(settings[name]) + "' ")
	}
	return b.String()
}

// PublicURL returns a database URL without its password and parameters. It returns only the scheme of a URL that
// is not valid.
func PublicURL(text string) string {
	if path, ok := SQLitePath(text); ok {
		return "sqlite://" + path
	}
	u, err := splitPostgresURL(text)
	if !isPostgres(text) || err != nil {
		return "(not a valid URL)"
	}
	var hosts []string
	ports := strings.Split(u.ports, ",")
	for i, host := range strings.Split(u.hosts, ",") {
		hosts = append(hosts, net.JoinHostPort(host, ports[i]))
	}
	return "postgres://" + u.user + "@" + strings.Join(hosts, ",") + "/" + u.database
}

// isPostgres reports whether a database URL is one of PostgreSQL.
func isPostgres(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}
