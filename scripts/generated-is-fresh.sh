#!/usr/bin/env bash
# Generates into a scratch folder and fails when the committed files differ,
# are missing, or are left over from a .proto that is gone.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
make --no-print-directory -s generate-proto BUF_ARGS="--output $scratch"
if ! diff -r --brief "$scratch/sdk/proto" sdk/proto; then
	echo 'generated files are not up to date: run make generate-proto, and remove what has no .proto any more' >&2
	exit 1
fi
