package cli

import (
	"fmt"
	"os"
	"strings"
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
		if !ok || !strings.HasPrefix(name, "AGENTAREA_") || path == "" {
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
