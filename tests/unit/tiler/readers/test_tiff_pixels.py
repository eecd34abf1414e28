"""What is decoded of every kind of TIFF, sample by sample, against tifffile; and what damaged pieces come to."""

import io
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from fixtures.slides import SHORT, InMemory, one_level
from PIL import Image

from benchmarks.layouts import jpeg2000
from benchmarks.layouts import tiff as layout
from benchmarks.layouts.specimen import tissue
from tiler import codecs
from tiler.errors import DamagedSlideError, TilerError
from tiler.geometry import Region, Size
from tiler.opening import open_slide
from tiler.readers import tiff
from tiler.readers.ifd import directories
from tiler.readers.tiff_pixels import Rasters
from tiler.slide import SlideFile
from tiler.storage.local import LocalByteSource
from tiler.storage.memory import MemoryByteSource

WITHOUT_LOSS = [
    "deflate-predictor",
    "lzw-odd-tiles",
    "zstd-big-endian",
    "packbits-strips",
    "uncompressed-strip",
    "planar",
    "sixteen-bit",
    "sixteen-bit-grey",
    "alpha",
    "webp-alpha",
    "jpeg-2000",
]


@pytest.fixture(scope="module", autouse=True)
def _codecs() -> None:
    codecs.load()


def opened(data: bytes) -> SlideFile:
    return open_slide(InMemory(data))


def rasters(path: Path) -> tuple[Rasters, list[tiff.Raster]]:
    source = LocalByteSource(path)
    found = [tiff.raster(source, one, deep=True) for one in directories(source)]
    return Rasters(source, found), found


def shown(data: bytes) -> np.ndarray:
    """A whole level 0 as it is shown."""
    slide = opened(data)
    assert slide.decoder is not None
    size = slide.levels[0].size
    found = slide.decoder.tile(0, Region(0, 0, size.width, size.height))
    assert isinstance(found, Image.Image)
    return np.asarray(found)


def written(pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **{"tile": (128, 128), "compression": "deflate", **options})
    return out.getvalue()


@pytest.mark.parametrize("kind", WITHOUT_LOSS)
def test_samples_are_those_that_tifffile_reads(kind: str, tmp_path: Path) -> None:
    path = layout.MAKERS[kind](tmp_path)
    pixels, found = rasters(path)
    with tifffile.TiffFile(path) as theirs:
        for number, (page, raster) in enumerate(zip(theirs.pages, found, strict=True)):
            wanted = page.asarray()
            wanted = np.moveaxis(wanted, 0, -1) if kind == "planar" else wanted.reshape(*wanted.shape[:2], -1)
            width, height = raster.size.width, raster.size.height
            for area in (
                Region(0, 0, width, height),
                Region(width - 1, height - 1, 1, 1),
                Region(100, 90, 150, 120),
                Region(width - 40, 0, 40, height),
            ):
                ours = pixels.samples(number, area)
                theirs_there = wanted[area.y : area.y + area.height, area.x : area.x + area.width]
                assert ours.dtype == wanted.dtype
                assert np.array_equal(ours, theirs_there), (number, area)


def test_half_as_many_colours_become_red_green_and_blue(tmp_path: Path) -> None:
    pixels, [raster, _] = rasters(layout.MAKERS["jpeg-2000-ycbcr"](tmp_path))
    found = pixels.samples(0, Region(0, 0, raster.size.width, raster.size.height))
    brightness, *colours = Image.fromarray(layout.picture()).convert("YCbCr").split()
    halved = [np.repeat(np.asarray(one.reduce((2, 1))), 2, axis=1)[:, : raster.size.width] for one in colours]
    wanted = Image.fromarray(np.dstack((np.asarray(brightness), *halved)), "YCbCr").convert("RGB")
    assert np.abs(found.astype(int) - np.asarray(wanted)).max() <= 2


def test_all_colours_of_ycbcr_become_red_green_and_blue() -> None:
    pixels, out = tissue(1000, 700)[-128:, -128:], io.BytesIO()
    ycbcr = Image.fromarray(pixels).convert("YCbCr")
    Image.fromarray(np.asarray(ycbcr)).save(out, "JPEG2000", no_jp2=True, mct=0)
    change = {tiff.COMPRESSION: (SHORT, [33003]), tiff.PHOTOMETRIC: (SHORT, [6])}
    found = shown(one_level(out.getvalue(), size=Size(128, 128), change=change))
    assert np.array_equal(found, np.asarray(ycbcr.convert("RGB")))


def test_white_may_be_zero() -> None:
    grey = layout.grey()
    assert np.array_equal(shown(written(255 - grey, photometric="miniswhite")), grey)
    assert np.array_equal(shown(written(grey, photometric="minisblack")), grey)


@pytest.mark.parametrize("scale", [257, 256, 1])
def test_a_palette_of_eight_or_sixteen_bits_gives_its_colours(scale: int) -> None:
    colours = np.random.default_rng(5).integers(0, 256, (3, 256)).astype(np.uint16)
    values = np.arange(256 * 128, dtype=np.uint32).reshape(128, 256).astype(np.uint8)
    found = shown(written(values, photometric="palette", colormap=colours * np.uint16(scale)))
    assert np.array_equal(found, np.moveaxis(colours[:, values], 0, -1))


def test_alpha_is_shown_on_white() -> None:
    pixels = np.zeros((128, 384, 4), np.uint8)
    pixels[:, :128] = (200, 100, 0, 0)  # cannot be seen
    pixels[:, 128:256] = (200, 100, 0, 255)
    pixels[:, 256:] = (200, 100, 0, 51)  # a fifth of it
    seen = shown(written(pixels, photometric="rgb", extrasamples="unassalpha"))
    assert seen[0, 0].tolist() == [255, 255, 255]
    assert seen[0, 128].tolist() == [200, 100, 0]
    assert seen[0, 256].tolist() == [244, 224, 204]
    pixels[:, 256:] = (40, 20, 0, 51)  # the same, multiplied already
    assert np.array_equal(shown(written(pixels, photometric="rgb", extrasamples="assocalpha"))[:, 128:], seen[:, 128:])


def test_what_is_left_empty_is_zeros_where_a_reader_allows_it() -> None:
    data = one_level(change={tiff.TILE_LENGTHS: (4, [0] * 6)})
    source = MemoryByteSource(data)
    raster = tiff.raster(source, directories(source)[0], gaps=True)
    assert not Rasters(source, [raster]).samples(0, Region(0, 0, 300, 200)).any()


def test_more_than_is_kept_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, [raster, _] = rasters(layout.MAKERS["deflate-predictor"](tmp_path))
    whole = Region(0, 0, raster.size.width, raster.size.height)
    first = pixels.samples(0, whole)
    monkeypatch.setattr("tiler.readers.tiff_pixels._KEPT_BYTES", 1)
    again, _ = rasters(tmp_path / layout.NAME)
    assert np.array_equal(again.samples(0, whole), first)


def _level(tile: bytes, compression: int) -> bytes:
    return one_level(tile, change={tiff.COMPRESSION: (SHORT, [compression]), tiff.PHOTOMETRIC: (SHORT, [2])})


def _jpeg2000(side: int) -> bytes:
    return jpeg2000.codestream(tissue(1000, 700)[:side, :side])


PIXELS = bytes(128 * 128 * 3)
DAMAGED = {
    "deflate that is cut": _level(zlib.compress(bytes(range(256)) * 192)[:-300], 8),
    "deflate of too little": _level(zlib.compress(PIXELS[:-1]), 8),
    "no deflate": _level(b"\0" * 500, 8),
    "no lzw": _level(b"\xff" * 500, 5),
    "no packbits": _level(b"\x05", 32773),
    "no zstd": _level(b"\x28\xb5\x2f\xfd" + bytes(100), 50000),
    "no jpeg 2000": _level(bytes(5000), 34712),
    "jpeg 2000 of another size": _level(_jpeg2000(96), 34712),
    "jpeg 2000 that is cut": _level(_jpeg2000(128)[:60], 34712),
    "jpeg 2000 that claims more": _level(_jpeg2000(128).replace(b"\0\0\0\x80" * 2, b"\0\0\xff\xff" * 2), 34712),
    "no webp": _level(b"RIFF" + bytes(100), 50001),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_piece_is_an_error_of_ours(name: str) -> None:
    with pytest.raises(DamagedSlideError):
        shown(DAMAGED[name])


def test_a_bomb_gives_no_more_than_its_piece() -> None:
    bomb = zlib.compress(bytes(60_000_000), 9)
    assert not shown(_level(bomb, 8)).any()


def test_damage_anywhere_is_an_error_of_ours_or_shows_something() -> None:
    """Every byte of a tile of every coding, one after the other."""
    kinds = {34712: _jpeg2000(128), 8: zlib.compress(PIXELS), 32773: b"\x81\0" * 384, 50001: _webp()}
    chance = np.random.default_rng(3)
    shown_anyway = 0
    for compression, tile in kinds.items():
        for at in chance.integers(0, min(len(tile), 400), 30):
            broken = bytearray(tile)
            broken[at] ^= 1 << chance.integers(8)
            try:
                found = shown(_level(bytes(broken), compression))
                assert found.shape == (200, 300, 3)
                shown_anyway += 1
            except TilerError:
                continue
            except AssertionError:
                slide = opened(_level(bytes(broken), compression))
                assert slide.decoder is None, "a WebP tile that is still one"
    assert shown_anyway


def _webp() -> bytes:
    out = io.BytesIO()
    Image.fromarray(layout.transparent(tissue(1000, 700)[:128, :128])).convert("RGB").save(out, "WEBP", quality=80)
    return out.getvalue()


def test_a_webp_tile_is_passed_on_only_when_it_is_bare() -> None:
    assert opened(_level(_webp(), 50001)).levels[0].tile == Size(128, 128)
    assert opened(_level(_webp(), 50001)).decoder is None
    exif = Image.Exif()
    exif[270] = "MARTIN Paul"
    out = io.BytesIO()
    Image.fromarray(tissue(1000, 700)[:128, :128]).save(out, "WEBP", exif=exif.tobytes())
    assert b"MARTIN" in out.getvalue()
    assert opened(_level(out.getvalue(), 50001)).decoder is not None


@pytest.mark.parametrize(("bits", "shown"), [(8, True), (4, False)])
def test_jpeg_2000_of_fewer_bits_than_the_tiff_says_is_refused(bits: int, shown: bool) -> None:
    """All its colours would be nearly black."""
    white = np.full((128, 128, 3), (1 << bits) - 1, np.uint8)
    tile = imagecodecs.jpeg2k_encode(white, bitspersample=bits, codecformat="J2K", reversible=True)
    change = {tiff.COMPRESSION: (SHORT, [34712]), tiff.PHOTOMETRIC: (SHORT, [tiff.RGB])}
    decoder = opened(one_level(tile, change=change)).decoder
    if shown:
        assert (np.asarray(decoder.tile(0, Region(0, 0, 64, 64))) == 255).all()
    else:
        with pytest.raises(DamagedSlideError):
            decoder.tile(0, Region(0, 0, 64, 64))
