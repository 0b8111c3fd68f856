#!/usr/bin/env bash
# Installs the Debian packages that tests need, if it runs as root on Debian. Elsewhere it names
# what is missing and changes nothing.
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND...: the package is missing unless the command succeeds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
postgres() { [ -n "${AGENTAREA_TEST_POSTGRES_URL:-}" ] || ls /usr/lib/postgresql/*/bin/initdb || command -v initdb; }

need postgresql postgres
need pgbouncer bash -c 'command -v pgbouncer || ls /usr/sbin/pgbouncer'
need python3-grpcio /usr/bin/python3 -c 'import grpc, google.protobuf'
need python3-requests /usr/bin/python3 -c 'import requests'
need python3-websocket /usr/bin/python3 -c 'import websocket'
need tini command -v tini
need nginx ls /usr/sbin/nginx
need caddy command -v caddy
need systemd command -v systemd-analyze
need prometheus command -v promtool
need npm command -v npm

[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # Tests start the services that they need: runlevel 1 keeps Debian from starting the installed ones.
  RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${missing[@]}"
else
  echo "Some tests need these Debian packages, or the same on your system: ${missing[*]}" >&2
  echo "Install them (as root on Debian, make test-setup does): apt-get install ${missing[*]}" >&2
fi
