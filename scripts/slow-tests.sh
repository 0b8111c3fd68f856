#!/usr/bin/env bash
# Prints the arguments with which go test runs the slow tests: slow-tests.sh PACKAGE...
# These are the test functions that call testenv.Slow, Rounds, CrashRounds or Promise, or that read
# AGENTAREA_TEST_SLOW themselves.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=$(go list -f '{{range .TestGoFiles}}{{$.Dir}}/{{.}} {{end}}{{range .XTestGoFiles}}{{$.Dir}}/{{.}} {{end}}' "$@" |
  xargs awk '
    /^func Test/ { name = $2; sub(/\(.*/, "", name) }
    /^func / && !/^func Test/ { name = "" }
    /testenv\.(Slow|Rounds|CrashRounds|Promise)\(|"AGENTAREA_TEST_SLOW"/ {
      if (name == "" && !/AGENTAREA/) { print FILENAME ":" FNR ": call it in the test function itself" >"/dev/stderr"; exit 1 }
      if (name == "") next
      folder = FILENAME; sub(/\/[^\/]*$/, "", folder); print folder, name
    }')
[ -n "$tests" ] || { echo "there are no slow tests" >&2; exit 1; }
names=$(cut -d' ' -f2 <<<"$tests" | sort -u | paste -s -d'|' -)
echo "-run ^($names)\$" $(cut -d' ' -f1 <<<"$tests" | sort -u)
