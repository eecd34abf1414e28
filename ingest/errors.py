"""Everything that ingest refuses, with the sentence for a person and the code for a program.

IngestError
├── KeyRefusedError           the scanner's key is missing, wrong or withdrawn
├── SignedOutError            the session of the person who sends is over
├── UnknownUploadError        no such upload of this sender (also: somebody else's)
├── UnknownSlideError         no such slide at this sender's site
├── WrongOffsetError          the piece does not begin where the file ends
├── UploadBusyError           another request is writing this upload
├── PieceDamagedError         a piece's SHA-256 differs; the piece was dropped
├── FileDamagedError          the whole file's SHA-256 differs; the file was dropped
├── TooLargeError             longer than allowed, or longer than declared
├── ContradictionError        the same bytes were announced with another length
├── BadManifestError          what is said of the files of a slide makes no sense
├── FilesMissingError         some files of a slide have not arrived
├── TooManyUploadsError       this sender has too many unfinished uploads
├── QuotaExceededError        the site has as many slides as it may have
├── DiskFullError             no space; what was acknowledged is kept
├── StoreFailedError          the disk answered with an error; what was acknowledged is kept
└── JobError
    ├── LeaseLostError        the job was taken over by another worker
    └── NotNowError           the machine, not the slide, prevents the work; try later without counting
"""

from typing import ClassVar

from ingest.protocol import Problem

_LISTED = 5


class IngestError(Exception):
    """Something ingest refuses; the message says what happened and what to do."""

    code: ClassVar[Problem] = Problem.BAD_REQUEST


class KeyRefusedError(IngestError):
    code = Problem.KEY_REFUSED

    def __init__(self) -> None:
        super().__init__("This scanner's key is not accepted. Ask the person who manages the platform for a new key.")


class SignedOutError(IngestError):
    code = Problem.SIGNED_OUT

    def __init__(self) -> None:
        super().__init__("Your session has ended. Sign in again; what had arrived is kept, and the rest follows.")


class UnknownUploadError(IngestError):
    code = Problem.UNKNOWN_UPLOAD

    def __init__(self) -> None:
        super().__init__("There is no such upload of this sender. Announce the file again.")


class UnknownSlideError(IngestError):
    code = Problem.UNKNOWN_SLIDE

    def __init__(self) -> None:
        super().__init__("This site has no such slide.")


class WrongOffsetError(IngestError):
    code = Problem.WRONG_OFFSET

    def __init__(self, sent: int, held: int) -> None:
        self.held = held
        super().__init__(
            f"The piece begins at byte {sent:,} but {held:,} bytes are held. Ask for the offset and go on from there."
        )


class UploadBusyError(IngestError):
    code = Problem.UPLOAD_BUSY

    def __init__(self) -> None:
        super().__init__("Another request is writing this upload. Wait a moment, then ask for the offset again.")


class PieceDamagedError(IngestError):
    code = Problem.PIECE_DAMAGED

    def __init__(self) -> None:
        super().__init__("The piece was damaged on the way (its SHA-256 differs) and was dropped. Send it again.")


class FileDamagedError(IngestError):
    code = Problem.FILE_DAMAGED

    def __init__(self) -> None:
        super().__init__(
            "The file changed while it was read, or was damaged on the way: its SHA-256 is not the announced one. "
            "What had arrived was dropped; the file has to be sent again from the start."
        )


class TooLargeError(IngestError):
    code = Problem.TOO_LARGE

    def __init__(self, allowed_bytes: int) -> None:
        super().__init__(f"That is more than the {allowed_bytes:,} bytes that are allowed here.")


class ContradictionError(IngestError):
    code = Problem.BAD_REQUEST

    def __init__(self, length: int) -> None:
        super().__init__(f"A file with this SHA-256 was announced with {length:,} bytes. End that upload first.")


class BadManifestError(IngestError):
    code = Problem.BAD_REQUEST


class FilesMissingError(IngestError):
    """`names`: of the files that have to be sent, in order."""

    code = Problem.FILES_MISSING

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        listed = ", ".join(names[:_LISTED]) + (" …" if len(names) > _LISTED else "")
        super().__init__(f"Files of the slide have not arrived ({len(names)}): {listed}. Send them, then commit again.")


class TooManyUploadsError(IngestError):
    code = Problem.TOO_MANY_UPLOADS

    def __init__(self, allowed: int) -> None:
        super().__init__(f"This sender has {allowed} unfinished uploads. Finish or end one of them first.")


class QuotaExceededError(IngestError):
    code = Problem.QUOTA_EXCEEDED

    def __init__(self, quota_bytes: int) -> None:
        super().__init__(
            f"The room of this site on the platform is full ({quota_bytes / 1e9:,.0f} GB). Keep the slide where it is, "
            "and ask the person who manages the platform for more."
        )


class DiskFullError(IngestError):
    code = Problem.DISK_FULL

    def __init__(self) -> None:
        super().__init__(
            "The server's disk is full. What was acknowledged is kept; the upload goes on as soon as there is space. "
            "Tell the person who manages the server."
        )


class StoreFailedError(IngestError):
    code = Problem.STORE_FAILED

    def __init__(self) -> None:
        super().__init__(
            "The server could not write to its disk. What was acknowledged is kept; try again in a moment. "
            "If it lasts, tell the person who manages the server."
        )


class JobError(IngestError):
    """Something about a job rather than an upload."""


class LeaseLostError(JobError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id} was taken over by another worker; this worker's result is dropped.")


class NotNowError(JobError):
    """Raised by a handler when the machine prevents the work: the job waits and the attempt does not count."""
