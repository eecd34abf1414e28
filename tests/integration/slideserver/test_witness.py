"""A witness and a real server: who is believed, what is shown, and the log from the browser to the verifier."""

import json
import shutil
import subprocess
import sys
import time

import httpx
import pytest
from fixtures.pages import read, rows
from fixtures.server import World
from typer.testing import CliRunner

from ingest.agent import cli
from ingest.agent.client import KeyRefusedError, NotOurServerError, TransientError
from ingest.agent.cosigner import look
from ingest.agent.cosigner_client import PlatformLogs
from ingest.agent.cosigner_record import RECORD, open_cosigner
from ingest.agent.exits import Exit
from sharing import chain, verifier, witnesses
from sharing.vocabulary import SiteId

CAEN = SiteId("caen")


@pytest.fixture
def cosigner(world: World, tmp_path):
    found = open_cosigner(tmp_path / "state" / "witness", "temoin.rouen")
    with world.database.writing() as session:
        witnesses.add(session, SiteId("rouen"), str(found.key))
    chain.seal(world.database)
    return found


def now() -> int:
    return int(time.time())


def test_a_witness_follows_the_logs_of_a_real_server(world: World, cosigner, tmp_path) -> None:
    world.signed_in("pathologiste.caen")
    chain.seal(world.database)
    with PlatformLogs(world.url, cosigner, now) as platform:
        first = list(look(cosigner, platform, now_s=now()))
        again = list(look(cosigner, platform, now_s=now()))
    assert {each.sentence for each in first} == {"witness-signed"}
    assert {"caen", "rouen", "platform"} <= {each.site for each in first}
    assert {each.sentence for each in again} <= {"witness-same", "witness-signed"}
    with world.database.reading() as session:
        assert [each.size > 0 for each in witnesses.standing(session, CAEN)] == [True]

    manager = world.signed_in("responsable.caen")
    chain.seal(world.database)
    told = manager.get("/api/audit/log")
    assert told.headers["Content-Disposition"] == 'attachment; filename="journal-caen.jsonl"'
    program = manager.get("/api/audit/verifier.py")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "verifier.py").write_bytes(program.content)
    (folder / "log").write_bytes(told.content)
    shutil.copyfile(tmp_path / "state" / "witness" / RECORD, folder / RECORD)
    command = [sys.executable, "-I", "-S", "verifier.py", "log", "--witness", RECORD, "--language", "fr"]

    def verified() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, encoding="utf-8")

    whole = verified()
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "caen : " in whole.stdout
    assert "vu par temoin.rouen" in whole.stdout
    lines = told.content.decode().split("\n")
    at = next(number for number, line in enumerate(lines) if '"seq":2}' in line)
    lines[at] = lines[at].replace('"outcome":"success"', '"outcome":"refused"')
    (folder / "log").write_text("\n".join(lines), encoding="utf-8", newline="\n")
    altered = verified()
    assert altered.returncode == 1
    assert "l'entrée 2 n'est pas celle qui a été scellée" in altered.stdout

    bare = manager.get("/api/audit/log", params={"persons": "no"}).text
    assert "agent_name" in told.text
    assert "agent_name" not in bare
    chain.seal(world.database)
    acts = [
        json.loads(line)["event"]["act"] for line in manager.get("/api/audit/log").text.split("\n") if '"event"' in line
    ]
    assert acts.count("audit.exported") == 2, "each of the files before this one"


def test_a_witness_is_believed_for_what_it_signed_and_nobody_else(world: World, cosigner, tmp_path) -> None:
    """One server for all of it: starting one takes longer than asking it."""
    strangers_get_one_answer(world, cosigner, tmp_path)
    a_signature_is_good_for_one_request(world, cosigner)
    nonsense_is_refused_in_words(world, cosigner)
    who_is_withdrawn_is_a_stranger(world, cosigner)


def strangers_get_one_answer(world: World, cosigner, tmp_path) -> None:
    stranger = open_cosigner(tmp_path / "stranger", "temoin.rouen")
    answers = []
    for proved, clock in ((stranger, now), (cosigner, lambda: now() - 3600)):
        with PlatformLogs(world.url, proved, clock) as platform:
            for ask in (
                platform.logs,
                lambda platform=platform: platform.checkpoint("caen"),
                lambda platform=platform: platform.checkpoint("nowhere"),
                lambda platform=platform: platform.hashes("caen", 0, 1),
                lambda platform=platform: platform.cosign("caen", 1, "line"),
                lambda platform=platform: platform.refuse("caen", "witness-gone"),
            ):
                with pytest.raises(KeyRefusedError):
                    ask()
    signed = world.signed_in("responsable.caen")
    for client in (world.client(), signed):
        for headers in ({}, {"Authorization": "IAIN-Witness x"}, {"Authorization": "Bearer x"}):
            answers += [
                client.get("/api/witness/logs", headers=headers),
                client.get("/api/witness/logs/caen/checkpoint", headers=headers),
                client.get("/api/witness/logs/nowhere/checkpoint", headers=headers),
                client.get("/api/witness/logs/caen/entries?after=0&until=9", headers=headers),
                client.put("/api/witness/logs/caen/cosignatures/1", headers=headers, content=b"x"),
                client.put("/api/witness/logs/caen/cosignatures/1", headers=headers, content=b"x" * 5000),
                client.put("/api/witness/logs/caen/refusal", headers=headers, content=b"gone"),
            ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def a_signature_is_good_for_one_request(world: World, cosigner) -> None:
    """Its way, its query and its body are signed."""
    sent: list[httpx.Request] = []
    with PlatformLogs(world.url, cosigner, now) as platform:
        platform._http.event_hooks["request"] = [sent.append]
        platform.hashes("caen", 0, 1)
        assert len(platform.hashes("caen", 0, 2)) == 80
        proof = sent[0].headers["Authorization"]
    client = world.client()
    same = client.get("/api/witness/logs/caen/entries?after=0&until=1", headers={"Authorization": proof})
    assert (same.status_code, len(same.content)) == (200, 40)
    for method, target in (
        ("GET", "/api/witness/logs/caen/entries?after=0&until=2"),
        ("GET", "/api/witness/logs/rouen/entries?after=0&until=1"),
        ("GET", "/api/witness/logs"),
        ("PUT", "/api/witness/logs/caen/cosignatures/1"),
    ):
        assert client.request(method, target, headers={"Authorization": proof}).status_code == 401


def nonsense_is_refused_in_words(world: World, cosigner) -> None:
    with PlatformLogs(world.url, cosigner, now) as platform:
        line = verifier.signature_line(cosigner.key, bytes(72))
        size = verifier.parse_checkpoint(platform.checkpoint("caen")).size
        for ask in (
            lambda: platform.checkpoint("nowhere"),
            lambda: platform.checkpoint("%00"),
            lambda: platform.hashes("caen", -1, 1),
            lambda: platform.hashes("caen", 0, 10**20),
            lambda: platform.cosign("caen", size, line),
            lambda: platform.cosign("caen", size, "é"),
            lambda: platform.cosign("caen", size + 99, line),
            lambda: platform.refuse("caen", "witness-bored"),
            lambda: platform.refuse("nowhere", "witness-gone"),
        ):
            with pytest.raises(NotOurServerError, match="400"):
                ask()
    with world.database.reading() as session:
        assert [each.size for each in witnesses.standing(session, CAEN)] == [0]


def who_is_withdrawn_is_a_stranger(world: World, cosigner) -> None:
    with PlatformLogs(world.url, cosigner, now) as platform:
        platform.logs()
        with world.database.writing() as session:
            witnesses.withdraw(session, "temoin.rouen")
        with pytest.raises(KeyRefusedError):
            platform.logs()


def test_a_server_that_is_away_is_no_contradiction(tmp_path) -> None:
    with (
        PlatformLogs("http://127.0.0.1:9", open_cosigner(tmp_path, "w"), now) as platform,
        pytest.raises(TransientError),
    ):
        platform.logs()


@pytest.mark.parametrize(
    "answer", ["[" * 100_000, '{"logs":[{"site":"a","key":"k","cosigned":1e999}]}', '{"logs":[1]}', "[]", "{", '"logs"']
)
def test_whatever_a_server_lists_a_witness_does_not_die_of_it(tmp_path, answer) -> None:
    with PlatformLogs("http://127.0.0.1:9", open_cosigner(tmp_path, "w"), now) as platform:
        told = httpx.MockTransport(lambda _: httpx.Response(200, text=answer))
        platform._http = httpx.Client(base_url="http://127.0.0.1:9", transport=told)
        with pytest.raises(NotOurServerError):
            platform.logs()


def test_the_command_of_the_agent_from_its_key_to_its_signature(world: World, tmp_path) -> None:
    folder = tmp_path / "agent"
    config = tmp_path / "agent.toml"
    config.write_text(f"server = '{world.url}'\nstate_folder = '{folder}'\n")

    def agent(*arguments: str):
        return CliRunner().invoke(cli.app, ["witness", "--config", str(config), "--language", "en", *arguments])

    shown = agent("--show-key", "--name", "temoin.lille")
    assert shown.exit_code == Exit.DONE, shown.output
    key = shown.stdout.strip().split("\n")[-1]
    another = agent("--show-key", "--name", "temoin.rouen")
    assert another.exit_code == Exit.USAGE
    assert "is called temoin.lille already" in another.output.replace("\n", " ")
    assert (folder / "witness" / "key").stat().st_mode & 0o777 == 0o600
    unknown = agent()
    assert unknown.exit_code == Exit.KEY_REFUSED
    assert key in unknown.output.replace("\n", "")
    with world.database.writing() as session:
        witnesses.add(session, SiteId("lille"), key)
    chain.seal(world.database)
    done = agent()
    assert done.exit_code == Exit.DONE, done.output
    assert "caen: " in done.output
    other_key = str(verifier.Key("x/caen", verifier.LOG, bytes(32)))
    refused = agent("--platform-key", other_key)
    assert refused.exit_code == Exit.REFUSED
    assert "Nothing is signed" in refused.output.replace("\n", " ")
    its_people_are_told(world)
    assert agent("--accept", "caen").exit_code == Exit.DONE
    assert "begins anew" in agent("--accept", "caen").output.replace("\n", " ")
    assert agent("--accept", "nantes").exit_code == Exit.USAGE
    assert agent("--name", "not a name").exit_code == Exit.USAGE
    assert agent("--platform-key", "x").exit_code == Exit.USAGE
    assert agent().exit_code == Exit.DONE
    page = read(world.signed_in("responsable.caen"), "/audit")
    assert not page.all(class_="contradictions")


def its_people_are_told(world: World) -> None:
    """Those of the log and those of the witness: on the page of the journal, and in the head of every other."""
    for login, site in (("responsable.caen", "de votre centre"), ("dpo.lille", "de Caen")):
        client = world.signed_in(login)
        notice = read(client, "/audit").one(class_="contradictions").text
        assert "temoin.lille (Lille)" in notice
        assert site in notice
        assert "autre clé" in notice
        row = next(each for each in rows(read(client, "/audit")) if "refuse de contresigner" in each.text)
        assert "témoin : temoin.lille" in row.text.replace("\u00a0", " ")
        assert "autre clé" in row.text
        assert "un témoin refuse" in read(client, "/shares").one("a", href="/audit", data_go="j").text
    assert not read(world.signed_in("pathologiste.caen"), "/cases").all(class_="alarm")
