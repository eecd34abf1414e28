"""``python -m tiler.synthetic OUT``: make one slide."""

from __future__ import annotations

import argparse
from pathlib import Path

from tiler.synthetic import Spec, make_slide


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tiler.synthetic", description="Make a synthetic whole-slide image."
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=12_000, help="pixels (default 12000)")
    parser.add_argument("--height", type=int, default=9_000, help="pixels (default 9000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layout", choices=("svs", "tiff"), default="svs")
    parser.add_argument("--texture", type=Path, default=Path("tests/data/CMU-1-Small-Region.svs"))
    parser.add_argument("--accession", default="26H00000", help="what the label shows")
    parser.add_argument("--stain", default="HES", help="what the label shows")
    parser.add_argument("--watermark", nargs="?", const="DÉMO", help="text on the glass (default DÉMO)")
    given = parser.parse_args()
    make_slide(
        given.out,
        Spec(
            width=given.width,
            height=given.height,
            texture=given.texture,
            seed=given.seed,
            layout=given.layout,
            accession=given.accession,
            stain=given.stain,
            watermark=given.watermark,
        ),
    )


if __name__ == "__main__":
    main()
