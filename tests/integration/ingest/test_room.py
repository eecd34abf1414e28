"""Quota and disk are asked before a byte is sent, and what others have announced counts as taken."""

import hashlib
import os

import pytest
from fixtures.sets import commit, manifest, send
from fixtures.tus import Tus
from fixtures.upload_server import make_uploads, serving
from sqlalchemy import update

from ingest.protocol import UploadRequest
from ingest.receive import Limits
from sharing.db.tables import SiteRow

QUOTA = 100_000


def request(number: int, length: int = 40_000, accession: str | None = None) -> UploadRequest:
    return UploadRequest(f"{number}.svs", length, hashlib.sha256(data(number, length)).hexdigest(), accession)


def promise(number: int, length: int) -> UploadRequest:
    """Bytes that nobody is going to send."""
    return UploadRequest(f"{number}.svs", length, hashlib.sha256(b"%d" % number).hexdigest())


def data(number: int, length: int = 40_000) -> bytes:
    return bytes([number]) * length


@pytest.fixture
def quota(database) -> None:
    with database.writing() as session:
        session.execute(update(SiteRow).where(SiteRow.id == "caen").values(quota_bytes=QUOTA))


def refused(answer) -> bool:
    if answer.status_code == 201:
        return False
    assert (answer.status_code, answer.json()["code"]) == (507, "quota-exceeded")
    return True


def test_what_is_announced_counts_before_it_has_arrived(caen: Tus, quota, var) -> None:
    first, second = caen.create(request(1)), caen.create(request(2))
    assert refused(caen.announce(request(3)))
    assert not refused(caen.announce(request(3, 20_000))), "exactly full is allowed"
    assert refused(caen.announce(request(4, 1)))
    assert list((var / "uploads").iterdir()) == [], "not a byte was written for it"
    assert caen.patch(first, 0, data(1)).status_code == 204
    assert refused(caen.announce(request(4, 1))), "as a slide it takes what it took as an upload"
    assert not refused(caen.announce(request(2))), "what was promised stays promised"
    caen.call("DELETE", second)
    assert not refused(caen.announce(request(4, 1)))


def test_the_quota_of_one_site_is_no_other_sites(caen: Tus, centres, quota) -> None:
    caen.create(request(1, QUOTA))
    rouen = caen.of(centres.rouen.scanner_key)
    assert not refused(rouen.announce(request(2, 10 * QUOTA)))
    assert refused(caen.announce(request(2)))


def test_the_same_bytes_need_no_room(caen: Tus, quota) -> None:
    caen.patch(caen.create(request(1, QUOTA)), 0, data(1, QUOTA))
    assert refused(caen.announce(request(2, 1)))
    again = caen.create(request(1, QUOTA, "26H01234"))
    assert "IAIN-Slide" in caen.head(again).headers


def test_a_set_is_refused_before_its_first_file_is_sent(caen: Tus, quota) -> None:
    files = {f"a/{number}.dat": data(number, 30_000) for number in range(3)} | {"a.mrxs": b"x"}
    whole = manifest(files)
    assert commit(caen, whole).status_code == 409
    for name, each in files.items():
        assert send(caen, name, each).status_code == 204
    assert refused(caen.announce(request(9, 10_000))), "put aside, they take their room"
    assert commit(caen, whole).status_code == 201
    assert not refused(caen.announce(request(9, 9_999))), "and not twice when they have become a slide"
    larger = manifest({"b/0.dat": data(8, 1), "b.mrxs": b"y"})
    assert commit(caen, larger).json()["code"] == "quota-exceeded"


def test_without_a_quota_only_the_disk_is_the_limit(caen: Tus) -> None:
    assert not refused(caen.announce(promise(1, 10**9)))


def test_the_disk_is_not_promised_twice(database, var, centres, http, clock) -> None:
    """Of the disk so much is kept free that one of two uploads has its place."""
    var.mkdir(parents=True, exist_ok=True)
    disk = os.statvfs(var)
    spare = disk.f_bavail * disk.f_frsize - 3 * 10**9
    with serving(make_uploads(database, var, Limits(spare_disk_bytes=spare))) as url:
        caen = Tus(url, centres.caen.scanner_key, http)
        rouen = caen.of(centres.rouen.scanner_key)
        assert caen.announce(promise(1, 2 * 10**9)).status_code == 201
        full = rouen.announce(promise(2, 2 * 10**9))
        assert (full.status_code, full.json()["code"]) == (507, "disk-full")
        clock.advance(minutes=61)
        assert rouen.announce(promise(2, 2 * 10**9)).status_code == 201, "nobody goes on with the first one"
