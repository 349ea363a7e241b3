"""SHA-256 of whole files beside them, in the form that ``sha256sum -c`` takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from data_adapters.atomic import replacing
from data_adapters.errors import SystemRefused
from data_adapters.fixity import file_digest

SUMS = "SHA256SUMS"
"""What the sums of a whole folder are called."""
SUFFIX = ".sha256"
"""What the names of those of a single result end with."""

KEPT = "surrogateescape"
"""Names need not be UTF-8; their bytes are kept, as coreutils keep them."""

LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
"""How coreutils write names that would break a line."""


class Sums:
    """The sums of files below the folder of ``path``, which grow by a line a file while they are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known = read(path)

    def keep(self, files: Iterable[Path]) -> None:
        """Forget all but these files, such as one whose work was interrupted."""
        names = [self._name(file) for file in files]
        self.known = {name: self.known[name] for name in names if name in self.known}
        if self.path.exists():
            self._write()

    def add(self, fresh: Mapping[str, str]) -> None:
        """Append the digests of files that are finished, by their names from the folder on.

        Raises:
            SystemRefused: if there is no room for a line.
        """
        self.known |= fresh
        try:
            with self.path.open("a", encoding="utf-8", errors=KEPT) as stream:
                stream.writelines(_line(name, digest) for name, digest in fresh.items())
        except OSError as error:
            raise SystemRefused.of(error, self.path) from error

    def finish(self, files: Iterable[Path], changed: Iterable[Path] = ()) -> Path:
        """Name these files in their order, of which those that ``changed`` since they were added are read again."""
        again = {self._name(file) for file in changed}
        named = {self._name(file): file for file in files}
        self.known = {
            name: file_digest(file) if name in again or name not in self.known else self.known[name]
            for name, file in named.items()
        }
        self._write()
        return self.path

    def _name(self, file: Path) -> str:
        return file.relative_to(self.path.parent).as_posix()

    def _write(self) -> None:
        with replacing(self.path) as temporary:
            temporary.write_text("".join(_line(*pair) for pair in self.known.items()), "utf-8", KEPT)


def read(path: Path) -> dict[str, str]:
    """The digest of each file by its name from the folder of ``path`` on; lines that are none are passed over."""
    if not path.is_file():
        return {}
    found = {}
    # Lines end by a line feed alone: other separators may be part of a name.
    for line in path.read_text("utf-8", KEPT).split("\n"):
        if match := LINE.fullmatch(line):
            escaped, digest, name = match.groups()
            found[_plain(name) if escaped else name] = digest
    return found


def _line(name: str, digest: str) -> str:
    escaped = "".join(ESCAPES.get(letter, letter) for letter in name)
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def _plain(name: str) -> str:
    letters = {escape[1]: letter for letter, escape in ESCAPES.items()}
    return re.sub(r"\\(.)", lambda match: letters.get(match[1], match[0]), name)
