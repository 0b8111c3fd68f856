#!/usr/bin/env bash
# Runs a go test command with the programs that make build has built, and then lists the tests
# that were skipped because something is not installed: test.sh go test ./...
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export AGENTAREA_TEST_SKIPPED_LOG=$log AGENTAREA_TEST_BINARIES=$PWD/bin

"$@"
status=$?

if [ -s "$log" ]; then
  echo
  echo "Some tests were skipped, because these are missing:"
  sort "$log" | uniq -c | sed -E 's/^ *([0-9]+) (.*)/  \2 (tests: \1)/'
  echo "To install them, run: make test-setup"
fi
exit $status
