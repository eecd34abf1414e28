"""Every setting of the server, read once and passed down in parts.

Values come from the environment (`IAIN_…`) or from the command line; nothing below `slideserver` ever sees this type.
Each field is described in `docs/reference/settings.md`, and a test holds the two together.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1 << 20
GIB = 1 << 30
MAX_PROCESSES = 4


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IAIN_", frozen=True, extra="forbid")

    var: Path = Path("var")
    database_url: str = ""
    database_owner_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    base_url: str = ""
    checkpoint_key_file: Path | None = None
    trusted_proxies: str = ""
    secure_cookies: bool = False
    sandbox: Literal["strict", "weak"] = "strict"
    processes: int = Field(default=0, ge=0, le=64)
    workers: int = Field(default=1, ge=1, le=64)
    max_upload_bytes: int = Field(default=64 * GIB, ge=1)
    scrub_bytes_per_s: int = Field(default=20 * MIB, ge=0)
    tile_cache_bytes: int = Field(default=256 * MIB, ge=0)
    open_slides: int = Field(default=500, ge=1)
    timezone: str = "Europe/Paris"
    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_username: str = ""
    smtp_password_file: Path | None = None
    smtp_starttls: bool = True
    mail_from: str = "IAIN <iain@localhost>"

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database: the one given, or a SQLite file in the data directory."""
        return self.database_url or f"sqlite:///{(self.var / 'iain.db').absolute()}"

    @property
    def answering(self) -> int:
        """How many processes answer requests: as many as was said, or one for each core, up to four. Those fill a
        network of 10 Gbit/s with tiles, and each holds connections to the database."""
        return self.processes or min(len(os.sched_getaffinity(0)), MAX_PROCESSES)

    @property
    def address(self) -> str:
        """Where people find the server: what was said, or else where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.base_url or f"http://{host}:{self.port}").rstrip("/")
