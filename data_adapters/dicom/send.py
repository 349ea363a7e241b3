"""DICOM files to an archive: by C-STORE to a PACS (PS3.4 B), or by STOW-RS over the web (PS3.18 10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydicom import dcmread
from pydicom.uid import UID

from data_adapters.errors import NotDelivered

CALLING = "AUGMENTOR"
"""The application entity that sends."""

SECONDS = 30
"""Waited for an answer."""

AT_ONCE = 16
"""Images in one STOW-RS request, so that none is larger than a server takes."""


@dataclass(frozen=True)
class Pacs:
    """An application entity on the network."""

    host: str
    port: int
    title: str

    @classmethod
    def parse(cls, address: str) -> Pacs:
        """From ``host:port/AET``.

        Raises:
            NotDelivered: if it is not of this form (an AE title has 1 to 16 characters, PS3.5 6.2).
        """
        place, _, title = address.partition("/")
        host, _, port = place.rpartition(":")
        if not (host and port.isdigit() and 0 < int(port) < 65536 and 0 < len(title.strip()) <= 16):
            raise NotDelivered("is no address of a PACS", where=address, do="write it as host:port/AET")
        return cls(host.strip("[]"), int(port), title.strip())

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.title}"


def verify(pacs: Pacs) -> None:
    """Ask a PACS whether it listens, by C-ECHO (PS3.4 A).

    Raises:
        NotDelivered: if it does not, or not to us.
    """
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    with _associated(pacs, [(Verification, None)]) as association:
        status = association.send_c_echo()
        if getattr(status, "Status", None) != 0:
            raise NotDelivered("does not answer to C-ECHO", where=str(pacs), do="check that it takes this sender")


def store(files: Sequence[Path], pacs: Pacs) -> None:
    """Send files as they are, in their own transfer syntaxes; a PACS that has them already keeps what it has.

    Raises:
        NotDelivered: if it cannot be reached, or refuses one; those before that one are stored.
    """
    kinds = sorted({_kind(path) for path in files})
    with _associated(pacs, kinds) as association:
        for number, path in enumerate(files):
            try:
                status = getattr(association.send_c_store(path), "Status", None)
            except (ValueError, RuntimeError) as error:
                raise _refused(path, number, files, pacs, str(error)) from error
            # Warnings of the range Bxxx mean that it is stored (PS3.4 B.2.3).
            if status is None or (status != 0 and status >> 12 != 0xB):
                said = "no answer" if status is None else f"status {status:04X}H"
                raise _refused(path, number, files, pacs, said)


def _kind(path: Path) -> tuple[str, str]:
    """SOP class and transfer syntax of a file."""
    meta = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _refused(path: Path, number: int, files: Sequence[Path], to: object, said: str) -> NotDelivered:
    return NotDelivered(
        f"was not stored ({said}); {number} of {len(files)} files are at {to}",
        where=path,
        do="see what it accepts; the files stay here, and `augmentor send` sends them again",
    )


@contextmanager
def _associated(pacs: Pacs, kinds: Sequence[tuple[Any, str | None]]) -> Iterator[Any]:
    """An association that offers SOP classes, each in one transfer syntax (None: the usual ones)."""
    from pynetdicom import AE

    sender = AE(ae_title=CALLING)
    sender.acse_timeout = sender.dimse_timeout = sender.network_timeout = sender.connection_timeout = SECONDS
    for sop_class, syntax in kinds:
        sender.add_requested_context(sop_class, *([syntax] if syntax else []))
    association = sender.associate(pacs.host, pacs.port, ae_title=pacs.title)
    if not association.is_established:
        said = "refuses the association" if association.is_rejected else "does not answer"
        if association.rejected_contexts:
            said = f"takes no {' or '.join(UID(sop_class).name for sop_class, _ in kinds)} of ours"
        raise NotDelivered(said, where=str(pacs), do=f"check host, port and title, and that it knows {CALLING}")
    try:
        yield association
    finally:
        association.release()


def listens(url: str) -> None:
    """Find out whether a web server is at the address of a DICOMweb service, whatever it answers.

    Raises:
        NotDelivered: if none is.
    """
    import requests

    try:
        requests.get(_url(url), timeout=SECONDS)
    except requests.RequestException as error:
        raise NotDelivered(f"does not answer ({type(error).__name__})", where=url, do="check the address") from error


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotDelivered("is no address of a DICOMweb service", where=text, do="write it as https://host/path")
    return text


def stow(files: Sequence[Path], url: str) -> None:
    """Post files to a DICOMweb service; credentials, where it asks for any, come from the user's .netrc.

    Raises:
        NotDelivered: if it cannot be reached, or refuses one.
    """
    import requests
    from dicomweb_client.api import DICOMwebClient

    client = DICOMwebClient(_url(url), timeout=SECONDS)
    # Half a minute of silent retries helps nobody.
    client.set_http_retry_params(retry=False)
    for sent in range(0, len(files), AT_ONCE):
        group = files[sent : sent + AT_ONCE]
        try:
            answer = client.store_instances([dcmread(path) for path in group])
        except (requests.RequestException, ValueError) as error:
            raise _refused(group[0], sent, files, url, f"{type(error).__name__}: {error}") from error
        failed = answer.get("FailedSOPSequence", [])
        if failed:
            raise _refused(group[0], sent, files, url, f"failure reason {failed[0].get('FailureReason', 'not stated')}")
