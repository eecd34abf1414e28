"""The commands `status` and `retry`: what the queue holds, and what a person has to see to."""

import time

from ingest.agent.clock import SiteClock
from ingest.agent.config import Config
from ingest.agent.connection import UsageError
from ingest.agent.entries import Entry, State
from ingest.agent.exits import Exit
from ingest.agent.heart import read_pulse
from ingest.agent.messages import Words
from ingest.agent.pace import SitePace
from ingest.agent.queue import FILE_NAME, Queue
from ingest.agent.screen import Screen
from ingest.heartbeat import EVERY_S, Pause

LISTED = 50
_COUNTED = (State.QUEUED, State.SENDING, State.ARRIVED, State.SENT, State.INCOMPLETE, State.REFUSED)


def status(config: Config, screen: Screen) -> Exit:
    """Tells how the queue and the watch stand. REFUSED when a person has to do something. Raises UsageError."""
    words = screen.words
    if not (config.state_folder / FILE_NAME).exists():
        screen.say(words("status-none", path=config.state_folder))
        return Exit.REFUSED
    clock = SiteClock(config.time_zone)
    with _opened(config, words) as queue:
        summary = queue.summary(clock.midnight_us())
        counts = {**summary.counts, State.SENT: summary.sent_since}
        counts[State.ARRIVED] += summary.counts[State.SETTLING]
        runs = _tell_watch(config, screen, clock)
        for state in _COUNTED:
            size = f" ({words.size(summary.waiting_bytes)})" if state is State.QUEUED and summary.waiting_bytes else ""
            _fact(screen, f"status-{state}", f"{counts[state]}{size}")
        if summary.oldest_us is not None:
            _fact(screen, "status-oldest", words.span((clock.wall_us() - summary.oldest_us) / 1e6))
        if summary.last_sent:
            _fact(screen, "status-last", summary.last_sent)
        found = [*queue.entries(State.REFUSED, LISTED), *queue.entries(State.INCOMPLETE, LISTED)]
        for entry in found:
            screen.problem(_why(entry, words))
        for entry in queue.entries(State.QUEUED, LISTED):
            if entry.code:
                screen.warn(_why(entry, words))
    if counts[State.REFUSED]:
        screen.say(words("status-retry"))
    return Exit.REFUSED if found or not runs else Exit.DONE


def retry(config: Config, screen: Screen, name: str | None) -> Exit:
    """Puts a refused slide (without a name: all of them) in the queue again. Raises UsageError."""
    number = 0
    if (config.state_folder / FILE_NAME).exists():
        with _opened(config, screen.words) as queue:
            number = queue.retry(name)
    if number or name is None:
        screen.say(screen.words("retried", number=number))
        return Exit.DONE
    screen.problem(screen.words("retried-none"))
    return Exit.USAGE


def _tell_watch(config: Config, screen: Screen, clock: SiteClock) -> bool:
    """Whether the watch runs and the server hears of it; says so."""
    words, pulse, now_us = screen.words, read_pulse(config.state_folder), time.time_ns() // 1000
    since_us = now_us - (pulse.at_us if pulse else 0)
    if pulse is None or since_us > 3 * EVERY_S * 1_000_000:
        screen.problem(words("status-stopped", span=words.span(since_us / 1e6) if pulse else "?"))
        return False
    if pulse.failure or pulse.heard_us is None:
        screen.problem(words("status-unheard", why=words.why(pulse.failure, pulse.detail)))
    else:
        screen.say(words("status-running", span=words.span((now_us - pulse.heard_us) / 1e6)))
    if pulse.pause is Pause.QUIET_HOURS:
        span = words.span(SitePace(clock, config.quiet_hours).closed_s())
        screen.say(words("pause-quiet-hours", span=span))
    elif pulse.pause:
        screen.warn(words(f"pause-{pulse.pause}"))
    _fact(screen, "status-rate", f"{words.size(pulse.bytes_per_s)}/s")
    return pulse.failure is None


def _fact(screen: Screen, name: str, value: str) -> None:
    screen.say(f"{screen.words(name):36}{value}")


def _why(entry: Entry, words: Words) -> str:
    return words("trouble", name=entry.name, why=words.why(entry.code, entry.detail))


def _opened(config: Config, words: Words) -> Queue:
    try:
        return Queue(config.state_folder, mend=False)
    except OSError as error:
        sentence = words("state-unusable", path=config.state_folder, detail=error.strerror or error)
        raise UsageError(sentence) from error
