"""The page: one HTML file with its style, its script and its pictures inside, that loads nothing and sends nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, PrefixLoader, select_autoescape
from markupsafe import Markup

from augmentor.errors import OutputInTheWay
from augmentor.progress import progress
from augmentor.viewing.scene import Looked
from data_adapters.atomic import replacing

BUDGET = 48_000_000
"""Bytes of a page, at most."""

PACKED = 0.5
"""What planes are expected to be packed to, of their 16 bits: where they take more, it is tried again, coarser."""

MARK = '<meta name="generator" content="augmentor view">'
"""By which an earlier page is known, and replaced."""


class Inside(NamedTuple):
    """A plane as it lies in a page: its key, and its bytes as base64."""

    key: str
    data: str


def render(template: str, *scripts: str, serving: bool = False, **told: Any) -> str:
    """A page of a template below this folder, with the one style and the one script that it may run: ``scripts`` in
    their order.

    What a page may load is nothing: its policy (CSP, W3C) knows style and script by their digests, and pictures inside
    of it; a served one may ask its own server for planes, too.
    """
    environment = Environment(
        loader=PrefixLoader(
            {"view": PackageLoader("augmentor", "viewing"), "report": PackageLoader("augmentor", "report")}
        ),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = _for_script
    style, *parts = (
        files("augmentor.viewing").joinpath(name).read_text(encoding="utf-8") for name in ("view.css", *scripts)
    )
    code = "".join(parts)
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(code)}'"
    policy += "; connect-src 'self'" if serving else ""
    policy += "; base-uri 'none'; form-action 'none'"
    return environment.get_template(f"view/{template}").render(
        mark=Markup(MARK), policy=policy, style=Markup(style), script=Markup(code), serving=serving, **told
    )


def scene_page(looked: Looked, factor: int, inside: list[Inside], *, serving: bool = False) -> str:
    """The page of a file; where it is served, its planes are asked for one by one."""
    meta = looked.meta(factor) | {"served": serving}
    told = {"looked": looked, "meta": meta, "inside": inside, "factor": factor}
    return render("scene.html", "planes.js", "scene.js", serving=serving, **told)


def fitted(looked: Looked, budget: int = BUDGET) -> tuple[int, list[Inside]]:
    """How coarse the planes of a file are to be for a page of ``budget`` bytes, and the planes."""
    pixels = sum(math.prod(looked.shape(number)) for number in range(len(looked.planes)))
    # What lies over the values is the same nearly everywhere, and takes hardly any room.
    raw = pixels * looked.layers[0].channels * 2 * PACKED * 4 / 3
    factor = max(1, math.ceil(math.sqrt(raw / budget)))
    while True:
        inside, size = [], 0
        for one in _packed(looked, factor):
            inside.append(one)
            size += len(one.data)
            if size > budget:
                break
        else:
            return factor, inside
        factor += 1


def _packed(looked: Looked, factor: int) -> Iterator[Inside]:
    with progress("view", len(looked.planes)) as advance:
        for number in range(len(looked.planes)):
            for layer in looked.layers:
                for channel in range(layer.channels):
                    data = looked.packed(layer.role, number, channel, factor)
                    yield Inside(f"{layer.role}-{number}-{channel}", base64.b64encode(data).decode("ascii"))
            advance(number + 1)


def write(html: str, out: Path) -> Path:
    """Write a page, in place of an earlier one.

    Raises:
        OutputInTheWay: if ``out`` is anything else.
    """
    with replacing(out) as temporary:
        temporary.write_text(html, encoding="utf-8", errors="backslashreplace")
    return out


def replaceable(out: Path) -> Path:
    """Where a page is to be written, if nothing or an earlier page is there.

    Raises:
        OutputInTheWay: if there is anything else.
    """
    if out.exists() and (out.is_dir() or MARK.encode() not in out.open("rb").read(512)):
        raise OutputInTheWay("is no page of `augmentor view`", where=out, do="choose another -o")
    return out


def _for_script(value: Any) -> Markup:
    """JSON that no name can break out of."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _digest(text: str) -> str:
    """How a policy names an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
