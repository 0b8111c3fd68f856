#!/usr/bin/env bash
# Generates the code of the protos into a temporary folder, and fails if the committed files differ,
# are missing, or belong to a .proto that does not exist any more.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
make --no-print-directory -s generate-proto BUF_ARGS="--output $scratch"
if ! diff -r --brief "$scratch/sdk/proto" sdk/proto; then
	echo 'generated files are not up to date: run make generate-proto, and remove files without a .proto' >&2
	exit 1
fi
