#!/bin/sh
# Debian packages that tests and benchmarks drive as real parts. As root the missing ones are installed; else they are named.
set -eu
missing=''
need() { # need COMMAND-OR-PATH PACKAGE
  for candidate in $1; do
    if command -v "$candidate" >/dev/null 2>&1 || [ -x "$candidate" ]; then return 0; fi
  done
  missing="$missing $2"
}
need "chromium" chromium
need "nginx /usr/sbin/nginx" nginx-light
need "bwrap" bubblewrap
need "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1 || true)" postgresql
need "systemd-analyze" systemd
need "cc" "gcc libc6-dev"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests:$missing"
  apt-get update -qq
  # The database server's own cluster is not wanted: the tests start one of theirs on a free port.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  # shellcheck disable=SC2086 # several names on purpose
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "The tests need these Debian packages. As root: apt-get install$missing" >&2
  exit 1
fi
