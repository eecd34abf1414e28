"""A rebuilt colour profile does to colours what the scanner's does, and holds nothing that somebody wrote into it."""

import io
import random
import struct

import numpy as np
import pytest
from fixtures.profiles import chain_profile, matrix_profile, table_profile, with_tag
from PIL import Image, ImageCms

from tiler.icc import MAX_BYTES, NotAProfileError, rebuilt

SECRET = b"CANARY"
PATCHES = np.random.default_rng(5).integers(0, 256, (16, 16, 3), np.uint8)


def converted(profile: bytes) -> np.ndarray:
    """The patches in sRGB, as a colour engine sees them through the profile."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = ImageCms.profileToProfile(Image.fromarray(PATCHES), source, ImageCms.createProfile("sRGB"))
    assert image is not None
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("make", "version"),
    [(matrix_profile, 2), (matrix_profile, 4), (table_profile, 2), (table_profile, 4), (chain_profile, 4)],
)
def test_it_has_the_same_effect_and_no_text(make, version: int) -> None:
    original = make(version, SECRET)
    assert SECRET in original
    made = rebuilt(original)
    assert SECRET not in made
    assert SECRET.decode().encode("utf-16-be") not in made
    assert rebuilt(made) == made, "whoever does not trust it makes it again and compares"
    assert struct.unpack_from(">I", made)[0] == len(made)
    assert np.array_equal(converted(made), converted(original))
    assert np.abs(converted(made) - PATCHES).max() > 20, "the control: the profile changes colours"


def test_a_profile_of_another_program_is_understood() -> None:
    original = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = rebuilt(original)
    assert np.abs(converted(made) - PATCHES).max() <= 1


def changed(profile: bytes, at: int, value: bytes) -> bytes:
    return profile[:at] + value + profile[at + len(value) :]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, struct.pack(">I", 2**31)),
        (8, b"\x07"),
        (12, b"prtr"),
        (16, b"CMYK"),
        (20, b"RGB "),
        (36, b"acsq"),
        (64, struct.pack(">I", 9)),
        (128, struct.pack(">I", 65)),
        (128, struct.pack(">I", 2**32 - 1)),
        (128, struct.pack(">I", 0)),
    ],
)
def test_what_is_no_scanners_profile_is_not_passed_on(at: int, value: bytes) -> None:
    with pytest.raises(NotAProfileError):
        rebuilt(changed(matrix_profile(2, SECRET), at, value))


@pytest.mark.parametrize("version", [2, 4])
def test_a_tag_that_is_not_what_it_says_is_not_passed_on(version: int) -> None:
    sound = matrix_profile(version, SECRET)
    huge = b"curv" + bytes(4) + struct.pack(">I", 2**31)
    for name, data in (
        (b"rTRC", huge),
        (b"rTRC", b"curv"),
        (b"rTRC", b""),
        (b"gTRC", b"para" + bytes(4) + struct.pack(">HH", 9, 0) + bytes(60)),
        (b"bXYZ", b"text" + bytes(4) + SECRET * 3),
        (b"A2B0", b"mft1" + bytes(4) + b"\x04\x03\x02\0" + bytes(9000)),
        (b"A2B0", b"mft2" + bytes(4) + b"\x03\x03\xff\0" + bytes(60)),
        (b"A2B0", b"mAB " + bytes(4) + b"\x03\x03\0\0" + bytes(900)),
        (b"A2B0", b"mAB " + bytes(4) + b"\x03\x03\0\0" + struct.pack(">5I", 32, 0, 0, 4000, 0) + bytes(900)),
        (b"A2B0", b"mAB " + bytes(4) + b"\x04\x03\0\0" + struct.pack(">5I", 32, 0, 0, 0, 0) + bytes(900)),
        (b"A2B0", b"mBA " + bytes(4) + b"\x03\x03\0\0" + bytes(900)),
    ):
        with pytest.raises(NotAProfileError):
            rebuilt(with_tag(sound, name, data))
    with pytest.raises(NotAProfileError, match="larger"):
        rebuilt(sound + bytes(MAX_BYTES))


def test_damage_anywhere_is_refused_or_rebuilt_to_something_that_stays() -> None:
    """No damage makes it fall over, and nothing comes out that would not come out of itself again."""
    random_ = random.Random(3)
    for sound in (matrix_profile(2, SECRET), table_profile(4, SECRET), chain_profile(4, SECRET)):
        refused = 0
        for _ in range(400):
            data = bytearray(sound)
            for _ in range(random_.randint(1, 4)):
                data[random_.randrange(min(len(data), 900))] = random_.randrange(256)
            if random_.random() < 0.3:
                del data[random_.randrange(len(data)) :]
            try:
                made = rebuilt(bytes(data))
            except NotAProfileError:
                refused += 1
            else:
                assert rebuilt(made) == made
        assert 20 < refused < 400


def test_tags_that_lie_over_one_another_do_not_make_a_profile_too_large() -> None:
    points = 800_000
    curve = b"curv" + bytes(4) + struct.pack(">I", points) + bytes(2 * points)
    sound = matrix_profile(4, b"")
    overlaid = bytearray(with_tag(sound, b"rTRC", curve))
    for name in (b"gTRC", b"bTRC"):
        entry = overlaid.index(name, 132)
        struct.pack_into(">4sII", overlaid, entry, name, len(sound), len(curve))
    assert len(overlaid) < MAX_BYTES
    with pytest.raises(NotAProfileError, match="larger"):
        rebuilt(bytes(overlaid))
