"""``python -m tiler info|tile|index|verify FILE``: look at a slide the way the server does, in a sandbox."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.errors import TilerError
from tiler.geometry import Size
from tiler.index import LevelKind, TileIndex
from tiler.sandbox import IndexedSlide, Sandbox
from tiler.slide import files_at
from tiler.source import TileSource
from tiler.storage.base import ByteSource
from tiler.storage.local import LocalByteSource
from tiler.verification import check


def main() -> int:
    """0 when all went well, 1 when the slide was refused; the reason is printed."""
    given = _parser().parse_args()
    try:
        _ACTIONS[given.action](given)
    except (TilerError, OSError) as error:
        Console(stderr=True).print(f"[bold red]refused[/] {error}", highlight=False)
        return 1
    return 0


def info(given: argparse.Namespace) -> None:
    """Metadata and levels as tables."""
    _, index = _indexed(given)
    console = Console()
    facts = Table("field", "value", title=given.slide.name, title_justify="left")
    for name in type(index.metadata).__slots__:
        value = getattr(index.metadata, name)
        if name != "properties":
            facts.add_row(name, _pixels(value) if isinstance(value, Size) else str(value))
    for name, text in index.metadata.properties.items():
        facts.add_row(name, text)
    console.print(facts)
    levels = Table("level", "pixels", "downsample", "tile", "tiles", "where")
    for number, level in enumerate(index.levels):
        where = {LevelKind.STORED: "stored", LevelKind.DECODED: "decoded", LevelKind.DERIVED: "cut"}[level.kind]
        levels.add_row(
            str(number),
            _pixels(level.size),
            f"{level.downsample:g}",
            _pixels(level.tile),
            str(level.grid.area),
            where,
        )
    console.print(levels)


def tile(given: argparse.Namespace) -> None:
    """One tile as the viewer gets it, to a file or to standard output."""
    _, index = _indexed(given)
    pool, files = CutterPool(Sandbox(given.sandbox)), files_at(given.slide)
    with _blobs(files) as blobs:
        try:
            source = TileSource(index, blobs, pool, TileCache(256 * 1024 * 1024), "slide", files)
            data = source.get(given.level, given.col, given.row)
        finally:
            pool.close()
    _write(given.out, data)


def write_index(given: argparse.Namespace) -> None:
    """The tile index, to a file or to standard output."""
    slide, _ = _indexed(given)
    _write(given.out, slide.index_bytes)


def verify(given: argparse.Namespace) -> None:
    """Index the slide and check the index; say what is there."""
    slide, index = _indexed(given)
    tiles = sum(level.grid.area for level in index.levels if level.stored)
    label, macro = ("with" if picture else "without" for picture in (slide.label, slide.macro))
    Console().print(f"[bold green]sound[/] {tiles} stored tiles, {label} label, {macro} macro; index {index.digest}")


def _indexed(given: argparse.Namespace) -> tuple[IndexedSlide, TileIndex]:
    with Console(stderr=True).status(f"Reading {given.slide.name} …"):
        slide = Sandbox(given.sandbox).index_slide(files_at(given.slide))
    index = TileIndex(slide.index_bytes)
    with _blobs(files_at(given.slide)) as blobs:
        check(index, blobs)
    return slide, index


@contextmanager
def _blobs(files: Mapping[str, Path]) -> Iterator[list[ByteSource]]:
    with ExitStack() as opened:
        yield [opened.enter_context(closing(LocalByteSource(path))) for path in files.values()]


def _pixels(size: Size) -> str:
    return f"{size.width} × {size.height}"


def _write(out: Path | None, data: bytes) -> None:
    if out:
        out.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tiler", description="Look at a whole-slide image in a sandbox.")
    parser.add_argument("--sandbox", choices=("strict", "weak"), default="strict")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, action in _ACTIONS.items():
        one = actions.add_parser(name, help=action.__doc__)
        one.add_argument("slide", type=Path)
        if name == "tile":
            for number in ("level", "col", "row"):
                one.add_argument(number, type=int)
        if name in ("tile", "index"):
            one.add_argument("--out", type=Path)
    return parser


_ACTIONS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "info": info,
    "tile": tile,
    "index": write_index,
    "verify": verify,
}


if __name__ == "__main__":
    sys.exit(main())
