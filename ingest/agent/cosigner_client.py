"""The platform as a witness asks it: each request is signed with the witness's key, and carries no password."""

import hashlib
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import httpx

from ingest.agent.client import KeyRefusedError, NotOurServerError, TransientError, UntrustedError
from ingest.agent.cosigner import Listed
from ingest.agent.cosigner_record import Cosigner

LOGS_PATH = "/api/witness/logs"
SCHEME = "IAIN-Witness"
ANSWER_MAX_BYTES = 1 << 20
ANSWER_WITHIN_S = 600
"""However slowly it drips: a witness that waits for ever says nothing."""
_TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=10)


def request_message(method: str, target: str, time_s: int, body: bytes) -> bytes:
    """What is signed of a request; `target` is the path with the query."""
    digest = hashlib.sha256(body).hexdigest()
    return f"iain-witness-request/v1\n{method}\n{target}\n{time_s}\n{digest}\n".encode()


class PlatformLogs:
    """A server's logs. Every method raises TransientError (it is away), KeyRefusedError (it does not know the witness),
    NotOurServerError or UntrustedError. Use as a context manager.
    """

    def __init__(self, server: str, witness: Cosigner, now_s: Callable[[], int], ca_file: Path | None = None) -> None:
        """Raises OSError when `ca_file` holds no certificate."""
        self._witness, self._now_s = witness, now_s
        self._http = httpx.Client(
            base_url=server.rstrip("/"),
            headers={"User-Agent": "iain-agent"},
            timeout=_TIMEOUT,
            verify=ssl.create_default_context(cafile=str(ca_file)) if ca_file else True,
        )

    def __enter__(self) -> "PlatformLogs":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def logs(self) -> list[Listed]:
        try:
            told = json.loads(self._request("GET", LOGS_PATH))["logs"]
            return [
                Listed(str(each["site"]), str(each["key"]), int(each["cosigned"]), bool(each.get("refused")))
                for each in told
            ]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise NotOurServerError("unexpected answer to a witness") from error

    def checkpoint(self, site: str) -> str:
        return self._request("GET", f"{LOGS_PATH}/{site}/checkpoint").decode("utf-8", "replace")

    def hashes(self, site: str, after: int, until: int) -> bytes:
        return self._request("GET", f"{LOGS_PATH}/{site}/entries?after={after}&until={until}")

    def cosign(self, site: str, size: int, line: str) -> None:
        self._request("PUT", f"{LOGS_PATH}/{site}/cosignatures/{size}", line.encode())

    def refuse(self, site: str, sentence: str) -> None:
        """Tell its people that this witness does not sign, and why: by the name of the sentence it says of it."""
        self._request("PUT", f"{LOGS_PATH}/{site}/refusal", sentence.removeprefix("witness-").encode())

    def _request(self, method: str, target: str, body: bytes = b"") -> bytes:
        time_s = self._now_s()
        signature = self._witness.signature_of(request_message(method, target, time_s, body))
        headers = {"Authorization": f"{SCHEME} {self._witness.key.name} {time_s} {signature}"}
        told = bytearray()
        try:
            with self._http.stream(method, target, headers=headers, content=body or None) as response:
                ends_s = monotonic() + ANSWER_WITHIN_S
                for part in response.iter_bytes():
                    told += part
                    if len(told) > ANSWER_MAX_BYTES or monotonic() > ends_s:
                        raise NotOurServerError("an answer without an end")
        except httpx.RequestError as error:
            if isinstance(error.__context__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
                raise UntrustedError(str(error)) from error
            raise TransientError("unreachable", str(error)) from error
        if response.status_code == 401:
            raise KeyRefusedError("the server does not know this witness")
        if response.status_code >= 500 or response.status_code == 429:
            raise TransientError("busy", f"HTTP {response.status_code}")
        if not response.is_success:
            raise NotOurServerError(f"HTTP {response.status_code} to a witness")
        return bytes(told)
