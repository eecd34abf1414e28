"""Streams taken apart and put together: what is kept decodes to the same pixels, what is foreign does not pass."""

import io
import struct

import numpy as np
import pytest
from fixtures.slides import jpeg_image
from PIL import Image

from tiler import jpeg
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.jpeg import Colour

SIZE = Size(64, 48)
BARE = jpeg.header(None, Colour.YCBCR)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def noisy(**options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def with_segment(image: bytes, marker: int, payload: bytes, *, before: int) -> bytes:
    """The image with one more segment before the first one of kind `before`."""
    at = next(one.start for one in jpeg.segments(image) if one.marker == before)
    return image[:at] + bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload + image[at:]


def test_a_tile_of_its_own_is_served_without_its_application_data() -> None:
    image = with_segment(noisy(), 0xE1, b"Exif\0\0 patient DUPONT", before=jpeg.DQT)
    image = with_segment(image, 0xFE, b"comment", before=jpeg.DQT)
    start, end = jpeg.body(image, SIZE, BARE)
    served = BARE + image[start:end]
    assert b"DUPONT" not in served
    assert b"comment" not in served
    assert b"JFIF" not in served
    assert np.array_equal(decoded(served), decoded(image))


def test_shared_tables_and_an_abbreviated_tile_make_a_whole_image() -> None:
    image = noisy()
    parts = list(jpeg.segments(image))
    tables = b"".join(image[one.start : one.end] for one in parts if one.marker in (jpeg.DQT, jpeg.DHT))
    rest = b"".join(image[one.start : one.end] for one in parts if one.marker not in (jpeg.DQT, jpeg.DHT))
    short = jpeg.SOI + rest + image[parts[-1].end :]
    shared = jpeg.header(jpeg.SOI + tables + jpeg.EOI, Colour.YCBCR)
    start, end = jpeg.body(short, SIZE, shared)
    assert np.array_equal(decoded(shared + short[start:end]), decoded(image))


def test_the_header_says_which_colours_the_components_are() -> None:
    image = noisy(keep_rgb=True, subsampling=0)
    image = image[:2] + image[next(jpeg.segments(image)).end :]  # without a word of its own
    for colour, same in ((Colour.RGB, True), (Colour.YCBCR, False)):
        header = jpeg.header(None, colour)
        start, end = jpeg.body(image, SIZE, header)
        assert np.array_equal(decoded(header + image[start:end]), decoded(image)) is same


def test_a_stream_states_its_colours_by_jfif_or_by_the_transform_that_adobe_names() -> None:
    jfif = noisy(subsampling=0)
    bare = jfif[:2] + jfif[next(jpeg.segments(jfif)).end :]
    assert jpeg.stated_colour(jfif, Colour.RGB) is Colour.YCBCR
    for otherwise in (Colour.RGB, Colour.YCBCR):
        assert jpeg.stated_colour(bare, otherwise) is otherwise
        assert jpeg.stated_colour(bare[:9], otherwise) is otherwise
        for stated in (Colour.RGB, Colour.YCBCR):
            assert jpeg.stated_colour(jpeg.header(None, stated) + bare[2:], otherwise) is stated


def test_a_stream_with_fewer_colours_than_brightness_is_not_rgb() -> None:
    for subsampling, colour in ((0, Colour.RGB), (1, Colour.YCBCR), (2, Colour.YCBCR)):
        image = noisy(subsampling=subsampling)
        bare = image[:2] + image[next(jpeg.segments(image)).end :]
        assert jpeg.stated_colour(bare, Colour.RGB) is colour


def test_a_tile_that_states_other_colours_than_its_level_is_refused() -> None:
    with pytest.raises(DamagedSlideError, match="differ in how they store colours"):
        jpeg.body(noisy(), SIZE, jpeg.header(None, Colour.RGB))


def test_missing_huffman_tables_are_the_typical_ones() -> None:
    image = noisy()
    quantisation = b"".join(image[one.start : one.end] for one in jpeg.segments(image) if one.marker == jpeg.DQT)
    shared = jpeg.header(jpeg.SOI + quantisation + jpeg.EOI, Colour.YCBCR)
    parts = [image[one.start : one.end] for one in jpeg.segments(image) if one.marker not in (jpeg.DQT, jpeg.DHT)]
    end = list(jpeg.segments(image))[-1].end
    short = jpeg.SOI + b"".join(parts) + image[end:]
    start, stop = jpeg.body(short, SIZE, shared)
    assert np.array_equal(decoded(shared + short[start:stop]), decoded(image))


def test_padding_behind_the_image_is_left_behind() -> None:
    image = noisy()
    assert jpeg.body(image + bytes(5), SIZE, BARE)[1] == len(image)


def test_restart_markers_belong_to_the_image() -> None:
    image = noisy(restart_marker_rows=1)
    assert b"\xff\xd0" in image
    assert jpeg.body(image, SIZE, BARE)[1] == len(image)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (b"", DamagedSlideError),
        (b"\xff\xd8", DamagedSlideError),
        (b"\xff\xd8\xff\xd9", DamagedSlideError),
        (b"\xff\xd8\xff\xdb\x00\x01", DamagedSlideError),
        (b"\xff\xd8\xff\xdb\xff\xff\x00", DamagedSlideError),
        (b"\xff\xd8\x00\x00\x00\x00", DamagedSlideError),
        (noisy()[:-2], DamagedSlideError),
        (noisy() + b"and a name", DamagedSlideError),
        (noisy() + noisy(), DamagedSlideError),
        (with_segment(noisy(), 0xFE, b"name", before=jpeg.DHT), DamagedSlideError),
        (with_segment(noisy(), 0xE1, b"name", before=0xDA), DamagedSlideError),
        (noisy(progressive=True), UnsupportedSlideError),
        (jpeg_image(Size(64, 64)), DamagedSlideError),
    ],
)
def test_what_is_not_one_bare_image_of_the_right_size_is_refused(image: bytes, error: type[TilerError]) -> None:
    with pytest.raises(error):
        jpeg.body(image, SIZE, BARE)


def test_a_comment_within_the_image_data_is_refused() -> None:
    image = noisy()
    scan = list(jpeg.segments(image))[-1].end
    smuggled = image[: scan + 200] + b"\xff\xfe\x00\x06name" + image[scan + 200 :]
    with pytest.raises(DamagedSlideError, match="foreign"):
        jpeg.body(smuggled, SIZE, BARE)


def test_grey_and_deep_images_are_refused_as_unsupported() -> None:
    out = io.BytesIO()
    Image.new("L", (64, 48)).save(out, "JPEG")
    with pytest.raises(UnsupportedSlideError):
        jpeg.body(out.getvalue(), SIZE, BARE)


def test_tables_that_contain_an_image_are_refused() -> None:
    with pytest.raises(DamagedSlideError):
        jpeg.header(noisy(), Colour.RGB)


def test_a_tile_without_any_quantisation_table_is_refused() -> None:
    image = noisy()
    parts = [image[one.start : one.end] for one in jpeg.segments(image) if one.marker != jpeg.DQT]
    end = list(jpeg.segments(image))[-1].end
    with pytest.raises(DamagedSlideError, match="tables"):
        jpeg.body(jpeg.SOI + b"".join(parts) + image[end:], SIZE, BARE)


def test_the_size_of_a_whole_image_is_read_from_its_frame() -> None:
    assert jpeg.frame_size(noisy()) == SIZE
    with pytest.raises(DamagedSlideError):
        jpeg.frame_size(b"\xff\xd8\xff\xd9")
