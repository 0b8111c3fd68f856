#!/usr/bin/env bash
# Checks that the import rules of .golangci.yaml work. In a temporary module with the same folders, each
# package imports what it may (no finding) and what it may not (one finding each). Without this check,
# a rule whose glob matches nothing would go unnoticed.
set -euo pipefail
lint=$1 # golangci-lint
here=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mod=github.com/agentarea/agentarea

# package | may import | may not import. A leaf is an empty package below that folder.
packages='
sdk/proto/base/v1        | sdk/proto/leaf fmt                                                | sdk core
sdk                      | fmt                                                               | sdk/proto/leaf core/leaf
sdk/llm                  | sdk sdk/proto/leaf                                                | core storage/leaf plugins/leaf
sdk/plugintest           | sdk sdk/proto/leaf                                                | core/leaf
plugins/llm-echo         | sdk sdk/leaf                                                      | core sdk/proto/leaf storage/leaf plugins/leaf examples/leaf
examples/weather/go      | sdk sdk/leaf                                                      | core sdk/proto/leaf plugins/leaf
core                     | sdk                                                               | sdk/leaf sdk/proto/leaf storage/leaf core/internal/api/leaf
core/cmd/agentarea       | core/internal/cli                                                 | core core/internal/app/leaf core/internal/config/leaf storage/leaf
core/internal/cli        | core sdk sdk/leaf core/internal/app core/internal/backup/leaf core/internal/client/leaf core/internal/config/leaf core/internal/pluginhost/leaf storage/leaf | core/internal/api/leaf core/internal/run/leaf core/internal/mcp/leaf core/internal/events/leaf
core/internal/app        | core core/internal/api core/internal/pluginhost/leaf storage/leaf | core/internal/cli/leaf
core/internal/backup     | core core/internal/datadir/leaf core/internal/secrets/leaf storage/leaf | sdk core/internal/app/leaf core/internal/api/leaf core/internal/pluginhost/leaf
core/internal/datadir    | core/internal/config/leaf storage/fileowner fmt                   | core sdk storage/leaf
core/internal/api        | core sdk                                                          | core/internal/api/leaf sdk/leaf sdk/proto/leaf storage/leaf core/internal/pluginhost/leaf core/internal/run/leaf database/sql
core/internal/api/agents | core sdk core/internal/api                                        | core/internal/api/leaf sdk/leaf storage/leaf core/internal/run/leaf database/sql
core/internal/auth       | core sdk                                                          | sdk/leaf storage/leaf core/internal/api/leaf database/sql
core/internal/agents     | core sdk core/internal/configschema/leaf                          | sdk/leaf storage/leaf core/internal/api/leaf core/internal/tasks/leaf database/sql
core/internal/tasks      | core sdk                                                          | sdk/leaf storage/leaf core/internal/api/leaf core/internal/agents/leaf core/internal/run/leaf
core/internal/configschema | fmt                                                             | core sdk storage/leaf
core/internal/run        | core sdk sdk/leaf core/internal/events/leaf                       | sdk/proto/leaf storage/leaf core/internal/pluginhost/leaf core/internal/api/leaf
core/internal/events     | core                                                              | sdk/leaf storage/leaf core/internal/run/leaf
core/internal/limit      | core fmt                                                          | sdk storage/leaf core/internal/api/leaf core/internal/auth/leaf
core/internal/secrets    | core fmt                                                          | sdk storage/leaf
core/internal/telemetry  | core sdk                                                          | sdk/leaf storage/leaf core/internal/run/leaf core/internal/api/leaf
core/internal/backup/archive | fmt                                                               | core sdk storage/leaf
core/internal/supervise  | fmt                                                               | core sdk storage/leaf
core/internal/mcp        | core sdk/leaf core/internal/events/leaf core/internal/supervise/leaf | storage/leaf core/internal/pluginhost/leaf core/internal/run/leaf
core/internal/pluginhost | core sdk/leaf core/internal/config/leaf core/internal/configschema/leaf core/internal/supervise/leaf | sdk/proto/leaf storage/leaf core/internal/run/leaf core/internal/api/leaf
core/internal/config     | core sdk                                                          | sdk/leaf storage/leaf core/internal/pluginhost/leaf
core/internal/another    | core                                                              | storage/leaf core/internal/pluginhost/leaf plugins/leaf
storage                  | core sdk storage/leaf                                             | sdk/leaf sdk/proto/leaf plugins/leaf
storage/migrations       | storage/leaf                                                      | sdk/leaf sdk/proto/leaf
'

cd "$scratch"
cp "$here/.golangci.yaml" .
printf 'module %s\n\ngo 1.26.0\n' "$mod" >go.mod

leaf() { # creates an empty package, unless the table has its contents
	mkdir -p "$1"
	[ -e "$1/pkg.go" ] || printf 'package pkg\n' >"$1/pkg.go"
}
full() { case $1 in fmt | database/sql) echo "$1" ;; *) echo "$mod/$1" ;; esac; }

want=()
while IFS='|' read -r pkg may maynot; do
	pkg=${pkg// /}
	[ -n "$pkg" ] || continue
	mkdir -p "$pkg"
	{
		printf 'package pkg\n\nimport (\n'
		for p in $may $maynot; do printf '\t_ "%s"\n' "$(full "$p")"; done
		printf ')\n'
	} >"$pkg/pkg.go"
	for p in $maynot; do want+=("$pkg/pkg.go: $(full "$p")"); done
done <<<"$packages"
# Every import must resolve, so this creates the packages that the table does not have.
for p in $(grep -rhoE "\"$mod/[^\"]+\"" --include=pkg.go . | tr -d '"' | sort -u); do leaf "${p#"$mod/"}"; done

# The exit code is ignored, because findings are expected.
got=$({ "$lint" run --enable-only=depguard --output.text.print-issued-lines=false ./... 2>&1 || true; } |
	sed -nE "s/^([^:]+):[0-9:]+ import '([^']+)' is not allowed.*/\1: \2/p" | sort -u)
want=$(printf '%s\n' "${want[@]}" | sort -u)
if ! diff <(echo "$want") <(echo "$got"); then
	echo 'import rules: < must be forbidden but is allowed, > must be allowed but is forbidden' >&2
	exit 1
fi
echo "import rules: $(wc -l <<<"$want") forbidden imports are rejected, and no allowed one is"
