"""How a scanner is, read from what its agent last said: a sign, a word, and what to do about what is wrong. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ingest.heartbeat import SILENT_S, Heartbeat, Pause, parse_heartbeat
from ingest.protocol import ProtocolError
from sharing.clock import SECOND_US
from sharing.heartbeats import Scanner
from slideserver.pages.words import N_

REFRESH_S = 5
"""How often an open page asks again."""
SILENT_AFTER_US = (SILENT_S - REFRESH_S - 3) * SECOND_US
"""Such that a scanner is red on every open page within SILENT_S of its last word; the answers take time, too."""
SKEW_MS = 60_000
LITTLE_BYTES, NO_BYTES = 20 * 10**9, 2 * 10**9
"""Room on the disk of the scanner's computer: for a morning's slides, and for none."""


class Sign(StrEnum):
    """Worst first."""

    ALARM = "alarm"
    WATCH = "watch"
    FINE = "fine"
    RESTING = "resting"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Caution:
    """What is wrong and what to do about it, as a message id with its values. `size`: bytes to be told in it."""

    message: str
    alarm: bool
    values: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """`word` is a message id. `said` is None for a scanner that was never heard; of one that is `silent`, it is old."""

    scanner: Scanner
    sign: Sign
    word: str
    silent: bool
    said: Heartbeat | None
    cautions: tuple[Caution, ...]


def standing(scanner: Scanner, now_us: int) -> Standing:
    said = _said(scanner.report)
    if said is None or scanner.heard_us is None:
        never = Caution(
            N_(
                "Nothing was ever heard from its computer. Install the agent there, give it this scanner’s key, and "
                "start it."
            ),
            alarm=False,
        )
        return Standing(scanner, Sign.NEVER, N_("never heard"), False, None, (never,))
    silent = now_us - scanner.heard_us >= SILENT_AFTER_US
    cautions = tuple(_cautions(said, silent=silent))
    if silent:
        sign, word = Sign.ALARM, N_("silent")
    elif any(caution.alarm for caution in cautions):
        sign, word = Sign.ALARM, N_("stopped")
    elif cautions or said.refused or said.troubles:
        sign, word = Sign.WATCH, N_("to look at")
    elif said.pause is Pause.QUIET_HOURS:
        sign, word = Sign.RESTING, N_("paused: quiet hours")
    else:
        sign, word = Sign.FINE, N_("sending") if said.sending else N_("all is well")
    return Standing(scanner, sign, word, silent, said, cautions)


def _cautions(said: Heartbeat, *, silent: bool) -> Iterator[Caution]:
    if silent:
        yield Caution(
            N_(
                "Nothing more is heard from its computer. Check that it is switched on, that its network cable is "
                "plugged in, and that the agent is running."
            ),
            alarm=True,
        )
        return
    match said.pause:
        case Pause.KEY_REFUSED:
            yield Caution(N_("Its key was refused. Give the agent the scanner’s new key."), alarm=True)
        case Pause.DISK_FULL:
            yield Caution(
                N_(
                    "The platform has no room left, so its slides stay on its computer. Tell the person who manages "
                    "the platform."
                ),
                alarm=True,
            )
        case Pause.UNREACHABLE:
            yield Caution(N_("Its network fails now and then. Check its network cable."), alarm=False)
    if said.free_bytes is not None and said.free_bytes < LITTLE_BYTES:
        yield Caution(
            N_("Only %(size)s are left on the disk of its computer. Take away slides that are on the platform."),
            alarm=said.free_bytes < NO_BYTES,
            size=said.free_bytes,
        )
    if said.skew_ms is not None and abs(said.skew_ms) > SKEW_MS:
        minutes = {"minutes": str(round(abs(said.skew_ms) / 60_000))}
        ahead = N_("The clock of its computer is %(minutes)s min ahead. Let it take the time from the network.")
        behind = N_("The clock of its computer is %(minutes)s min behind. Let it take the time from the network.")
        yield Caution(ahead if said.skew_ms > 0 else behind, alarm=False, values=minutes)


def _said(report: str | None) -> Heartbeat | None:
    try:
        return None if report is None else parse_heartbeat(report)
    except ProtocolError:  # kept by another version of this program
        return None
