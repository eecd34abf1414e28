"""The slide that is read: drawn once from a real scan's texture, kept, and looked at for where its tissue lies."""

import hashlib
from pathlib import Path

import openslide

from tiler import synthetic

TEXTURE = Path(__file__).parents[2] / "tests" / "data" / "CMU-1-Small-Region.svs"
SPEC = synthetic.Spec(width=24_000, height=18_000, texture=TEXTURE, seed=20, layout="tiff")
MAP_PIXELS = 400
# Saturation (of 255) from which a spot of the overview is stained tissue rather than glass.
STAINED = 40


def the_slide(directory: Path) -> Path:
    """24,000 × 18,000 px: 256-px YCbCr tiles in a pyramid of powers of two. Drawn anew when its drawing has changed."""
    drawing = hashlib.sha256(repr((SPEC.width, SPEC.height, SPEC.seed, SPEC.layout)).encode())
    for source in sorted(Path(synthetic.__file__).parent.glob("*.py")):
        drawing.update(source.read_bytes())
    path = directory / f"slide-{drawing.hexdigest()[:16]}.tiff"
    if not path.exists():
        unfinished = path.with_suffix(".new")
        synthetic.make_slide(unfinished, SPEC)
        unfinished.rename(path)
    return path


def tissue(path: Path) -> list[tuple[int, int]]:
    """Level-0 points, evenly spread, where there is tissue."""
    with openslide.OpenSlide(path) as scan:
        width = scan.dimensions[0]
        overview = scan.get_thumbnail((MAP_PIXELS, MAP_PIXELS)).convert("HSV")
    scale = width / overview.width
    saturation = overview.getchannel("S").tobytes()
    return [
        (round((spot % overview.width + 0.5) * scale), round((spot // overview.width + 0.5) * scale))
        for spot, value in enumerate(saturation)
        if value >= STAINED
    ]
