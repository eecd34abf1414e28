"""Why somebody can or cannot see a slide: the truth, who is told it, and that it agrees with the policy."""

import json

import pytest
from fixtures.cases import add_slide
from sqlalchemy import select

from sharing import cases, consultations, explanation, links, objections, policy, sites, slides, why
from sharing.clock import MINUTE_US
from sharing.db.tables import AuditEventRow, CaseRow, LinkSlideRow, SlideRow
from sharing.errors import NotFoundError, RefusedError
from sharing.explanation import Code
from sharing.subjects import Guest, System
from sharing.vocabulary import Act, Action, GuestId, LinkId, Move, Origin, Purpose, new_id

ACCESSION = "26H01234"
HOUR_US = 60 * MINUTE_US


@pytest.fixture
def do(database):
    def do(function, *args, **kwargs):
        with database.writing() as session:
            return function(session, *args, **kwargs)

    return do


@pytest.fixture
def truth(database, shared):
    """The codes and the whole of what is true about somebody and a slide; it always agrees with the policy."""

    def truth(subject, slide_id=shared.first):
        with database.reading() as session:
            slide = session.get_one(SlideRow, slide_id)
            found = explanation.explain(session, subject, Action.VIEW_SLIDE, slide)
            assert found.allowed is policy.may(session, subject, Action.VIEW_SLIDE, slide).allowed
            assert found.reasons
            return [reason.code for reason in found.reasons], found

    return truth


@pytest.fixture
def ask(do, centres, shared):
    def ask(purpose=Purpose.CARE, to=None, named=(shared.first,)):
        return do(
            consultations.request,
            centres.caen.pathologist,
            centres.caen.cases[ACCESSION],
            question="Invasion ?",
            slide_id=named[0],
            slides=named,
            to_member=(to or centres.rouen.pathologist).id,
            purpose=purpose,
        )

    return ask


def test_at_home_the_role_is_the_reason(centres, truth, do):
    caen = centres.caen
    for member in (caen.pathologist, caen.trainee, caen.technician, caen.lab_manager):
        codes, found = truth(member)
        assert codes == [Code.ROLE_OPENS]
        hidden = [reason.code for reason in found.limits]
        assert hidden == ([] if member is caen.pathologist else [Code.FILE_HIDDEN])
    for member in (caen.protection_officer, caen.administrator):
        assert truth(member)[0] == [Code.ROLE_CLOSED]
    do(objections.register, caen.protection_officer, caen.cases[ACCESSION], {Purpose.AI}, Origin.MAIL)
    assert [reason.code for reason in truth(caen.pathologist)[1].limits] == [Code.OBJECTION_STANDS]


def test_what_is_not_ready_is_said_to_have_no_picture(centres, truth, shared):
    _, found = truth(centres.caen.pathologist, shared.unready)
    assert found.limits[0].code is Code.NOT_READY


def test_abroad_a_request_is_the_reason_and_its_purpose_says_what_is_hidden(centres, truth, ask, shared):
    rouen, lille, expert = centres.rouen.pathologist, centres.lille.pathologist, centres.expert
    assert truth(rouen)[0] == truth(expert)[0] == [Code.NEVER_ASKED]
    assert truth(centres.rouen.trainee)[0] == [Code.ROLE_NOT_ASKED]
    ask(Purpose.TEACHING), ask(Purpose.CARE, to=expert)
    codes, found = truth(rouen)
    assert codes == [Code.ASKED]
    assert Code.PERSON_HIDDEN in [reason.code for reason in found.limits]
    codes, found = truth(expert)
    assert codes == [Code.ASKED]
    assert [reason.code for reason in found.limits] == [
        Code.IDENTITY_HIDDEN,
        Code.LABEL_HIDDEN,
        Code.FILE_HIDDEN,
        Code.OTHERS_HIDDEN,
    ]
    assert truth(rouen, shared.second)[0] == [Code.NOT_NAMED]
    assert truth(lille)[0] == [Code.NEVER_ASKED]


def test_each_way_in_which_a_request_ends_is_a_reason(database, centres, truth, ask, do, shared):
    rouen, caen = centres.rouen.pathologist, centres.caen
    over = ask()
    do(consultations.move, rouen, over, Move.DECLINE, "Pas ma partie")
    codes, found = truth(rouen)
    assert codes == [Code.SHARE_OVER]
    assert found.reasons[0].values["state"] == "declined"
    ask(Purpose.RESEARCH)
    do(objections.register, caen.protection_officer, caen.cases[ACCESSION], {Purpose.RESEARCH}, Origin.MAIL)
    assert set(truth(rouen)[0]) == {Code.OBJECTED, Code.SHARE_OVER}
    with database.writing() as session:
        colleague = sites.add_member(
            session, "rouen", login="autre.rouen", name="Autre", role=rouen.role, password_hash="x"
        )
        account = sites.member_by_login(session, "autre.rouen")
    assert account is not None
    assert colleague == account.member.id
    ask(Purpose.CARE, to=account.member)
    assert Code.SOMEBODY_ELSE in truth(rouen)[0]
    do(slides.assign, caen.technician, shared.first, caen.cases["26H01235"])
    assert set(truth(account.member)[0]) == {Code.CASE_CHANGED}


def test_a_guest_s_link_is_the_reason_until_it_ends(database, clock, centres, truth, do, shared):
    caen = centres.caen
    made = {
        purpose: do(
            links.create,
            caen.pathologist,
            caen.cases[ACCESSION],
            [shared.first],
            purpose=purpose,
            reason="RCP",
            expires_us=clock.now_us() + HOUR_US,
            slide_id=shared.first,
        ).id
        for purpose in (Purpose.CARE, Purpose.RESEARCH)
    }
    care, research = (Guest(GuestId(""), made[purpose], caen.id) for purpose in made)
    codes, found = truth(care)
    assert codes == [Code.LINKED]
    assert found.until_us is not None
    assert truth(care, shared.second)[0] == [Code.NOT_NAMED]
    do(objections.register, caen.protection_officer, caen.cases[ACCESSION], {Purpose.RESEARCH}, Origin.MAIL)
    assert truth(research)[0] == [Code.OBJECTED]
    with database.writing() as session:
        session.get_one(LinkSlideRow, (made[Purpose.CARE], shared.first)).sha256 = "0" * 64
    assert truth(care)[0] == [Code.BYTES_CHANGED]
    do(links.revoke, caen.pathologist, made[Purpose.CARE])
    assert truth(care)[0] == [Code.SHARE_OVER]
    assert truth(Guest(GuestId(""), LinkId(new_id()), caen.id))[0] == [Code.ABSENT]


def test_about_oneself_absent_and_closed_are_one_and_both_are_on_record(database, do, centres, shared, ask):
    ask()
    rouen, stranger = centres.rouen.pathologist, centres.lille.pathologist
    assert do(why.told, rouen, shared.first).explanation.allowed
    for thing, kind in ((shared.first, "slide"), (new_id(), "slide"), (centres.caen.cases[ACCESSION], "case")):
        told = do(why.told, stranger, thing, kind)
        assert told == why.Told(explanation.ABSENT)
    with database.reading() as session:
        rows = session.execute(
            select(AuditEventRow.site_id, AuditEventRow.outcome, AuditEventRow.entities)
            .where(AuditEventRow.act == Act.ACCESS_EXPLAINED)
            .order_by(AuditEventRow.position)
        ).all()
    lille = [(outcome, json.loads(entities)) for site_id, outcome, entities in rows if site_id == "lille"]
    assert lille == [("refused", [])] * 3
    owner = [(outcome, len(json.loads(entities))) for site_id, outcome, entities in rows if site_id == "caen"]
    assert owner == [("success", 2), ("refused", 2), ("refused", 1)]
    with database.reading() as session:
        case = session.get_one(CaseRow, centres.caen.cases[ACCESSION])
        assert explanation.explain(session, stranger, Action.VIEW_CASE, case).reasons[0].code is Code.CASE_STAYS


def test_the_truth_about_others_is_for_the_owner_s_overseers(database, do, centres, shared, ask):
    ask()
    caen, about = centres.caen, f"member:{centres.rouen.pathologist.id}"
    for overseer in (caen.lab_manager, caen.protection_officer):
        told = do(why.told_about, overseer, shared.first, about)
        assert told.explanation.reasons[0].code is Code.ASKED
        assert told.case.accession == ACCESSION
        with database.reading() as session:
            people = why.people(session, overseer, session.get_one(SlideRow, shared.first))
        assert {person.site_name for person in people} == {"Caen", "Rouen", "Lille", "Experts extérieurs"}
    for member in (caen.pathologist, caen.trainee, caen.technician, caen.administrator):
        with pytest.raises(RefusedError):
            do(why.told_about, member, shared.first, about)
    for member in (centres.rouen.lab_manager, centres.lille.protection_officer):
        with pytest.raises(NotFoundError):
            do(why.told_about, member, shared.first, about)
    for absent in ("", "member:", f"member:{new_id()}", f"link:{new_id()}", "slide:x", "guest:x"):
        with pytest.raises(NotFoundError):
            do(why.told_about, caen.lab_manager, shared.first, absent)


def test_an_account_that_is_closed_is_the_reason(do, centres, shared):
    trainee = centres.caen.trainee
    do(sites.disable_member, trainee.id)
    told = do(why.told_about, centres.caen.lab_manager, shared.first, f"member:{trainee.id}")
    assert [reason.code for reason in told.explanation.reasons] == [Code.ACCOUNT_CLOSED]


def test_a_slide_without_a_case_is_explained_too(database, do, centres, truth):
    with database.writing() as session:
        slide_id = add_slide(session, centres.caen, "26H77777")
        assert cases.case_by_accession(session, centres.caen.id, "26H77777") is None
        assert slides.get_slide(session, System(), slide_id).case_id is None
    assert truth(centres.caen.pathologist, slide_id)[0] == [Code.ROLE_OPENS]
    assert truth(centres.rouen.pathologist, slide_id)[0] == [Code.NEVER_ASKED]
