#!/bin/sh
# Pushes the slides of a folder that nobody has written to for a minute: push-folder.sh IAIN-AGENT FOLDER [RESTING-MINUTES]
# The name says whose it is: ACCESSION_BLOCK_STAIN.svs; parts that are missing are asked for at reception. What was sent
# goes to FOLDER/sent, what the platform refuses to FOLDER/refused; when the platform cannot be reached, all stays.
set -eu
agent=$1
folder=$2
resting=${3:-1}
mkdir -p "$folder/sent" "$folder/refused"
find "$folder" -maxdepth 1 -type f -mmin "+$resting" \( -name '*.svs' -o -name '*.tif' -o -name '*.tiff' \) | sort |
  while IFS= read -r file; do
    name=$(basename "$file")
    stem=${name%.*}
    accession=${stem%%_*}
    rest=${stem#"$accession"}
    rest=${rest#_}
    block=${rest%%_*}
    stain=${rest#"$block"}
    stain=${stain#_}
    set -- --accession "$accession"
    [ -n "$block" ] && set -- "$@" --block "$block"
    [ -n "$stain" ] && set -- "$@" --stain "$stain"
    [ -n "${IAIN_CA_FILE:-}" ] && set -- "$@" --ca-file "$IAIN_CA_FILE"
    [ -n "${IAIN_PATIENCE:-}" ] && set -- "$@" --patience "$IAIN_PATIENCE"
    code=0
    "$agent" push "$file" "$@" </dev/null || code=$?
    case $code in
      0) mv "$file" "$folder/sent/" ;;
      1) mv "$file" "$folder/refused/" ;;
      *) exit "$code" ;;
    esac
  done
