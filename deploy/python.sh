#!/bin/sh
# Makes the virtual environment VENV with PYTHON: deploy/python.sh PYTHON VENV
# Debian keeps Python's `venv` in a package of its own; as root it is installed, else it is named.
set -eu
python=$1
venv=$2
if ! command -v "$python" >/dev/null 2>&1; then
  echo "Python is missing. Install Python 3.11 or later, then run this again." >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "$($python --version) is too old: IAIN needs Python 3.11 or later. Name another with PYTHON=…" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian's python3-venv…"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    echo "Python's venv module is missing. As root: apt-get install python3-venv" >&2
    exit 1
  fi
fi
"$python" -m venv "$venv"
