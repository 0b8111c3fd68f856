#!/usr/bin/env bash
# Runs a go test command with the programs that make build has built, and then lists the tests
# that were skipped because something is not installed: test.sh go test ./...
set -uo pipefail
cd "$(dirname "$0")/.."

# The databases of the short forms are small, but are created and synced to disk hundreds of times. They are kept
# in memory where 8 GiB of it are free, which saves a sixth of the time. The long forms use the disk, and measure
# the memory of servers, which files in memory would count towards.
in_memory() {
  [ -z "${TMPDIR:-}${AGENTAREA_TEST_SLOW:-}${AGENTAREA_TEST_RACE_BINARIES:-}" ] || return
  awk '/^MemAvailable/ {exit $2 < 8*2^20}' /proc/meminfo || return
  df --output=avail /dev/shm | awk 'END {exit $1 < 8*2^20}' || return
  memory=$(mktemp -d /dev/shm/agentarea-test.XXXXXX) && chmod 711 "$memory" || return # PostgreSQL has a user of its own
  printf '#!/bin/sh\n' >"$memory/program" && chmod +x "$memory/program" && "$memory/program"
}
memory=
trap 'rm -rf "${log:-}" "${memory:-}"' EXIT
if in_memory 2>/dev/null; then export TMPDIR=$memory; fi
log=$(mktemp)
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
