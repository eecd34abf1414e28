"""Slides that differ in nothing but their name: each has a hard link to the same bytes, so a thousand cost little."""

import hashlib
import os

from benchmarks.torture_sharing.stage import Stage
from ingest.directory import PROFILE
from sharing import slides
from sharing.slides import ImageFacts, StoredFile
from sharing.vocabulary import SlideId
from tiler.index import TileIndex
from tiler.storage.local import LocalBlobStore


def add_twin(on: Stage, name: str, accession: str) -> SlideId:
    """One more slide of Caen, ready to be read, with everything that can be asked for of a slide."""
    index = TileIndex(on.world.indexed.index_bytes)
    size = index.levels[0].size
    facts = ImageFacts("aperio", size.width, size.height, 0.499, 0.499, 20.0, has_label=True, has_macro=True)
    file = StoredFile(f"{name}.svs", _link(on, name), on.slide.length)
    with on.database.writing() as session:
        slide_id = slides.create_slide(session, on.centres.caen.agent, files=[file], accession=accession)
        on.world._write_index(slide_id)
        (on.settings.var / "slides" / slide_id / PROFILE).write_bytes(b"a profile")
        slides.mark_ready(session, slide_id, index_digest=index.digest, image=facts)
    return slide_id


def _link(on: Stage, name: str) -> str:
    """The digest under which the scan's bytes lie once more."""
    bytes_of = LocalBlobStore(on.settings.var / "blobs").path(on.slide.site_id, on.slide.sha256)
    digest = hashlib.sha256(name.encode()).hexdigest()
    place = bytes_of.parent.parent / digest[:2] / digest
    place.parent.mkdir(exist_ok=True)
    os.link(bytes_of, place)
    return digest
