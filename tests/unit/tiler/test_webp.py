"""WebP tiles: what is a bare opaque image and what is not, found without decoding."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tiler import webp
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Size

SIZE = Size(240, 128)


def image(*, alpha: bool = False, **options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (SIZE.height, SIZE.width, 4 if alpha else 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", **options)
    return out.getvalue()


@pytest.mark.parametrize("lossless", [False, True])
def test_a_bare_image_is_known_by_its_beginning(lossless: bool) -> None:
    data = image(lossless=lossless)
    prefix = data[: webp.MAX_PREFIX_BYTES]
    assert webp.is_bare(prefix)
    assert webp.frame_size(prefix) == SIZE
    assert webp.length(prefix, SIZE) == len(data)
    with pytest.raises(DamagedSlideError, match="240 × 128"):
        webp.length(prefix, Size(256, 256))


@pytest.mark.parametrize(
    "data",
    [
        image(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        image(icc_profile=b"profile"),
        image(alpha=True),
        image(alpha=True, lossless=True),
    ],
    ids=["exif", "icc", "alpha", "alpha without loss"],
)
def test_what_holds_more_than_an_opaque_image_is_not_bare(data: bytes) -> None:
    assert not webp.is_bare(data)
    with pytest.raises(UnsupportedSlideError, match="bare"):
        webp.frame_size(data)


def test_a_second_chunk_behind_the_image_is_found() -> None:
    data = image() + b"EXIF" + struct.pack("<I", 4) + b"name"
    longer = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert Image.open(io.BytesIO(longer)).size == (SIZE.width, SIZE.height)
    with pytest.raises(DamagedSlideError, match="more than an image"):
        webp.length(longer, SIZE)


@pytest.mark.parametrize("lossless", [False, True])
def test_every_byte_of_the_header_counts(lossless: bool) -> None:
    data = image(lossless=lossless)
    signature = 21 if lossless else 26
    for at in [*range(20), *([20] if lossless else range(23, signature))]:
        broken = bytearray(data)
        broken[at] ^= 0x41
        with pytest.raises(TilerError):
            webp.length(bytes(broken), SIZE)


def test_what_is_cut_is_damaged() -> None:
    for length in range(webp.MAX_PREFIX_BYTES):
        with pytest.raises(DamagedSlideError):
            webp.frame_size(image()[:length])
