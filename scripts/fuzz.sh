#!/usr/bin/env bash
# Runs every fuzz target there is for a while, two at a time: fuzz.sh TIME CACHE.
# An input that fails a target is written to testdata/fuzz beside it; commit it
# with the cure.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1 cache=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One binary a package, which knows its targets. Unlike with go test -fuzz only
# the package itself is instrumented: to have all that it stands on compiled anew
# takes longer than the fuzzing.
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
    echo "it stays with: go test -run '$target/' ./$folder" >&2
    return 1
  fi
  echo "ok  $folder $target $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
}
export -f fuzz
export time cache
mkdir -p "$cache"
xargs -P 2 -n 3 bash -c 'fuzz "$@"' fuzz <"$work/targets"
