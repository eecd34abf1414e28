"""Cases, slides, consultations and links are looked up in few modules, each of which asks the policy: the source is
read to hold it so.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
GUARDED = {"CaseRow", "SlideRow", "ConsultationRow", "OpinionRow", "LinkRow"}
MAY_LOOK = {
    "sharing/policy.py": "decides",
    "sharing/cases.py": "starts from visible_cases, or asks policy.require before it answers",
    "sharing/slides.py": "starts from visible_intake, or asks policy.require before it answers",
    "sharing/claims.py": "starts from visible_intake, or asks policy.require before it answers",
    "sharing/heartbeats.py": "asks policy.require for VIEW_INTAKE before it names the last slide of a scanner",
    "sharing/custody.py": "starts from visible_intake, but for the platform itself, which reads every file again",
    "sharing/sites.py": "sums up what the files of a site take, for who runs the machine",
    "sharing/consultations.py": "asks policy.require before it moves or answers",
    "sharing/exchange.py": "starts from visible_consultations, or comes through consultations.visible",
    "sharing/opinions.py": "answers those two alone",
    "sharing/letters.py": "needs the owner of a consultation or a link, for its chain; a mail tells nothing of it",
    "sharing/link_codes.py": "locks the row of a link whose secret somebody holds",
    "sharing/links.py": "asks policy.require, or policy.link_state on behalf of who holds the secret",
    "sharing/visits.py": "asks policy.link_state on behalf of who holds a token",
    "sharing/link_lists.py": "lists the subject's own, or asks policy.require for VIEW_SHARES or the case",
    "sharing/patients.py": "starts from objectionable_cases, or asks policy.require before it answers",
    "sharing/endings.py": "tells of patients whom sharing.patients found for the asker",
    "sharing/objections.py": "asks policy.require; tells to what a patient objects to who may see the case",
    "sharing/explanation.py": "tells the truth to sharing.why alone",
    "sharing/why.py": "tells about oneself what policy.may lets be known, asks policy.require about others",
    "sharing/shares.py": "asks policy.require for VIEW_SHARES, and lists the reader's own site",
    "sharing/certificates.py": "asks policy.require for CERTIFY_SHARES, and tells of the slides of that case alone",
    "sharing/redoing.py": "serves who runs the machine; compares an export with the database",
    "sharing/share_search.py": "makes the statements of shares.py and share_figures.py, which ask policy.require",
    "ingest/room.py": "sums up what the files of the sender's own site take, and tells nobody how much",
    "slideserver/operations/verification.py": "serves who runs the machine; reads every file again",
    "slideserver/operations/doctor.py": "serves who runs the machine; counts slides and finds their files",
    "slideserver/operations/snapshots.py": "serves who runs the machine; finds the files of every slide",
    "sharing/audit_search.py": "asks policy.require; names cases and slides of the reader's site beside their events",
}
LOOKING = {"select", "get", "get_one", "scalars", "scalar", "query", "aliased", "join", "outerjoin", "exists"}


def lookups(source: str) -> list[int]:
    """The lines on which a guarded row is handed to something that reads rows."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", getattr(call.func, "id", None)) in LOOKING
        and any(
            getattr(node, "id", getattr(node, "attr", None)) in GUARDED for arg in call.args for node in ast.walk(arg)
        )
    ]


def test_no_module_looks_up_a_guarded_row_past_the_policy():
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for package in ("sharing", "ingest", "slideserver")
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in MAY_LOOK
        for line in lookups(path.read_text("utf-8"))
    }
    assert found == set(), "Ask the module of sharing that the thing belongs to, which asks the policy."


def test_every_exception_still_exists_and_needs_its_place():
    for name in MAY_LOOK:
        assert lookups((ROOT / name).read_text("utf-8")), f"{name} looks up nothing guarded any more"


def test_the_check_finds_what_it_is_for():
    for sentence in (
        "session.execute(select(SlideRow.id).where(True))",
        "session.get(CaseRow, case_id)",
        "sa.select(tables.CaseRow)",
        "select(Other).join(SlideRow, True)",
    ):
        assert lookups(f"def handler():\n    return {sentence}\n") == [2]
    assert lookups("insert(SlideRow).values(id=1)") == []
