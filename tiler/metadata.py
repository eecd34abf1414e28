"""What a scanner says about a scan. Every field may be missing: an absent value is None, never a guess."""

from __future__ import annotations

import json
import math
import re
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any, Final

from tiler.errors import BadIndexError
from tiler.geometry import Region, Size

MAX_TEXT: Final = 256
MAX_PROPERTIES: Final = 64
MAX_JSON_BYTES: Final = 64 * 1024
MPP_RANGE: Final = (0.01, 20.0)  # an oil immersion camera … a flatbed scanner
POWER_RANGE: Final = (0.5, 200.0)
PICTURES: Final = ("label", "macro", "thumbnail")
MAX_FOCAL_PLANES: Final = 1000
# Of `properties`, where what is shown was chosen: which values run from black to white, and which plane of how many.
DISPLAY_WINDOW: Final = "iain.display-window"
FOCAL_PLANE: Final = "iain.focal-plane"

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class SlideMetadata:
    """Facts about one scan.

    ``size`` is Total Pixel Matrix Columns/Rows (0048,0006/0007); ``mpp_x``/``mpp_y`` are µm per level-0 pixel (Pixel
    Spacing (0028,0030), OpenSlide property openslide.mpp-x/-y); ``objective_power`` is Objective Lens Power
    (0048,0112); the scanner is Manufacturer (0008,0070), Model Name (0008,1090) and Device Serial Number (0018,1000);
    ``acquired_at`` is Acquisition DateTime (0008,002A), naive when the scanner names no time zone; ``barcode`` is
    Barcode Value (2200,0005, openslide.barcode); ``bounds`` is where on level 0 there is anything to see
    (openslide.bounds-*), None when that is everywhere; ``focal_planes`` is
    Total Pixel Matrix Focal Planes (0048,0303); ``pictures`` are the
    associated images there are (Image Type (0008,0008) LABEL, OVERVIEW, THUMBNAIL). ``properties`` holds technical
    fields of the vendor only: free text of a vendor may name a patient."""

    format: str
    vendor: str
    size: Size
    mpp_x: float | None = None
    mpp_y: float | None = None
    objective_power: float | None = None
    scanner_manufacturer: str | None = None
    scanner_model: str | None = None
    scanner_serial: str | None = None
    acquired_at: datetime | None = None
    icc_profile_present: bool = False
    barcode: str | None = None
    bounds: Region | None = None
    focal_planes: int | None = None
    pictures: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Canonical JSON: the same metadata give the same bytes."""
        plain = {
            "format": self.format,
            "vendor": self.vendor,
            "width": self.size.width,
            "height": self.size.height,
            "mpp_x": self.mpp_x,
            "mpp_y": self.mpp_y,
            "objective_power": self.objective_power,
            "scanner_manufacturer": self.scanner_manufacturer,
            "scanner_model": self.scanner_model,
            "scanner_serial": self.scanner_serial,
            "acquired_at": self.acquired_at.isoformat() if self.acquired_at else None,
            "icc_profile_present": self.icc_profile_present,
            "barcode": self.barcode,
            "bounds": [*astuple(self.bounds)] if self.bounds else None,
            "focal_planes": self.focal_planes,
            "pictures": [*self.pictures],
            "properties": self.properties,
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    @staticmethod
    def from_json(data: bytes) -> SlideMetadata:
        """The inverse of `to_json` for bytes nobody vouches for; raises BadIndexError for anything out of bounds."""
        if len(data) > MAX_JSON_BYTES:
            raise BadIndexError("The slide's metadata are larger than 64 kB.")
        try:
            return _checked(json.loads(data))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadIndexError("The slide's metadata are not in the expected form.") from error


def clean_text(value: str | None) -> str | None:
    """One bounded line without control or direction-changing characters; None when nothing is left."""
    if value is None:
        return None
    return _FORBIDDEN.sub(" ", value)[:MAX_TEXT].strip() or None


def number_within(value: str | float | None, bounds: tuple[float, float]) -> float | None:
    """The number if it is one and plausible, else None."""
    try:
        number = float(value) if value is not None else math.nan
    except (ValueError, OverflowError):
        return None
    return number if bounds[0] <= number <= bounds[1] else None


def _checked(plain: dict[str, Any]) -> SlideMetadata:
    names = set(SlideMetadata.__slots__) - {"size"} | {"width", "height"}
    if type(plain) is not dict or set(plain) != names:
        raise ValueError("unexpected fields")
    properties = plain["properties"]
    if type(properties) is not dict or len(properties) > MAX_PROPERTIES:
        raise ValueError("too many properties")
    acquired = _text(plain["acquired_at"])
    size = Size(_pixels(plain["width"]), _pixels(plain["height"]))
    return SlideMetadata(
        format=_required(plain["format"]),
        vendor=_required(plain["vendor"]),
        size=size,
        mpp_x=_number(plain["mpp_x"], MPP_RANGE),
        mpp_y=_number(plain["mpp_y"], MPP_RANGE),
        objective_power=_number(plain["objective_power"], POWER_RANGE),
        scanner_manufacturer=_text(plain["scanner_manufacturer"]),
        scanner_model=_text(plain["scanner_model"]),
        scanner_serial=_text(plain["scanner_serial"]),
        acquired_at=datetime.fromisoformat(acquired) if acquired else None,
        icc_profile_present=_flag(plain["icc_profile_present"]),
        barcode=_text(plain["barcode"]),
        bounds=_bounds(plain["bounds"], size),
        focal_planes=_planes(plain["focal_planes"]),
        pictures=_pictures(plain["pictures"]),
        properties={_required(key): _required(value) for key, value in properties.items()},
    )


def _text(value: object) -> str | None:
    if value is None:
        return None
    return _required(value)


def _required(value: object) -> str:
    if type(value) is not str or not value or value != clean_text(value):
        raise ValueError("text out of bounds")
    return value


def _number(value: object, bounds: tuple[float, float]) -> float | None:
    if value is None:
        return None
    if type(value) is not float or not bounds[0] <= value <= bounds[1]:
        raise ValueError("number out of bounds")
    return value


def _pixels(value: object) -> int:
    if type(value) is not int or not 0 < value < 2**32:
        raise ValueError("size out of bounds")
    return value


def _bounds(value: object, size: Size) -> Region | None:
    if value is None:
        return None
    if type(value) is not list or len(value) != 4 or any(type(number) is not int for number in value):
        raise ValueError("not a region")
    bounds = Region(*value)
    if not bounds.within(size):
        raise ValueError("bounds outside the slide")
    return bounds


def _planes(value: object) -> int | None:
    if value is not None and (type(value) is not int or not 0 < value <= MAX_FOCAL_PLANES):
        raise ValueError("focal planes out of bounds")
    return value


def _pictures(value: object) -> tuple[str, ...]:
    if type(value) is not list or value != [name for name in PICTURES if name in value]:
        raise ValueError("unknown pictures")
    return tuple(value)


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("not a flag")
    return value
