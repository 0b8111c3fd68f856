package app

import (
	"fmt"
	"os"
	"strings"
)

// fromFiles gives each variable AGENTAREA_X the text of the file that AGENTAREA_X_FILE
// names, less its last newline: that is how Docker, Kubernetes and systemd hand out
// secrets. environ is as os.Environ has it.
func fromFiles(environ []string, set func(name, value string) error) error {
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
			return fmt.Errorf("%s and %s are both set (keep one)", name, variable)
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
