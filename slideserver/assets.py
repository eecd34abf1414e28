"""The built front end: which hashed file a source entry became (Vite's manifest), and those files themselves."""

import json
from dataclasses import dataclass
from pathlib import Path

from starlette import staticfiles
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Asset:
    """One entry of the build: its script and the style sheets it brings, as addresses under /static/."""

    script: str
    styles: tuple[str, ...]


class Assets:
    """The front end in one directory. `assets("src/pages.ts")` gives the files of that entry."""

    def __init__(self, directory: Path = STATIC) -> None:
        self.directory = directory
        manifest = directory / ".vite" / "manifest.json"
        self._manifest: dict[str, dict[str, object]] = json.loads(manifest.read_text()) if manifest.exists() else {}

    def __call__(self, name: str) -> Asset:
        """The files of the entry `name`. KeyError when the front end was not built or has no such entry."""
        chunk = self._manifest.get(name)
        if chunk is None:
            raise KeyError(f"The front end has no entry {name!r}. Build it first: make front.")
        return Asset(f"/static/{chunk['file']}", tuple(self._styles(name, set())))

    def _styles(self, name: str, seen: set[str]) -> list[str]:
        """The style sheets of a chunk and of the chunks it imports, each once, imported ones first."""
        if name in seen:
            return []
        seen.add(name)
        chunk = self._manifest[name]
        imported = [style for other in _names(chunk.get("imports")) for style in self._styles(other, seen)]
        own = [f"/static/{style}" for style in _names(chunk.get("css"))]
        return list(dict.fromkeys(imported + own))


def _names(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


class StaticFiles(staticfiles.StaticFiles):
    """The files of the build. Their names carry a hash of what is in them, so a browser need never ask twice."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path.startswith("."):  # the manifest is ours
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
