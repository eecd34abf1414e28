"""`iain-agent`: push slides from a scanner's workstation.

Exit codes: 0 every slide is on the platform, 1 a slide was refused, is not whole or cannot be read, 2 the command
itself is wrong, 3 the server could not be reached, or could not take the slide, for as long as --patience allows, 4 the
key is refused, 130 interrupted with Ctrl-C.
"""

import os
import ssl
import stat
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from ingest.agent.client import (
    Client,
    KeyRefusedError,
    NotOurServerError,
    RefusedError,
    UntrustedError,
)
from ingest.agent.messages import Language, Words, language_from
from ingest.agent.parcels import Found, Parcel, find, together
from ingest.agent.screen import Screen
from ingest.agent.upload import ChangingFileError, Delivery, GaveUpError, Glass, Patience, Pusher
from ingest.manifest import ManifestError

KEY_MAX_BYTES = 1024
LISTED = 8
_HOSTS_AT_HOME = frozenset({"localhost", "127.0.0.1", "::1"})

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Exit(IntEnum):
    SENT = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    KEY_REFUSED = 4
    INTERRUPTED = 130


class UsageError(Exception):
    """The command cannot be carried out as it was given; the message is a whole sentence in the user's language."""


@app.callback()
def agent() -> None:
    """Envoie les lames d'un scanner à la plateforme. / Sends a scanner's slides to the platform."""


@app.command()
def push(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|FOLDER...",
            help="Lames, ou dossiers de lames, à envoyer. / Slides, or folders of them, to send.",
        ),
    ],
    server: Annotated[
        str, typer.Option(envvar="IAIN_SERVER", help="Adresse de la plateforme. / Address of the platform.")
    ],
    key_file: Annotated[
        Path, typer.Option(envvar="IAIN_KEY_FILE", help="Fichier de la clé du scanner. / File with the scanner's key.")
    ],
    accession: Annotated[str | None, typer.Option(help="Numéro du cas. / Accession number of the case.")] = None,
    stain: Annotated[str | None, typer.Option(help="Coloration. / Stain.")] = None,
    block: Annotated[str | None, typer.Option(help="Bloc. / Block.")] = None,
    language: Annotated[Language | None, typer.Option(help="fr | en")] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Secondes d'essais sans progrès. / Seconds of trying without progress.")
    ] = 600,
    wait: Annotated[
        float, typer.Option(min=0, help="Secondes d'attente d'une lame prête. / Seconds to wait until it is ready.")
    ] = 120,
    ca_file: Annotated[
        Path | None, typer.Option(help="Autorité de certification de l'hôpital. / The hospital's own CA, in PEM.")
    ] = None,
) -> None:
    """Envoie des lames ; relancer la même commande reprend là où elle s'était arrêtée. / Sends slides, resumably."""
    words = Words(language or language_from(os.environ))
    screen = Screen(words, Console(), Console(stderr=True))
    try:
        with _client(words, screen, server, key_file, ca_file) as client:
            pusher = Pusher(client, screen, Patience(patience, wait))
            code = _push_all(pusher, screen, words, paths, Glass(accession, stain, block))
    except UsageError as error:
        screen.problem(str(error))
        code = Exit.USAGE
    except KeyboardInterrupt:
        screen.warn(words("interrupted"))
        code = Exit.INTERRUPTED
    raise typer.Exit(code)


def main() -> None:
    """The console script. The codes of `Exit` are all that it ends with."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an old console code page must not end an upload
    app()


def _push_all(pusher: Pusher, screen: Screen, words: Words, paths: list[Path], glass: Glass) -> Exit:
    parcels, worst = _look(screen, words, paths)
    for parcel in together(parcels):
        code = _push_one(pusher, screen, words, parcel, glass)
        worst = max(worst, code)
        if code in (Exit.UNREACHABLE, Exit.KEY_REFUSED):  # the next slide would meet the same
            break
    return worst


def _look(screen: Screen, words: Words, paths: list[Path]) -> tuple[list[Parcel], Exit]:
    """The slides at these paths, and how a push of none of them would end; says what cannot be sent."""
    parcels: list[Parcel] = []
    worst = Exit.SENT
    for path in paths:
        name, found, why, code = path.name or path, Found(()), "", Exit.REFUSED
        if reason := _unfit(path):
            why, code = words(reason), Exit.USAGE
        else:
            try:
                found = find(path)
                why = "" if found.parcels else words("no-slides")
            except OSError as error:
                why = words("unreadable-file", detail=error.strerror or error)
        if why:
            screen.problem(words("not-sent", name=name, why=why))
            worst = max(worst, code)
        elif found.left:
            names = _listed([str(each.relative_to(path.resolve())) for each in found.left])
            screen.warn(words("left", name=name, names=names))
        parcels += found.parcels
    return parcels, worst


def _push_one(pusher: Pusher, screen: Screen, words: Words, parcel: Parcel, glass: Glass) -> Exit:
    if parcel.missing:
        why = words("incomplete", names=_listed(parcel.missing))
        screen.problem(words("not-sent", name=parcel.name, why=why))
        return Exit.REFUSED
    try:
        with screen.showing(parcel.name):
            alone = parcel.alone
            delivery = pusher.push(alone, glass) if alone else pusher.push_set(parcel, glass)
    except OSError as error:
        why, code = words("unreadable-file", detail=error.strerror or error), Exit.REFUSED
    except ChangingFileError:
        why, code = words("still-changing"), Exit.REFUSED
    except ManifestError as error:
        why, code = words("unfit-set", detail=error), Exit.REFUSED
    except GaveUpError as error:
        why = words("gave-up", why=words.problem(error.last.code, error.last.detail))
        code = Exit.UNREACHABLE
    except KeyRefusedError as error:
        why, code = words.problem(error.code, error.detail), Exit.KEY_REFUSED
    except NotOurServerError:
        why, code = words("not-our-server"), Exit.UNREACHABLE
    except UntrustedError:
        why, code = words("untrusted"), Exit.UNREACHABLE
    except RefusedError as error:
        why, code = words.problem(error.code, error.detail), Exit.REFUSED
    else:
        return _tell(delivery, screen, words, parcel.name, glass)
    screen.problem(words("not-sent", name=parcel.name, why=why))
    return code


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" … ({len(names)})" if len(names) > LISTED else "")


def _tell(delivery: Delivery, screen: Screen, words: Words, name: str, glass: Glass) -> Exit:
    """How the push ended, in words; an unknown case is a matter for a person and no failure."""
    status = delivery.status
    if status.state == "refused":
        screen.problem(words("refused", name=name, why=words.refusal(status.refusal_code, status.refusal_reason)))
        return Exit.REFUSED
    if status.state != "ready":
        screen.say(words("still-preparing", name=name))
    elif delivery.already_known:
        screen.say(words("ready-known", name=name))
    else:
        screen.say(words("ready", name=name))
    if status.state == "ready" and not status.matched:
        key = "unmatched" if glass.accession else "unmatched-unnamed"
        screen.warn(words(key, name=name, accession=glass.accession))
    return Exit.SENT


def _unfit(path: Path) -> str | None:
    """Which sentence says why this can hold no slide; None when it can."""
    try:
        status = path.stat()
    except OSError:
        return "missing-file"
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return "not-a-file"
    # All that matters of a MIRAX slide may lie in the folder beside it.
    return None if status.st_size or path.suffix.casefold() == ".mrxs" else "empty-file"


def _client(words: Words, screen: Screen, server: str, key_file: Path, ca_file: Path | None) -> Client:
    address = urlsplit(server)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UsageError(words("bad-server", server=server))
    if address.scheme == "http" and address.hostname not in _HOSTS_AT_HOME:
        screen.warn(words("clear-text", server=server))
    key = _key(words, screen, key_file)
    try:
        return Client(server, key, ca_file, words.language)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(words("bad-ca-file", path=ca_file, detail=error.strerror or error)) from error


def _key(words: Words, screen: Screen, path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                screen.warn(words("key-file-open", path=path))
            key = file.read(KEY_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(words("key-file-missing", path=path, detail=error.strerror or error)) from error
    if not key.startswith("iain_") or not key.isprintable() or not key.isascii() or " " in key:
        raise UsageError(words("key-file-bad", path=path))
    return key


if __name__ == "__main__":
    main()
