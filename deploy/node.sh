#!/bin/sh
# Sees to it that a Node recent enough for the front end's build is on the PATH: deploy/node.sh BIN
# When the machine has none, the one that comes as a Python package goes into BIN (the virtual environment's).
set -eu
bin=$1
recent='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)'
if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && node -e "$recent"; then
  exit 0
fi
echo "Installing Node as a Python package…"
"$bin/pip" install --quiet --require-hashes --requirement requirements/node.lock
