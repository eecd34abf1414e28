"""Whether there is room for what is announced, asked before a byte of it is sent: on the disk, and in the site's quota.

What others announced and has not arrived counts as taken. In a site's quota it counts until the upload ends; on the
disk, which all sites share, as long as somebody goes on with it.
"""

import shutil
from collections.abc import Mapping

from sqlalchemy import func, select

from ingest.errors import DiskFullError, QuotaExceededError
from ingest.parts import Parts
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import SiteRow, SlideFileRow, SlideRow, UploadRow
from sharing.subjects import Sender, sender_id
from sharing.vocabulary import SiteId

GOING_ON_US = 60 * MINUTE_US


class Room:
    """`spare_bytes` of the disk are left free, for the database and for who reads."""

    def __init__(self, parts: Parts, spare_bytes: int) -> None:
        self._parts, self._spare_bytes = parts, spare_bytes

    def require(self, session: Session, sender: Sender, files: Mapping[str | None, int]) -> None:
        """Returns when there is room for these files, lengths in bytes by SHA-256. In a writing transaction the answer
        holds until its end. Raises QuotaExceededError, DiskFullError."""
        quota = select(SiteRow.quota_bytes).where(SiteRow.id == sender.site_id)
        quota_bytes = session.scalar(quota.with_for_update() if session.writable else quota)
        wanted = to_come = sum(files.values())
        for row in session.scalars(select(UploadRow).where(UploadRow.completed_us.is_(None))):
            arrived = self._parts.length(row.id)
            if row.sender == sender_id(sender) and row.sha256 is not None and row.sha256 in files:
                to_come -= arrived
                continue
            if row.site_id == sender.site_id:
                wanted += row.length
            if max(row.created_us, self._parts.touched_us(row.id)) + GOING_ON_US > session.now_us:
                to_come += row.length - arrived
        if quota_bytes is not None and wanted + _taken(session, sender.site_id) > quota_bytes:
            raise QuotaExceededError(quota_bytes)
        folder = self._parts.folder
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < to_come + self._spare_bytes:
            raise DiskFullError


def _taken(session: Session, site_id: SiteId) -> int:
    """What the files of the site's slides take, and those that wait for the others of theirs."""
    of_site = select(SlideFileRow.sha256).join(SlideRow, SlideRow.id == SlideFileRow.slide_id)
    of_site = of_site.where(SlideRow.site_id == site_id)
    kept = session.scalar(of_site.with_only_columns(func.coalesce(func.sum(SlideFileRow.length), 0)))
    aside = select(func.coalesce(func.sum(UploadRow.length), 0)).where(
        UploadRow.site_id == site_id,
        UploadRow.of_set,
        UploadRow.completed_us.is_not(None),
        UploadRow.sha256.not_in(of_site),
    )
    return (kept or 0) + (session.scalar(aside) or 0)
