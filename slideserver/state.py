"""Everything that lives as long as the server, in one typed value. Built by `open_state`, closed by `State.close`."""

from dataclasses import dataclass

from ingest.jobs import JobQueue
from ingest.receive import Uploads
from sharing.clock import Clock
from sharing.db.engine import Database
from slideserver.access import Access
from slideserver.assets import Assets
from slideserver.auth.members import Members
from slideserver.i18n import Catalogue, Language
from slideserver.rendering import Renderer
from slideserver.settings import Settings
from slideserver.sources import Sources
from tiler.sandbox import Sandbox
from tiler.storage.base import BlobStore


@dataclass(frozen=True, slots=True)
class State:
    settings: Settings
    clock: Clock
    database: Database
    store: BlobStore
    sandbox: Sandbox
    uploads: Uploads
    queue: JobQueue
    access: Access
    sources: Sources
    members: Members
    catalogues: dict[Language, Catalogue]
    assets: Assets
    renderer: Renderer
