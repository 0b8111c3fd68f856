#!/bin/sh
# Downloads the files of Swagger UI that /docs serves. It needs npm.
set -eu
version=5.35.0
docs=$(cd "$(dirname "$0")/../core/internal/api/docs" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar -xzf "swagger-ui-dist-$version.tgz"
for file in swagger-ui-bundle.js swagger-ui.css favicon-32x32.png LICENSE NOTICE; do
  cp "package/$file" "$docs/$file"
done
