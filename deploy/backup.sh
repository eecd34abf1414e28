#!/bin/sh
# Takes a backup into a directory named after the moment, sharing files with the last one: backup.sh IAIN FOLDER
# Old ones are yours to remove, oldest first, with rm -r: each is whole without the others.
set -eu
iain=$1
folder=$2
previous=''
for one in "$folder"/*/manifest.json.sha256; do
  [ -e "$one" ] && previous=${one%/manifest.json.sha256}
done
set -- "$folder/$(date -u +%Y-%m-%dT%H%M%SZ)"
[ -n "$previous" ] && set -- "$@" --previous "$previous"
exec "$iain" backup "$@"
