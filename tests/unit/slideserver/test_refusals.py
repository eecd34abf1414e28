"""Every reason for which a slide can be refused is told in French, its values in their places."""

import ast
from pathlib import Path

import pytest

import ingest.register
import tiler
from slideserver import refusals
from slideserver.i18n import Language, load_catalogues

FRENCH, ENGLISH = load_catalogues()[Language.FR], load_catalogues()[Language.EN]
REFUSING = {"NotASlideError", "DamagedSlideError", "UnsupportedSlideError"}
SOURCES = [*Path(tiler.__file__).parent.rglob("*.py")]
# What these cannot do with a slide is no reason to refuse it.
REFUSE_NOTHING = {"__main__.py", "synthetic.py", "descriptor.py"}


def reasons():
    """The sentences in the sources that refuse a slide, a word in the place of every value."""
    for path in SOURCES:
        if path.name in REFUSE_NOTHING:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSING:
                yield f"{path.name}:{node.lineno}", sentence(node.args[0])


def sentence(node):
    if isinstance(node, ast.Constant):
        return node.value
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(part.value if isinstance(part, ast.Constant) else "42" for part in node.values)


def test_every_reason_in_the_sources_has_its_french():
    found = dict(reasons())
    assert len(found) > 40
    assert {place: said for place, said in found.items() if refusals.told(said, FRENCH) is None} == {}


@pytest.mark.parametrize(
    ("said", "french"),
    [
        ("The TIFF tag 324 is missing.", "Le champ TIFF 324 manque."),
        (
            "The file is a DICOM file; only tiled TIFF and Aperio SVS slides can be shown.",
            "Le fichier est un fichier DICOM\u202f; seules les lames TIFF en tuiles et Aperio SVS peuvent être "
            "affichées.",
        ),
        (
            "The slide's tiles are stored with JPEG 2000; only JPEG tiles can be shown.",
            "Les tuiles de la lame sont enregistrées ainsi\u00a0: JPEG 2000\u202f; seules les tuiles JPEG peuvent être "
            "affichées.",
        ),
        (
            "The slide's tiles are stored with an unknown compression (7); only JPEG tiles can be shown.",
            "Les tuiles de la lame sont enregistrées avec une compression inconnue (7)\u202f; seules les tuiles JPEG "
            "peuvent être affichées.",
        ),
        (
            "The slide lists 3 tiles where its size asks for 4.",
            "La lame énumère 3 tuiles là où sa taille en demande 4.",
        ),
    ],
)
def test_values_stay_in_their_places(said, french):
    assert refusals.told(said, FRENCH) == french
    assert refusals.told(said, ENGLISH) == said


def test_what_nobody_has_translated_is_not_told_in_french():
    assert refusals.told("It ends at byte 8.", FRENCH) is None
    assert refusals.told("It ends at byte 8.", ENGLISH) == "It ends at byte 8."
    assert refusals.told(None, FRENCH) is None


def test_a_registration_given_up_has_its_french_too():
    assert "The file could not be read in {tries} tries." in Path(ingest.register.__file__).read_text()
    assert refusals.told("The file could not be read in 5 tries.", FRENCH)
