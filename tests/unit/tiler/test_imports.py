"""What an import costs: the web process must not load a decoder, and the package says what it offers."""

import subprocess
import sys

import tiler

HEAVY = ("PIL", "numpy", "openslide", "rich", "ctypes")


def test_importing_what_the_server_uses_loads_no_decoder() -> None:
    modules = "tiler, tiler.sandbox, tiler.cutters, tiler.source, tiler.verification, tiler.storage.local"
    code = f"import sys, {modules}; print([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    assert all(hasattr(tiler, name) for name in tiler.__all__)
