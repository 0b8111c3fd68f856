#!/usr/bin/env bash
# Runs all tests in their short form: all-tests.sh RACE-FLAGS PACKAGE..., with no or several flags.
# Tests that drive programs run without the race detector, which would only watch the tests themselves.
# The packages that take longest come first, so that all cores are busy until the end.
set -uo pipefail
race=$1
shift
all=$(go list "$@") || exit
programs=$(grep -E 'agentarea/(test|plugins|examples|sdk/plugintest)(/|$)' <<<"$all")
units=$(grep -vxF "$programs" <<<"$all")

# first prints packages, beginning with those that match a pattern: first PATTERN PACKAGES
first() {
  grep -E "$1" <<<"$2"
  grep -vE "$1" <<<"$2"
}

# Tests often wait, so one package more than there are cores runs at once.
p=$(($(getconf _NPROCESSORS_ONLN) + 1))
status=0
# shellcheck disable=SC2046 # each line is an argument
go test -p "$p" -timeout 20m $(first '/(test/e2e|sdk/plugintest)$' "$programs") || status=1
# shellcheck disable=SC2046,SC2086 # race may be empty
go test $race -p "$p" -timeout 20m $(first '/(storage|pluginhost|internal/run|auth)$' "$units") || status=1
exit $status
