"""What the pages call things: states, roles, acts, reasons. English message ids; the catalogues hold the French.

`install` hands a template environment everything the templates need beyond what every page gets.
"""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment

from sharing.vocabulary import Act, Contradiction, Outcome, Purpose, Role, SlideState
from slideserver import guests, refusals
from slideserver.i18n import Language
from slideserver.pages import moments, navigation


def N_(message: str) -> str:
    """Marks a message for the catalogues; it is translated where it is shown."""
    return message


STATES: Mapping[SlideState, str] = {
    SlideState.RECEIVED: N_("Received"),
    SlideState.INDEXING: N_("In preparation"),
    SlideState.READY: N_("Ready"),
    SlideState.REFUSED: N_("Refused"),
}

ROLES: Mapping[Role, str] = {
    Role.PATHOLOGIST: N_("Pathologist"),
    Role.TRAINEE: N_("Trainee"),
    Role.TECHNICIAN: N_("Technician"),
    Role.LAB_MANAGER: N_("Lab manager"),
    Role.DATA_PROTECTION_OFFICER: N_("Data protection officer"),
    Role.SITE_ADMINISTRATOR: N_("Site administrator"),
    Role.EXTERNAL_EXPERT: N_("External expert"),
}

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.SUCCESS: N_("Done"),
    Outcome.REFUSED: N_("Denied"),
    Outcome.FAILED: N_("Failed"),
}

ACTS: Mapping[Act, str] = {
    Act.SLIDE_OPENED: N_("Slide opened"),
    Act.SLIDE_RECEIVED: N_("Slide received"),
    Act.SLIDE_REGISTERED: N_("Slide registered"),
    Act.SLIDE_ASSIGNED: N_("Slide attached to a case"),
    Act.SLIDE_CLAIMED: N_("Slide sent again for another case"),
    Act.CLAIM_RESOLVED: N_("Case number decided"),
    Act.BLOB_DAMAGED: N_("Stored file damaged"),
    Act.BLOB_SOUND: N_("Stored file sound again"),
    Act.CASE_REGISTERED: N_("Case created"),
    Act.SESSION_OPENED: N_("Sign-in"),
    Act.SESSION_CLOSED: N_("Sign-out"),
    Act.ACCESS_REFUSED: N_("Access refused"),
    Act.STRANGERS_REFUSED: N_("Strangers refused"),
    Act.AUDIT_READ: N_("Journal read"),
    Act.AUDIT_VERIFIED: N_("Journal verified"),
    Act.PERSONAL_ERASED: N_("Personal data erased"),
    Act.CONSULTATION_REQUESTED: N_("Opinion requested"),
    Act.CONSULTATION_OPENED: N_("Request opened"),
    Act.CONSULTATION_ACCEPTED: N_("Request taken on"),
    Act.CONSULTATION_DECLINED: N_("Request declined"),
    Act.INFORMATION_ASKED: N_("More information asked for"),
    Act.INFORMATION_GIVEN: N_("Information given"),
    Act.OPINION_SIGNED: N_("Opinion signed"),
    Act.OPINION_AMENDED: N_("Opinion amended"),
    Act.CONSULTATION_CLOSED: N_("Request closed"),
    Act.CONSULTATION_CANCELLED: N_("Request cancelled"),
    Act.LINK_MADE: N_("Link made"),
    Act.LINK_REDEEMED: N_("Link opened"),
    Act.LINK_REFUSED: N_("Link refused"),
    Act.LINK_REVOKED: N_("Link revoked"),
    Act.SHARES_READ: N_("Shares read"),
    Act.MAIL_SENT: N_("Mail sent"),
    Act.MAIL_FAILED: N_("Mail not sent"),
    Act.MEMBER_ADDED: N_("Account created"),
    Act.MEMBER_DISABLED: N_("Account closed"),
    Act.SCANNER_ADDED: N_("Scanner added"),
    Act.SCANNER_DISABLED: N_("Scanner withdrawn"),
    Act.SCANNER_KEY_ADDED: N_("Scanner key made"),
    Act.SCANNER_KEY_ENDED: N_("Scanner key ended"),
    Act.SITE_ADDED: N_("Centre added"),
    Act.SITE_QUOTA_SET: N_("Centre's share of the disk set"),
    Act.SERVER_STARTED: N_("Server started"),
    Act.BACKUP_TAKEN: N_("Backup taken"),
    Act.BACKUP_RESTORED: N_("Backup restored"),
    Act.CASE_OPENED: N_("Case opened"),
    Act.CASES_LISTED: N_("Cases listed"),
    Act.INTAKE_READ: N_("Reception read"),
    Act.LABEL_READ: N_("Label looked at"),
    Act.SLIDE_DOWNLOADED: N_("Slide downloaded"),
    Act.UPLOAD_FORGOTTEN: N_("Upload forgotten"),
    Act.ACCESS_EXPLAINED: N_("Access explained"),
    Act.OBJECTION_REGISTERED: N_("Objection entered"),
    Act.OBJECTION_WITHDRAWN: N_("Objection withdrawn"),
    Act.OBJECTIONS_READ: N_("Objections read"),
    Act.LINK_CODE_SENT: N_("Code of a link sent"),
    Act.MEMBER_CHANGED: N_("Account changed"),
    Act.PASSWORD_RAN_OUT: N_("First password ran out unused"),
    Act.SESSIONS_ENDED: N_("Sessions ended"),
    Act.AUDIT_EXPORTED: N_("Journal exported"),
    Act.SHARES_EXPORTED: N_("Shares exported"),
    Act.CERTIFICATE_ISSUED: N_("Certificate of sharing issued"),
    Act.WITNESS_ADDED: N_("Witness added"),
    Act.WITNESS_DISABLED: N_("Witness withdrawn"),
    Act.WITNESS_REFUSED: N_("Witness refuses to countersign"),
    Act.WITNESS_RESUMED: N_("Witness countersigns again"),
}

PURPOSES: Mapping[Purpose, str] = {
    Purpose.CARE: N_("care"),
    Purpose.TUMOUR_BOARD: N_("tumour board"),
    Purpose.TEACHING: N_("teaching"),
    Purpose.RESEARCH: N_("research"),
    Purpose.AI: N_("analysis by a program"),
}

# How a link or a request stands as something that is open to others: its word, and its shape.
SHARES: Mapping[str, tuple[str, str]] = {
    "live": (N_("in force"), "standing"),
    "used_up": (N_("in force, uses spent"), "standing"),
    "expired": (N_("expired"), "success"),
    "revoked": (N_("revoked"), "ended"),
    "maker_gone": (N_("ended with its maker’s right"), "ended"),
    "objected": (N_("ended by an objection"), "ended"),
    "requested": (N_("asked"), "standing"),
    "opened": (N_("opened"), "standing"),
    "accepted": (N_("taken on"), "standing"),
    "more_information": (N_("more asked for"), "standing"),
    "answered": (N_("answered"), "answered"),
    "declined": (N_("declined"), "ended"),
    "closed": (N_("closed"), "success"),
    "cancelled": (N_("cancelled"), "ended"),
}

# Why a try at a link was in vain, for whoever made it.
VAIN: Mapping[str, str] = {
    "wrong_key": N_("wrong key"),
    "wrong_code": N_("wrong code"),
    "stale_code": N_("code no longer valid"),
    "used_up": N_("uses spent"),
    "expired": N_("expired"),
    "revoked": N_("revoked"),
    "maker_gone": N_("ended with its maker’s right"),
    "objected": N_("ended by an objection"),
}

# Why a link opens nothing: a title and a sentence.
LINK_PROBLEMS: Mapping[str, tuple[str, str]] = {
    "wrong": (
        N_("This link opens nothing"),
        N_("Its address is not the one that was sent to you. Copy the whole address again, up to its last letter."),
    ),
    **{
        name: (N_("This link is over"), guests.ENDS[state])
        for state, name in guests.PROBLEMS.items()
        if state in guests.ENDS
    },
}

REFUSALS: Mapping[str, str] = {
    "not-a-slide": N_(
        "This file is not a slide that IAIN can read. Export the scan as SVS or tiled TIFF, then send it."
    ),
    "damaged": N_("The file is damaged or cut short. Copy it from the scanner again, then send the new copy."),
    "unsupported": N_(
        "The file is sound, but stored in a way that IAIN does not read yet. Export it as SVS with JPEG."
    ),
    "decoder-died": N_("The file made the decoder stop: it is damaged or hostile. Scan the glass again."),
    "decoder-timeout": N_(
        "Reading the file took too long. Send it again; if it is refused again, scan the glass again."
    ),
    "digest-mismatch": N_("The stored bytes are not those that were sent. Send the file again."),
    "bad-index": N_("The file describes itself wrongly. Export it from the scanner again, then send it."),
}
REFUSED = N_("The slide could not be prepared. Send it again; if it is refused again, call your administrator.")

# What `sharing.chain` says of the first entry that is not as it was sealed.
FLAWS: tuple[str, ...] = (
    N_("its event is missing"),
    N_("its event belongs to another chain"),
    N_("it does not stand on the entry before it"),
    N_("the event is not in the format it was sealed in"),
    N_("the event or its seal is not as it was sealed"),
    N_("the event is filed under another case or slide than it names"),
    N_("the personal part of the event is not the one that was sealed"),
    N_("the entry holds bytes that are no text"),
    N_("the event has no seal and does not wait for one"),
)

# What a witness holds against a journal.
CONTRADICTIONS: Mapping[Contradiction, str] = {
    Contradiction.SHORTER: N_(
        "the journal has fewer entries than it countersigned: some were removed, or an old copy was put back"
    ),
    Contradiction.REWRITTEN: N_("the journal is not what it countersigned with something added: it was rewritten"),
    Contradiction.GONE: N_("the journal is no longer shown to it"),
    Contradiction.RENAMED: N_("the journal goes by another name than before"),
    Contradiction.OTHER_KEY: N_("the journal is signed with another key than the one it knows"),
    Contradiction.UNSIGNED: N_("the journal is not signed by the platform"),
    Contradiction.ENTRIES_MISSING: N_("entries of the journal are not shown to it"),
    Contradiction.NONSENSE: N_("the platform told it what no journal can say"),
}

ORGANS: tuple[str, ...] = (
    N_("breast"),
    N_("skin"),
    N_("liver"),
    N_("colon"),
    N_("stomach"),
    N_("lung"),
    N_("prostate"),
    N_("kidney"),
    N_("bladder"),
    N_("uterus"),
    N_("ovary"),
    N_("thyroid"),
    N_("lymph node"),
    N_("brain"),
    N_("soft tissue"),
    N_("bone"),
)


def refusal(code: str | None) -> str:
    """Why a slide was refused and what to do about it, as a message id."""
    return REFUSALS.get(code or "", REFUSED)


def install(environment: Environment, language: Language) -> None:
    """Give the templates of one language their words, dates and figures."""
    names: dict[str, Any] = environment.globals
    timezone: ZoneInfo = names["timezone"]
    now_us: Callable[[], int] = names["now_us"]
    environment.globals.update(
        state_words=STATES,
        role_words=ROLES,
        outcome_words=OUTCOMES,
        act_words=ACTS,
        organ_words=ORGANS,
        contradiction_words=CONTRADICTIONS,
        purpose_words=PURPOSES,
        share_words=SHARES,
        vain_words=VAIN,
        link_problems=LINK_PROBLEMS,
        refusal=refusal,
        refusal_reason=lambda reason: refusals.told(reason, names["catalogue"]),
        pages_of=navigation.pages_of,
        why_of=navigation.why_of,
        tell=lambda when_us: moments.tell(when_us, now_us(), timezone, language),
        ahead=lambda when_us: moments.ahead(when_us, now_us(), timezone, language),
    )
    environment.filters.update(
        twice=lambda value: (value, value),
        exact_hour=lambda when_us: moments.exact_hour(when_us, timezone),
        short_moment=lambda when_us: moments.short_moment(when_us, timezone, language),
        translated=lambda words: [(value, names["catalogue"].gettext(word)) for value, word in words.items()],
        number=lambda value: moments.number(value, language),
        mm=lambda pixels, mpp: moments.size_mm(pixels, mpp, language),
        bytes=lambda length: moments.bytes_in_words(length, language),
        day=lambda when_us: moments.name_of_day(when_us, timezone, language),
        hour=lambda when_us: moments.hour(when_us, timezone, language),
        short_day=lambda day: moments.short_day(day, language),
        duration=lambda length_us: moments.duration(length_us, language),
    )
