"""Ventana files that cannot be placed, or say of themselves what cannot be."""

from datetime import datetime
from pathlib import Path

import pytest
from fixtures.slides import InMemory

from benchmarks.layouts import bif
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.opening import open_slide
from tiler.slide import ALONE, SlideFile, SlideFiles

SMALL = bif.Area(2, 1)
JOINT = '<TileJointInfo Direction="{}" Tile1="1" Tile2="2" OverlapX="0" OverlapY="0" Confidence="{}"/>'


def opened(path: Path) -> SlideFile:
    return open_slide(SlideFiles(path.rename(path.parent / ALONE).parent))


def packet(joints: str = "", **change: object) -> bytes:
    """The XML of level 0 with one area, of which some attributes are changed."""
    said = {"AOIScanned": 1, "NumRows": 1, "NumCols": 2, "Width": 256, "Height": 256, "Pos-X": 0, "Pos-Y": 0}
    origin = {"OriginX": 0, "OriginY": 0}
    for name, value in change.items():
        (origin if name in origin else said)[name.replace("_", "-")] = value
    info = " ".join(f'{name}="{value}"' for name, value in said.items())
    place = " ".join(f'{name}="{value}"' for name, value in origin.items())
    return (
        f"<EncodeInfo><SlideStitchInfo><ImageInfo {info}>{joints}</ImageInfo></SlideStitchInfo>"
        f"<AoiOrigin><AOI0 {place}/></AoiOrigin></EncodeInfo>"
    ).encode()


def test_facts(tmp_path: Path) -> None:
    metadata = opened(bif.make(tmp_path / "a.bif", bif.TWO)).metadata
    assert (metadata.format, metadata.vendor, metadata.size) == ("bif", "ventana", Size(1196, 788))
    assert (metadata.mpp_x, metadata.objective_power) == (0.499, 20.0)
    assert (metadata.scanner_manufacturer, metadata.scanner_model) == ("Ventana", "iScan Coreo Au")
    assert (metadata.scanner_serial, metadata.barcode) == ("2000515", "26H01234")
    assert metadata.acquired_at == datetime(2026, 1, 2, 3, 4, 5)
    assert metadata.bounds == Region(40, 0, 1156, 788)
    assert metadata.properties["ventana.Z-layers"] == "1"
    assert "Doe" not in str(metadata)
    assert "DOE" not in str(metadata)


BOTH = JOINT.format("RIGHT", 98) + JOINT.format("UP", 98)


@pytest.mark.parametrize(
    ("stitched", "match"),
    [
        (packet(BOTH, NumRows=2), "outside its image"),
        (packet(BOTH, OriginX=256), "outside its image"),
        (packet(BOTH, OriginY=-256), "outside its image"),
        (packet(BOTH, NumCols=0), "outside its image"),
        (packet(BOTH, NumCols=2_000_000_000), "outside its image"),
        (packet(BOTH, Pos_X=-5), "outside its image"),
        (packet(BOTH, Pos_Y=1e9), "outside its image"),
        (packet(BOTH, Pos_X="nan"), "no sound number Pos-X"),
        (packet(BOTH, NumRows="1e99"), "no sound number NumRows"),
        (packet(BOTH, AOIScanned="yes"), "no sound number AOIScanned"),
        (packet(JOINT.format("RIGHT", 98)), "single column or row"),
        (packet(JOINT.format("RIGHT", 0) + JOINT.format("UP", 0)), "not joined"),
        (packet(JOINT.format("UP", 98), NumCols=1), "single column or row"),
        (packet(JOINT.format("ASIDE", 98)), "no known direction"),
        (packet(JOINT.format("DOWN", 98)), "joined downwards, as VENTANA DP"),
        (packet(BOTH, AOIScanned=0), "where its scanned areas lie"),
        (b"<EncodeInfo/>", "where its scanned areas lie"),
        (b"<EncodeInfo", "XML description is damaged"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><EncodeInfo/>', "document type"),
    ],
)
def test_what_cannot_be_placed_is_refused(tmp_path: Path, stitched: bytes, match: str) -> None:
    path = bif.make(tmp_path / "a.bif", [SMALL], stitched=stitched)
    with pytest.raises((DamagedSlideError, UnsupportedSlideError), match=match):
        open_slide(InMemory(path.read_bytes()))
