"""Drafts: what a member has begun to write, kept on the server so that nothing is lost with the tab. Nobody else reads
them.
"""

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from sharing import text
from sharing.db.engine import Session
from sharing.db.tables import DraftRow
from sharing.errors import InvalidError
from sharing.subjects import Member

LIMIT = 50_000


def save(session: Session, member: Member, key: str, body: str) -> None:
    """Keep `body` under the member's `key`, in place of what was there. An empty one is as good as none."""
    if len(body) > LIMIT or "\x00" in body:
        raise InvalidError(f"The draft has {len(body)} characters; at most {LIMIT} are kept. Shorten it.")
    if not body:
        return clear(session, member, key)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"body": body.encode("utf-8", "replace").decode(), "saved_us": session.now_us}
    session.execute(
        insert(DraftRow)
        .values(member_id=member.id, key=text.line(key, "The draft's key", limit=100), **values)
        .on_conflict_do_update(index_elements=["member_id", "key"], set_=values)
    )


def get(session: Session, member: Member, key: str) -> str:
    """The draft; empty if there is none."""
    mine = select(DraftRow.body).where(DraftRow.member_id == member.id, DraftRow.key == key)
    return session.scalars(mine).one_or_none() or ""


def clear(session: Session, member: Member, key: str) -> None:
    session.execute(delete(DraftRow).where(DraftRow.member_id == member.id, DraftRow.key == key))
