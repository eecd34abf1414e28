"""The command `push`: slides that a person names are sent one after the other, and how each ended is told."""

import stat
from collections.abc import Sequence
from pathlib import Path

from ingest.agent.client import Client, KeyRefusedError, NotOurServerError, RefusedError, UntrustedError
from ingest.agent.exits import Exit
from ingest.agent.parcels import Found, Parcel, find, together
from ingest.agent.screen import PushScreen, Screen
from ingest.agent.upload import ChangingFileError, Delivery, GaveUpError, Glass, Patience, Pusher
from ingest.manifest import ManifestError

LISTED = 8


def push(client: Client, screen: Screen, patience: Patience, paths: Sequence[Path], glass: Glass) -> Exit:
    """Sends all slides at these paths; how the worst of them ended."""
    parcels, worst = _look(screen, paths)
    for parcel in together(parcels):
        code = _push_one(client, screen, patience, parcel, glass)
        worst = max(worst, code)
        if code in (Exit.UNREACHABLE, Exit.KEY_REFUSED):  # the next slide would meet the same
            break
    return worst


def _look(screen: Screen, paths: Sequence[Path]) -> tuple[list[Parcel], Exit]:
    """The slides at these paths, and how a push of none of them would end; says what cannot be sent."""
    words = screen.words
    parcels: list[Parcel] = []
    worst = Exit.DONE
    for path in paths:
        name, found, why, code = path.name or path, Found(()), "", Exit.REFUSED
        if reason := _unfit(path):
            why, code = words.why(reason), Exit.USAGE
        else:
            try:
                found = find(path)
                why = "" if found.parcels else words.why("no-slides")
            except OSError as error:
                why = words.why("unreadable-file", error.strerror or str(error))
        if why:
            screen.problem(words("not-sent", name=name, why=why))
            worst = max(worst, code)
        elif found.left:
            names = _listed([str(each.relative_to(path.resolve())) for each in found.left])
            screen.warn(words("left", name=name, names=names))
        parcels += found.parcels
    return parcels, worst


def _push_one(client: Client, screen: Screen, patience: Patience, parcel: Parcel, glass: Glass) -> Exit:
    words = screen.words
    pusher = Pusher(client, PushScreen(screen, parcel.name), patience)
    code = Exit.REFUSED
    try:
        if parcel.missing:
            why = words.why("incomplete-set", _listed(parcel.missing))
        else:
            with screen.showing():
                alone = parcel.alone
                delivery = pusher.push(alone, glass) if alone else pusher.push_set(parcel, glass)
            return _tell(delivery, screen, parcel.name, glass)
    except OSError as error:
        why = words.why("unreadable-file", error.strerror or str(error))
    except ChangingFileError:
        why = words.why("still-changing")
    except ManifestError as error:
        why = words.why("unfit-set", str(error))
    except GaveUpError as error:
        why, code = words("gave-up", why=words.why(error.last.code, error.last.detail)), Exit.UNREACHABLE
    except (NotOurServerError, UntrustedError) as error:
        why, code = words.why(error.code, error.detail), Exit.UNREACHABLE
    except KeyRefusedError as error:
        why, code = words.why(error.code, error.detail), Exit.KEY_REFUSED
    except RefusedError as error:
        why = words.why(error.code, error.detail)
    screen.problem(words("not-sent", name=parcel.name, why=why))
    return code


def _tell(delivery: Delivery, screen: Screen, name: str, glass: Glass) -> Exit:
    """How the push ended, in words; an unknown case is a matter for a person and no failure."""
    status, words = delivery.status, screen.words
    if status.state == "refused":
        screen.problem(words("refused", name=name, why=words.refusal(status.refusal_code, status.refusal_reason)))
        return Exit.REFUSED
    if status.state != "ready":
        screen.say(words("still-preparing", name=name))
    elif delivery.already_known:
        screen.say(words("ready-known", name=name))
    else:
        screen.say(words("ready", name=name))
    if status.claimed and glass.accession:
        screen.warn(words("claimed", name=name, accession=glass.accession, other=status.accession or "?"))
    elif status.state == "ready" and not status.matched:
        key = "unmatched" if glass.accession else "unmatched-unnamed"
        screen.warn(words(key, name=name, accession=glass.accession))
    return Exit.DONE


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" … ({len(names)})" if len(names) > LISTED else "")


def _unfit(path: Path) -> str | None:
    """The code of why this can hold no slide; None when it can."""
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
