"""One self-contained HTML page: pictures inside, light and dark, readable on a phone."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from data_adapters.atomic import replacing


@dataclass(frozen=True)
class Picture:
    """A PNG, what it shows (read aloud to who cannot see it), and how it is captioned."""

    path: Path
    shows: str
    caption: str

    @property
    def data(self) -> str:
        return base64.b64encode(self.path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A heading, with a grade (pass, caution, fail) where there is one; a paragraph, pictures, and a table whose first
    row is its head."""

    title: str
    text: str
    pictures: Sequence[Picture] = ()
    table: Sequence[Sequence[str]] = ()
    command: str = ""
    grade: str = ""
    files: Sequence[str] = field(default_factory=tuple)


def write_page(title: str, lead: str, sections: Sequence[Section], destination: Path) -> Path:
    """Render the page, atomically."""
    environment = Environment(loader=PackageLoader("augmentor", "report"), autoescape=select_autoescape())
    html = environment.get_template("page.html").render(title=title, lead=lead, sections=sections)
    with replacing(destination) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return destination
