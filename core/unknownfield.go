package core

import (
	"fmt"
	"strings"
)

// maxEditDistance is the Levenshtein distance from which UnknownField no longer considers two names similar.
const maxEditDistance = 3

// UnknownField returns the issue of a field that does not exist. It suggests the most similar of the
// known names, or lists them all if none is similar.
func UnknownField(name string, known []string) string {
	issue := fmt.Sprintf("Unknown field %q", name)
	if len(known) == 0 || len(name) > 64 {
		return issue
	}
	best, distance := "", maxEditDistance
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), k); d < min(distance, len(k)) {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("%s. Did you mean %q?", issue, best)
	}
	return issue + ". Known fields: " + strings.Join(known, ", ")
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
