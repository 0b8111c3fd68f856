package core

import (
	"fmt"
	"strings"
)

// maxEditDistance is the Levenshtein distance from which mostSimilar no longer considers two names similar.
const maxEditDistance = 3

// UnknownField returns the issue of a field that does not exist. It suggests the most similar of the
// known names, or lists them all if none is similar.
func UnknownField(name string, known []string) string {
	issue := fmt.Sprintf("Unknown field %q", name)
	if len(known) == 0 || len(name) > maxSuggested {
		return issue
	}
	if best := mostSimilar(name, known); best != "" {
		return fmt.Sprintf("%s. Did you mean %q?", issue, best)
	}
	return issue + ". Known fields: " + strings.Join(known, ", ")
}

// UnknownParameter returns the issue of a query parameter that does not exist. It lists the known names and suggests the
// most similar one, if one is similar.
func UnknownParameter(name string, known []string) string {
	issue := fmt.Sprintf("Unknown query parameter %q.", name)
	if len(known) == 0 {
		return issue + " This endpoint has no query parameters."
	}
	if best := mostSimilar(name, known); best != "" {
		issue += fmt.Sprintf(" Did you mean %q?", best)
	}
	return issue + " Known parameters: " + strings.Join(known, ", ")
}

// maxSuggested is the length in bytes above which a name is not compared with the known ones.
const maxSuggested = 64

// mostSimilar returns the known name that is most similar to name, or "" if none is similar.
func mostSimilar(name string, known []string) string {
	if len(name) > maxSuggested {
		return ""
	}
	best, distance := "", maxEditDistance
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), k); d < min(distance, len(k)) {
			best, distance = k, d
		}
	}
	return best
}

// editDistance returns the Levenshtein distance of two strings in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
