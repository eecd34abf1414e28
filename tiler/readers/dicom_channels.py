"""DICOM slides of several optical paths, or of more than 8 bits a sample, shown through a window that is told. Needs
the heavy libraries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from PIL import Image

from tiler import window
from tiler.address import tiles_of
from tiler.errors import UnsupportedSlideError
from tiler.geometry import Region
from tiler.readers.dicom_codecs import Samples, samples
from tiler.readers.dicom_matrix import Matrix

_KEPT_BYTES: Final = 128 * 1024 * 1024


class Channels:
    """Decodes levels, finest first, of one matrix for each optical path (`tiler.slide.Decoder`)."""

    def __init__(self, levels: Sequence[Sequence[Matrix]]) -> None:
        """Raises DamagedSlideError, UnsupportedSlideError."""
        self._levels = levels
        self._kept: OrderedDict[tuple[int, int, int, int], Samples] = OrderedDict()
        window.check_channels(len(levels[0]))
        forms = {(form.samples, form.deep) for level in levels for matrix in level for form in matrix.forms}
        if len(forms) > 1:
            raise UnsupportedSlideError("A level of the slide has frames of several sizes or kinds.")
        (count, deep), channels = min(forms), len(levels[0])
        if count > 1 and channels > 1:
            raise UnsupportedSlideError("The slide has several optical paths in colour; only one can be shown.")
        self._kind = np.dtype(np.uint16 if deep else np.uint8)
        coarsest = len(levels) - 1
        looked_at = window.look(levels[-1][0].size, max(count, channels), self._kind, partial(self.samples, coarsest))
        if count > 1:
            self.display = window.of_colour(looked_at)
        else:
            self.display = window.of_channels(looked_at, [None] * channels)

    def tile(self, level: int, area: Region) -> Image.Image:
        return self.display.picture(self.samples(level, area))

    def samples(self, level: int, area: Region) -> Samples:
        """The values as they are stored, rows × columns × samples or channels; 0 where nothing is."""
        found = [self._part(level, number, matrix, area) for number, matrix in enumerate(self._levels[level])]
        return np.concatenate(found, axis=2)

    def _part(self, level: int, number: int, matrix: Matrix, area: Region) -> Samples:
        canvas = np.zeros((area.height, area.width, matrix.forms[0].samples), self._kind)
        for col, row in tiles_of(area, matrix.size, matrix.tile):
            values = self._frame((level, number, col, row), matrix)
            if values is None:
                continue
            x, y = col * matrix.tile.width - area.x, row * matrix.tile.height - area.y
            left, top = max(0, x), max(0, y)
            part = values[top - y : area.height - y, left - x : area.width - x]
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        return canvas

    def _frame(self, key: tuple[int, int, int, int], matrix: Matrix) -> Samples | None:
        found = self._kept.pop(key, None)
        if found is None:
            frame = matrix.encoded(*key[2:])
            if frame is None:
                return None
            found = samples(*frame)
        self._kept[key] = found
        while len(self._kept) > 1 and len(self._kept) * found.nbytes > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return found
