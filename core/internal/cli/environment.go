package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/storage"
)

// readVariableFiles sets each variable AGENTAREA_X to the text of the file that AGENTAREA_X_FILE names,
// without its trailing newlines. Docker, Kubernetes and systemd pass secrets in such files. environ has
// the format of os.Environ.
func readVariableFiles(environ []string, set func(name, value string) error) error {
	values := map[string]string{}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		values[name] = value
	}
	for variable, path := range values {
		name, ok := strings.CutSuffix(variable, "_FILE")
		if !ok || !strings.HasPrefix(name, variablePrefix) || path == "" {
			continue
		}
		if values[name] != "" {
			return fmt.Errorf("%s and %s are both set: unset one of them", name, variable)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
		if err := set(name, strings.TrimRight(string(text), "\r\n")); err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
	}
	return nil
}

// variablePrefix begins the names of all environment variables of agentarea.
const variablePrefix = "AGENTAREA_"

// valuesOf returns the values of the variables of agentarea. environ has the format of os.Environ.
func valuesOf(environ []string) []string {
	var values []string
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, variablePrefix) {
			values = append(values, value)
		}
	}
	return values
}

// withoutURLs returns a message in which the URLs of databases among the values are replaced. A URL that was given in
// the wrong place, such as another flag or variable, appears in the messages of the command line.
func withoutURLs(message string, values []string) string {
	for _, value := range values {
		if flag, rest, ok := strings.Cut(value, "="); ok && strings.HasPrefix(flag, "-") {
			value = rest
		}
		if storage.PublicURL(value) == value {
			continue // it has no password
		}
		if scheme, _, ok := strings.Cut(value, "://"); ok && strings.Contains(value, "@") && !strings.Contains(scheme, " ") {
			quoted := strconv.Quote(value)
			for _, form := range []string{value, quoted[1 : len(quoted)-1], filepath.Clean(value)} {
				message = strings.ReplaceAll(message, form, scheme+"://…")
			}
		}
	}
	return message
}
