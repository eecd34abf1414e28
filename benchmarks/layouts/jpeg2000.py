"""JPEG 2000 codestreams as scanners write them, among them what common encoders do not: half as many colours."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.layouts.specimen import Pixels

_SOC, _SIZ, _COD, _QCD, _SOT, _SOD, _EOC = (bytes((0xFF, mark)) for mark in (0x4F, 0x51, 0x52, 0x5C, 0x90, 0x93, 0xD9))
_SIZ_COMPONENTS = 38  # where the segment counts its components


def codestream(pixels: Pixels) -> bytes:
    """RGB or grey, at a quality that no eye tells from the original."""
    return _encoded(pixels, irreversible=True, quality_mode="dB", quality_layers=[48], mct=int(pixels.ndim == 3))


def ycbcr_codestream(pixels: Pixels) -> bytes:
    """YCbCr, every other column of the colours left out. Its packets are those of three codestreams, one a component,
    one after the other: that is what the progression by component asks for."""
    ycbcr = Image.fromarray(pixels).convert("YCbCr")
    brightness, *colours = ycbcr.split()
    planes = [np.asarray(brightness), *(np.asarray(one.reduce((2, 1))) for one in colours)]
    parts = [_parts(_encoded(plane, num_resolutions=4, progression="CPRL")) for plane in planes]
    first = parts[0][0]
    components = struct.pack(">H", 3) + bytes((7, 1, 1, 7, 2, 1, 7, 2, 1))
    size = first[_SIZ][:2] + struct.pack(">H", _SIZ_COMPONENTS + len(components) - 2)
    size += first[_SIZ][4:_SIZ_COMPONENTS] + components
    packets = b"".join(data for _, data in parts)
    start = _SOT + struct.pack(">HHIBB", 10, 0, 14 + len(packets), 0, 1)
    return b"".join((_SOC, size, first[_COD], first[_QCD], start, _SOD, packets, _EOC))


def _encoded(pixels: NDArray[np.uint8], **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG2000", no_jp2=True, **options)
    return out.getvalue()


def _parts(stream: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The segments of a codestream of one tile, and its packets."""
    found, at = {}, len(_SOC)
    while (marker := stream[at : at + 2]) != _SOD:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        found[marker] = stream[at:end]
        at = end
    return found, stream[at + 2 : -2]
