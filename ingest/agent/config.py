"""How the agent is set up: a TOML file, options of the command line above it, and what stands where neither says
anything. Described in `docs/reference/agent-settings.md`; a test holds the two together.
"""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest.agent.messages import Language
from ingest.agent.pace import Quiet, is_ever_open, parse_quiet
from ingest.agent.rules import After
from ingest.agent.upload import Glass
from ingest.protocol import LABEL_MAX_CHARS

CONFIG_ENVIRON = "IAIN_AGENT_CONFIG"
TIME_ZONE = "Europe/Paris"
NAMES = "{accession}_{block}_{stain}"
_FIELD = re.compile(r"\{(accession|block|stain)\}")


class ConfigError(Exception):
    """What is set cannot be carried out: a sentence of `ingest.agent.messages` by its name, with its values, of
    which `wanted` is such a name, too."""

    def __init__(self, sentence: str, /, **values: object) -> None:
        self.sentence, self.values = sentence, values
        super().__init__(f"{sentence} {values}")


@dataclass(frozen=True, slots=True)
class Config:
    """All that can be set. Times in seconds; `bandwidth_mbit`: in Mbit/s, of all uploads together; `names`: what the
    name of a slide says of it."""

    state_folder: Path
    time_zone: ZoneInfo
    server: str | None = None
    key_file: Path | None = None
    ca_file: Path | None = None
    folders: tuple[Path, ...] = ()
    after: After = After.KEEP
    archive: Path | None = None
    names: str = NAMES
    parallel: int = 2
    bandwidth_mbit: float | None = None
    quiet_hours: tuple[Quiet, ...] = ()
    rest_s: float = 30
    tell_after_s: float = 900
    language: Language | None = None
    log_file: Path | None = None

    def glass(self, name: str) -> Glass:
        """What the name of a slide's file or folder says of the glass."""
        return glass_of(name, self.names)


def load(path: Path | None = None, over: Mapping[str, object] | None = None) -> Config:
    """What the file says, and above it the values of `over` that are not None, written as they would be in the file.
    Without a path: the file at its usual place, if there is one. Raises ConfigError."""
    path, must_exist = (path, True) if path else (default_path(), False)
    said = _read(path, must_exist=must_exist)
    values: dict[str, Any] = {"state_folder": default_state_folder()}
    said.setdefault("time_zone", TIME_ZONE)
    values |= {key: _value(key, value, path.parent.absolute()) for key, value in said.items()}
    values |= {key: _value(key, value, Path.cwd()) for key, value in (over or {}).items() if value is not None}
    config = Config(**values)
    if config.after is After.MOVE and not _is_apart(config.archive, config.folders):
        raise ConfigError("config-value", key="archive", value=config.archive or '""', wanted="want-archive")
    return config


def default_path() -> Path:
    """Where the configuration is looked for."""
    if named := os.environ.get(CONFIG_ENVIRON):
        return Path(named)
    return Path(places(sys.platform, os.environ)[0])


def default_state_folder() -> Path:
    """Where the queue is kept."""
    return Path(places(sys.platform, os.environ)[1])


def places(system: str, environ: Mapping[str, str]) -> tuple[PurePath, PurePath]:
    """Configuration file and state folder on a system (as `sys.platform` names it). On Windows they are the same for
    all accounts, so that a technician sees what the service does."""
    if system == "win32":
        shared = PureWindowsPath(environ.get("PROGRAMDATA", r"C:\ProgramData"), "IAIN")
        return shared / "agent.toml", shared / "agent"
    home = PurePosixPath(environ.get("HOME", "/"))
    config = PurePosixPath(environ.get("XDG_CONFIG_HOME") or home / ".config") / "iain" / "agent.toml"
    state = PurePosixPath(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "iain-agent"
    # A service of systemd is told its folder, and has no home.
    return config, PurePosixPath(environ["STATE_DIRECTORY"].split(":")[0]) if "STATE_DIRECTORY" in environ else state


def glass_of(name: str, pattern: str) -> Glass:
    """The parts of a name, without its suffix, between the separators of a pattern; those at its end may be missing,
    and one that cannot be a label is not believed."""
    rest = name if "." not in name else name[: name.rindex(".")]
    said: dict[str, str] = {}
    fields = list(_FIELD.finditer(pattern))
    for field, end in zip(fields, [*(each.start() for each in fields[1:]), len(pattern)], strict=False):
        separator = pattern[field.end() : end]
        said[field[1]], _, rest = rest.partition(separator) if separator else (rest, "", "")
    sound = {key: text for key, text in said.items() if 0 < len(text) <= LABEL_MAX_CHARS and text.isprintable()}
    return Glass(**sound)


def _read(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        # With the mark that the editor of Windows puts before it.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        if must_exist or os.environ.get(CONFIG_ENVIRON):
            raise ConfigError("config-unreadable", path=path, detail=error.strerror) from error
        return {}
    except OSError as error:
        raise ConfigError("config-unreadable", path=path, detail=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise ConfigError("config-encoding", path=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("config-syntax", path=path, detail=error) from error


def _value(key: str, value: object, base: Path) -> object:
    if key not in _READERS:
        raise ConfigError("config-unknown", key=key, known=", ".join(_READERS))
    wanted, read = _READERS[key]
    try:
        return read(value, base)
    except (ValueError, TypeError) as error:
        wanted = str(error) if str(error).startswith("want-") else wanted
        raise ConfigError("config-value", key=key, value=value, wanted=wanted) from error


def _text(value: object, _: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value.strip()


def _path(value: object, base: Path) -> Path:
    return base / Path(os.path.expandvars(_text(value, base))).expanduser()


def _paths(value: object, base: Path) -> tuple[Path, ...]:
    return tuple(_path(each, base) for each in _list(value))


def _list(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return list(value)


def _number(least: int, most: int) -> Callable[[object, Path], float]:
    def read(value: object, _: Path) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise TypeError
        return value

    return read


def _whole(value: object, base: Path) -> int:
    if not isinstance(value, int):
        raise TypeError
    return int(_number(1, 8)(value, base))


def _quiet(value: object, base: Path) -> tuple[Quiet, ...]:
    quiet = tuple(parse_quiet(_text(each, base)) for each in _list(value))
    if not is_ever_open(quiet):
        raise ValueError("want-open")
    return quiet


def _zone(value: object, base: Path) -> ZoneInfo:
    try:
        return ZoneInfo(_text(value, base))
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError("want-zone") from error


def _names(value: object, _: Path) -> str:
    """A pattern, or nothing for names that say nothing."""
    if not isinstance(value, str) or re.search(r"[{}]", _FIELD.sub("", value)) or "}{" in value:
        raise TypeError
    fields = _FIELD.findall(value)
    if len(set(fields)) != len(fields) or (value and not value.startswith("{")):
        raise ValueError("want-names")
    return value


_READERS: Mapping[str, tuple[str, Callable[[object, Path], object]]] = {
    "server": ("want-text", _text),
    "key_file": ("want-path", _path),
    "ca_file": ("want-path", _path),
    "folders": ("want-paths", _paths),
    "after": ("want-after", lambda value, base: After(_text(value, base))),
    "archive": ("want-path", _path),
    "names": ("want-names", _names),
    "parallel": ("want-parallel", _whole),
    "bandwidth_mbit": ("want-bandwidth", _number(1, 100_000)),
    "quiet_hours": ("want-quiet", _quiet),
    "time_zone": ("want-zone", _zone),
    "rest_s": ("want-seconds", _number(1, 86_400)),
    "tell_after_s": ("want-seconds", _number(1, 86_400)),
    "language": ("want-language", lambda value, base: Language(_text(value, base))),
    "state_folder": ("want-path", _path),
    "log_file": ("want-path", _path),
}


def _is_apart(archive: Path | None, folders: tuple[Path, ...]) -> bool:
    return archive is not None and not any(each.absolute().is_relative_to(archive.absolute()) for each in folders)
