"""What is done with files once they are written, where a user asks for it: laid out, described, sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_adapters.errors import NotDelivered, Unwritable


@dataclass(frozen=True)
class Delivery:
    """For GeoTIFF, cloud-optimised layout and a STAC item; for DICOM, lossless compression by name, a PACS as
    host:port/AET, a DICOMweb URL."""

    cog: bool = False
    stac: bool = False
    compress: str = ""
    pacs: str = ""
    web: str = ""

    @property
    def rewrites(self) -> bool:
        """Whether files are written anew, with equal pixels."""
        return self.cog or bool(self.compress)

    def check(self, format: str) -> None:
        """Find out before any work is done whether a wish suits the format, and whether an archive listens.

        Raises:
            Unwritable: if it does not suit.
            NotDelivered: if nobody listens.
        """
        asked = {
            "geotiff": {"--cog": self.cog, "--stac": self.stac},
            "dicom": {
                "--compress": bool(self.compress),
                "--to-pacs": bool(self.pacs),
                "--to-dicomweb": bool(self.web),
            },
        }
        for owner, wishes in asked.items():
            for name, wished in wishes.items():
                if wished and format != owner:
                    raise Unwritable(f"{name} is for {owner}, and {format} is what is written", do=f"leave out {name}")
        if self.pacs:
            from data_adapters.dicom.send import Pacs, verify

            verify(Pacs.parse(self.pacs))
        if self.web:
            from data_adapters.dicom.send import listens

            listens(self.web)

    def send(self, source: Path) -> int:
        """Send every DICOM file at a path; returns their number.

        Raises:
            NothingFound: if there is none.
            NotDelivered: if nobody listens, or one is refused; also if no archive was named.
        """
        from data_adapters.registry import files_of

        if not (self.pacs or self.web):
            raise NotDelivered("no archive was named", where=source, do="give --to-pacs or --to-dicomweb")
        files = files_of(source, "dicom")
        self.check("dicom")
        self(files)
        return len(files)

    def __call__(self, files: Sequence[Path], day: str = "") -> list[Path]:
        """Deliver files of the format that was checked; returns what was written beside them.

        ``day`` (ISO) is that of acquisition, where the files themselves do not say it.

        Raises:
            NotDelivered: if an archive refuses one.
        """
        beside = []
        if self.cog or self.stac:
            from data_adapters.geotiff.cog import to_cog
            from data_adapters.geotiff.stac import write_item

            for path in (path for path in files if not path.stem.endswith("_made")):
                if self.cog:
                    to_cog(path)
                if self.stac:
                    beside.append(write_item(path, day))
        if self.compress:
            from data_adapters.dicom.compress import compress

            for path in files:
                compress(path, self.compress)
        if self.pacs or self.web:
            from data_adapters.dicom.send import Pacs, store, stow

            if self.pacs:
                store(files, Pacs.parse(self.pacs))
            if self.web:
                stow(files, self.web)
        return beside
