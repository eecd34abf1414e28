"""What a request for an opinion looks like to each of the two who hold it: whose turn it is, and what can be done.

Pure: consultations in, message ids out. `{site}` in a message is the centre of the other one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sharing.exchange import Consultation
from sharing.veil import VeiledSlide
from sharing.vocabulary import Agreement, ConsultationState, Move, Side
from slideserver.pages.words import N_

State = ConsultationState

AGREEMENTS: Mapping[Agreement, str] = {
    Agreement.AGREE: N_("Agreement"),
    Agreement.MINOR: N_("Minor disagreement"),
    Agreement.MAJOR: N_("Major disagreement"),
    Agreement.UNDECIDED: N_("No conclusion"),
}

CHOICES: Mapping[Agreement, tuple[str, str]] = {
    Agreement.AGREE: (N_("I agree"), N_("with the diagnosis proposed")),
    Agreement.MINOR: (N_("Minor disagreement"), N_("nothing changes for the patient")),
    Agreement.MAJOR: (N_("Major disagreement"), N_("it changes what is done")),
    Agreement.UNDECIDED: (N_("I cannot conclude"), N_("from these slides")),
}

MOVES: Mapping[Move, str] = {
    Move.REQUEST: N_("Opinion requested"),
    Move.OPEN: N_("Request opened"),
    Move.ACCEPT: N_("Taken on"),
    Move.DECLINE: N_("Declined"),
    Move.ASK: N_("More information asked for"),
    Move.REPLY: N_("Information given"),
    Move.ANSWER: N_("Opinion signed"),
    Move.AMEND: N_("Opinion amended"),
    Move.CLOSE: N_("Request closed"),
    Move.CANCEL: N_("Request cancelled"),
}

# A few words for a list, then a sentence for the page.
TURNS: Mapping[Side, Mapping[ConsultationState, tuple[str, str]]] = {
    Side.REQUESTER: {
        State.REQUESTED: (N_("{site} has not opened it"), N_("{site} has your request and has not opened it yet.")),
        State.OPENED: (N_("{site} has opened it"), N_("{site} has opened your request. The opinion arrives here.")),
        State.ACCEPTED: (N_("{site} takes it on"), N_("{site} has taken it on. The opinion arrives here.")),
        State.MORE_INFORMATION: (
            N_("You: give more information"),
            N_("{site} needs to know more before answering. Read the question below and reply."),
        ),
        State.ANSWERED: (
            N_("You: read the opinion"),
            N_("{site} has answered. Close the request when you have read it: until then, {site} sees the slides."),
        ),
        State.DECLINED: (
            N_("{site} declined"),
            N_("{site} has declined and no longer sees the slides. Ask another colleague from the viewer."),
        ),
        State.CLOSED: (N_("Closed"), N_("The request is closed: {site} no longer sees the slides.")),
        State.CANCELLED: (N_("Cancelled"), N_("You cancelled the request: {site} does not see the slides.")),
    },
    Side.CONSULTANT: {
        State.REQUESTED: (N_("You: open it"), N_("{site} asks for your opinion.")),
        State.OPENED: (
            N_("You: answer"),
            N_("{site} waits for your opinion. You can take your time: say that you take it on."),
        ),
        State.ACCEPTED: (N_("You: answer"), N_("You have taken it on; {site} knows, and waits for your opinion.")),
        State.MORE_INFORMATION: (
            N_("{site} is to reply"),
            N_("{site} has your question. You need not wait: you can answer at any time."),
        ),
        State.ANSWERED: (
            N_("Answered"),
            N_("{site} has your opinion. You see the slides until the request is closed."),
        ),
        State.DECLINED: (N_("Declined"), N_("You declined: the slides are no longer open to you.")),
        State.CLOSED: (N_("Closed"), N_("{site} has closed the request: the slides are no longer open to you.")),
        State.CANCELLED: (
            N_("Cancelled by {site}"),
            N_("{site} has cancelled the request: the slides are no longer open to you."),
        ),
    },
}

GONE = N_(
    "The account of the colleague you asked is closed: nobody will answer. Cancel this request and ask somebody else."
)


@dataclass(frozen=True, slots=True)
class Step:
    """A move as a form. `opens`: what unfolds it (empty: it is there at once); `asks`: what its note is for (empty: it
    takes none); `word`: what the button says, which is what will happen.
    """

    move: Move
    word: str
    opens: str = ""
    asks: str = ""
    primary: bool = False


STEPS = (
    Step(Move.REPLY, N_("Send the reply to {site}"), asks=N_("Your reply"), primary=True),
    Step(Move.ACCEPT, N_("Tell {site} that I take it on")),
    Step(
        Move.ASK,
        N_("Send the question to {site}"),
        opens=N_("Ask for more information"),
        asks=N_("What do you need to know?"),
    ),
    Step(
        Move.DECLINE,
        N_("Decline: {site} is told, the slides close"),
        opens=N_("Decline"),
        asks=N_("Why? Your colleague reads it."),
    ),
    Step(Move.CLOSE, N_("Close: {site} no longer sees the slides"), primary=True),
    Step(Move.CANCEL, N_("Cancel: {site} does not see the slides any more")),
)


def steps(consultation: Consultation) -> list[Step]:
    """The moves the reader can make now, in the order in which they are offered."""
    return [step for step in STEPS if step.move in consultation.may]


def turn_shape(consultation: Consultation) -> str:
    """How the turn is drawn, one of: yours, theirs, answered, ended, success."""
    if consultation.ball is None:
        ended = consultation.state in (State.DECLINED, State.CANCELLED)
        return "ended" if ended else "success"
    if consultation.state is State.ANSWERED:
        return "answered"
    return "yours" if consultation.ball is consultation.side else "theirs"


def sees_slides(consultation: Consultation) -> bool:
    """Whether the reader can open them: the one who asks always can, the other one while the request lives."""
    return consultation.side is Side.REQUESTER or consultation.shows_slides


def pinned_slide(consultation: Consultation) -> VeiledSlide | None:
    """The slide of the pinned view; None when the reader cannot open it."""
    if not sees_slides(consultation):
        return None
    return next((slide for slide in consultation.veiled.slides if slide.id == consultation.slide_id), None)


def other_site(consultation: Consultation) -> str:
    return consultation.to_site_name if consultation.side is Side.REQUESTER else consultation.site_name


def view_address(consultation: Consultation) -> str:
    return f"/slides/{consultation.slide_id}" + (f"#{consultation.view}" if consultation.view else "")
