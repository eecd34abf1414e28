"""Every reason for which a slide can be refused is told in French, its values in their places."""

import ast
from pathlib import Path

import pytest

import ingest.register
import tiler
from slideserver import refusals
from slideserver.i18n import Language, load_catalogues
from slideserver.reasons import KINDS
from tiler.readers import bif, czi_scan, ndpi, tiff, vms

FRENCH, ENGLISH = load_catalogues()[Language.FR], load_catalogues()[Language.EN]
REFUSING = {"NotASlideError", "DamagedSlideError", "UnsupportedSlideError"}
SOURCES = [*Path(tiler.__file__).parent.rglob("*.py")]
# What these cannot do with a slide is no reason to refuse it.
REFUSE_NOTHING = {"__main__.py", "synthetic.py", "descriptor.py"}


def reasons():
    """The sentences in the sources that refuse a slide, a word in the place of every value that is no constant."""
    for path in SOURCES:
        if path.name in REFUSE_NOTHING:
            continue
        tree = ast.parse(path.read_text())
        constants = dict(constants_of(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSING:
                yield f"{path.name}:{node.lineno}", sentence(node.args[0], constants)
    yield from (("vms.py", said) for said in vms._KINDS.values())


def constants_of(tree):
    """Name → text, of the constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
            yield node.target.id, node.value.value


def sentence(node, constants):
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return constants[node.id]
    if isinstance(node, ast.BoolOp):
        return sentence(node.values[-1], constants)
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(
        part.value if isinstance(part, ast.Constant) else value(part.value, constants) for part in node.values
    )


def value(node, constants):
    known = constants.get(node.id) if isinstance(node, ast.Name) else None
    return known if isinstance(known, str) else "42"


def test_every_reason_in_the_sources_has_its_french():
    found = dict(reasons())
    assert len(found) > 200
    assert {place: said for place, said in found.items() if refusals.told(said, FRENCH) is None} == {}


@pytest.mark.parametrize(
    ("said", "french"),
    [
        ("The TIFF tag 324 is missing.", "Le champ TIFF 324 manque."),
        (
            "The file is a PDF document, which cannot be shown as a slide.",
            "Le fichier est un document PDF, qui ne peut être affiché comme une lame.",
        ),
        (
            "The slide's tiles are stored with JPEG XL, which cannot be shown.",
            "Les tuiles de la lame sont enregistrées ainsi\u00a0: JPEG XL\u202f; cela ne peut être affiché.",
        ),
        (
            "The slide is not complete: Data0001.dat is missing.",
            "La lame n’est pas complète\u00a0: Data0001.dat manque.",
        ),
        (
            "The slide is not complete: Data0001.dat, Data0002.dat and 7 more are missing.",
            "La lame n’est pas complète\u00a0: Data0001.dat, Data0002.dat et 7 autres manquent.",
        ),
        (
            "The slide's tiles are stored with an unknown compression (77), which cannot be shown.",
            "Les tuiles de la lame sont enregistrées avec une compression inconnue (77), qui ne peut être affichée.",
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


@pytest.mark.parametrize(
    "names", [tiff._NAMES, czi_scan._PIXELS, czi_scan._DIMENSIONS, ndpi._COMPRESSIONS, bif._OTHER_DIRECTIONS]
)
def test_what_stands_in_the_places_has_its_french_unless_it_is_a_name(names):
    assert {name for name in names.values() if name[0].islower()} - {"deflate"} <= set(KINDS)


def test_what_nobody_has_translated_is_not_told_in_french():
    assert refusals.told("It ends at byte 8.", FRENCH) is None
    assert refusals.told("It ends at byte 8.", ENGLISH) == "It ends at byte 8."
    assert refusals.told(None, FRENCH) is None


def test_a_registration_given_up_has_its_french_too():
    assert "The file could not be read in {tries} tries." in Path(ingest.register.__file__).read_text()
    assert refusals.told("The file could not be read in 5 tries.", FRENCH)
