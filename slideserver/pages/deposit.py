"""Depositing slides from a disk: the page, and what its script says in the reader's language."""

from collections.abc import Mapping
from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ingest.errors import UnknownUploadError, UploadBusyError
from sharing import sightings
from sharing.errors import ConflictError
from sharing.policy import actions_of
from sharing.vocabulary import Action, UploadId
from slideserver.deps import LanguageDep, MemberDep, PageDep, StateDep, requires
from slideserver.i18n import Catalogue
from slideserver.pages import words
from slideserver.pages.words import N_
from slideserver.recording import RecordDep

router = APIRouter()

SAYINGS: Mapping[str, str] = {
    "slides": N_("Slides to deposit"),
    "accession": N_("Case number"),
    "stain": N_("Stain"),
    "block": N_("Block"),
    "for_all": N_("Case number of all these slides"),
    "no_number": N_("no number"),
    "block_of": N_("block {block}"),
    "no_such_case": N_("No case has this number yet: the slide will wait in Reception."),
    "from_name": N_("found in the name of the file"),
    "files_one": N_("{n} file"),
    "files_many": N_("{n} files"),
    "left_over_one": N_("This file belongs to no slide and is not sent:"),
    "left_over_many": N_("These {n} files belong to no slide and are not sent:"),
    "incomplete": N_("Files are missing"),
    "missing": N_("{names}. Drop these files too, or the whole folder of the slide."),
    "queued": N_("Waits its turn"),
    "reading": N_("Reading"),
    "to_send": N_("Ready to be sent"),
    "sending": N_("Sending"),
    "resumed": N_("Going on from {share}"),
    "hindered": N_("Waiting for the server"),
    "of": N_("{done} of {total}"),
    "left_seconds": N_("less than a minute left"),
    "left_minutes": N_("{n} min left"),
    "left_hours": N_("{h} h {min} left"),
    "preparing": N_("Arrived, in preparation"),
    "safe": N_("Every byte of it is on the server."),
    "later": N_("Its preparation takes long. It will be ready in Reception later."),
    "ready": N_("Ready"),
    "known": N_("It was here already: nothing was sent again."),
    "ready_unmatched": N_("Ready, without a case"),
    "unmatched": N_("No case has the number {given}: the slide waits in Reception to be attached."),
    "unnamed": N_("Sent without a number: the slide waits in Reception to be attached."),
    "claimed": N_("Two case numbers"),
    "claim": N_("These bytes are here already, as a slide of {there}. Reception decides whether {given} is right."),
    "other_case": N_("These bytes are here already, as a slide of {there}, and stay there."),
    "refused": N_("Refused"),
    "stopped": N_("Stopped"),
    "kept": N_("What has arrived is kept ({share})."),
    "failed": N_("Not sent"),
    "send_one": N_("Deposit {n} slide"),
    "send_many": N_("Deposit {n} slides"),
    "stop": N_("Stop"),
    "go_on": N_("Go on"),
    "remove": N_("Remove"),
    "open": N_("Open the slide"),
    "attach": N_("Attach to a case"),
    "arrived_of": N_("Arrived: {n} of {all}"),
    "keep_disk": N_("Keep the disk: what has not arrived is there alone."),
    "all_arrived_one": N_("The slide has arrived: the disk can be taken out."),
    "all_arrived_many": N_("All {n} slides have arrived: the disk can be taken out."),
}

# By the codes of `ingest.protocol.Problem`, and by those that the script gives itself.
PROBLEMS: Mapping[str, str] = {
    "other": N_("The server answered: {detail}"),
    "bad-request": N_("The server cannot take this as it is: {detail}"),
    "unreachable": N_("The server does not answer. Check the network; the sending goes on by itself."),
    "busy": N_("The server is busy or restarting; the sending goes on by itself."),
    "upload-busy": N_("This slide is being sent from another window; this one waits for it."),
    "store-failed": N_("The server cannot write to its disk. If it lasts, tell your administrator."),
    "signed-out": N_("Your session has ended. Sign in again in another window, then press “Go on”: nothing is lost."),
    "disk-full": N_("The server's disk is full. Tell your administrator, keep the disk, and press “Go on” later."),
    "quota-exceeded": N_(
        "Your centre's share of the disk is full. Tell your lab manager, keep the disk, and press “Go on” later."
    ),
    "too-large": N_("The slide is larger than the server takes. Tell your administrator, and keep the disk."),
    "too-many-uploads": N_("Too many slides are begun and not finished. Finish or forget those below first."),
    "file-damaged": N_("The file changed while it was read, or its disk is damaged. Copy it anew, then drop it again."),
    "files-missing": N_("Some files of the slide have not arrived. Press “Go on”."),
    "unreadable-file": N_("The file cannot be read any more. Is its disk still plugged in? Then drop it again."),
    "empty-file": N_("This file is empty. Copy it from the scanner again."),
}


BUSY = N_("This slide is being sent from another window. Stop it there first.")


@router.get("/deposit", dependencies=[requires(Action.PUSH_SLIDE)])
def deposit(
    state: StateDep, record: RecordDep, member: MemberDep, page: PageDep, language: LanguageDep
) -> HTMLResponse:
    unfinished = state.uploads.unfinished(member)
    if unfinished:
        record(sightings.list_intake, member, "deposit", len(unfinished))
    return page(
        "deposit.html",
        unfinished=[(each, asdict(each)) for each in unfinished],
        sayings=_told(state.catalogues[language]),
        allowed=actions_of(member),
    )


@router.post("/deposit/{upload_id}/forget", dependencies=[requires(Action.PUSH_SLIDE)])
def forget(state: StateDep, member: MemberDep, upload_id: str) -> Response:
    """Removes what has arrived of a slide. One that is gone already is gone."""
    try:
        with state.uploads.open(member, UploadId(upload_id)) as arrival:
            arrival.end()
    except UnknownUploadError:
        pass
    except UploadBusyError as error:
        raise ConflictError(BUSY) from error
    return RedirectResponse("/deposit", 303)


def _told(catalogue: Catalogue) -> dict[str, object]:
    def told(sentences: Mapping[str, str]) -> dict[str, str]:
        return {key: catalogue(sentence) for key, sentence in sentences.items()}

    return {
        "language": catalogue.language,
        "say": told(SAYINGS),
        "problems": told(PROBLEMS),
        "refusals": told({**words.REFUSALS, "other": words.REFUSED}),
    }
