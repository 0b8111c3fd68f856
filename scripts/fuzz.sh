#!/usr/bin/env bash
# Runs every fuzz target for a time, two at once: fuzz.sh TIME CACHE.
# An input that fails is written to testdata/fuzz next to the target. Commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1 cache=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One program for each package. Unlike go test -fuzz, this instruments only the package itself,
# because compiling all dependencies again takes longer than the fuzzing.
git grep -l --untracked '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u >"$work/folders"
while read -r folder; do
  binary=$work/${folder//\//-}
  go test -c -gcflags=-d=libfuzzer -o "$binary" "./$folder"
  (cd "$folder" && "$binary" -test.list '^Fuzz') | sed "s|^|$folder $binary |" >>"$work/targets"
done <"$work/folders"
echo "fuzzing $(wc -l <"$work/targets") targets for $time each" >&2

fuzz() {
  local folder=$1 binary=$2 target=$3 log=$2.$3.log
  cd "$folder"
  if ! "$binary" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.parallel 1 -test.fuzzcachedir "$cache/$folder" >"$log" 2>&1; then
    echo "$folder $target:" >&2
    tail -n 60 "$log" >&2
    echo "to repeat it, run: go test -run '$target/' ./$folder" >&2
    return 1
  fi
  echo "ok  $folder $target $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
}
export -f fuzz
export time cache
mkdir -p "$cache"
xargs -P 2 -n 3 bash -c 'fuzz "$@"' fuzz <"$work/targets"
