#!/bin/sh
# Pushes the slides of a folder that nobody has written to for a minute: push-folder.sh IAIN-AGENT FOLDER [RESTING-MINUTES]
# A slide is a file, a MIRAX file with the folder beside it, or a folder (DICOM). The name says whose it is:
# ACCESSION_BLOCK_STAIN.svs; parts that are missing are asked for at reception. What was sent goes to FOLDER/sent, what
# the platform refuses to FOLDER/refused; when the platform cannot be reached, all stays.
set -eu
agent=$1
folder=$2
resting=${3:-1}
mkdir -p "$folder/sent" "$folder/refused"

rests() { # whether everything below $1 does, and there is something
  [ -n "$(find "$1" -type f -print 2>/dev/null | head -n 1)" ] && [ -z "$(find "$1" ! -mmin "+$resting" | head -n 1)" ]
}

find "$folder" -mindepth 1 -maxdepth 1 ! -name '.*' \( -type d ! -path "$folder/sent" ! -path "$folder/refused" -o \
  -type f \( -iname '*.svs' -o -iname '*.tif' -o -iname '*.tiff' -o -iname '*.ndpi' -o -iname '*.scn' -o -iname '*.bif' \
  -o -iname '*.czi' -o -iname '*.dcm' -o -iname '*.mrxs' \) \) | sort |
  while IFS= read -r slide; do
    name=$(basename "$slide")
    stem=$name
    beside=
    if [ -d "$slide" ]; then
      for front in "$slide".[Mm][Rr][Xx][Ss]; do
        [ -e "$front" ] && continue 2 # it goes with that file
      done
    else
      stem=${name%.*}
      case $name in
        *.[Mm][Rr][Xx][Ss]) beside=${slide%.*} ;;
        *.[Tt][Ii][Ff]) # Trestle
          for whole in "${slide%.*}".[Ff][Uu][Ll][Ll]; do
            [ -e "$whole" ] && beside=$whole
          done
          ;;
      esac
    fi
    rests "$slide" || continue
    [ -z "$beside" ] || rests "$beside" || continue
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
    "$agent" push "$slide" "$@" </dev/null || code=$?
    case $code in
      0) done=sent ;;
      1) done=refused ;;
      *) exit "$code" ;;
    esac
    into=$folder/$done
    number=1
    while [ -e "$into/$name" ] || { [ -n "$beside" ] && [ -e "$into/${beside##*/}" ]; }; do # a slide had that name before
      number=$((number + 1))
      into=$folder/$done/again-$number
    done
    mkdir -p "$into"
    mv "$slide" "$into/"
    [ -z "$beside" ] || mv "$beside" "$into/"
  done
