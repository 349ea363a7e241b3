"""A folder of data to a recipe that says why it is as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from augmentor.errors import OutputInTheWay, TooLittleData
from augmentor.fitting.choose import Choice, timed, too_little, ways
from augmentor.fitting.look import Seen, look
from augmentor.fitting.pace import machine, pace
from augmentor.fitting.tiling import PLENTY
from augmentor.ingest import ingest
from augmentor.recipe import Recipe
from data_adapters.atomic import replacing
from data_adapters.errors import printable

WIDTH = 118


def new(data: str | Path, out: str | Path = "recipe.yaml") -> Path:
    """Write a commented recipe for the images at ``data`` to ``out``, and return that.

    Headers are read, and a part of the middle slice of some scenes; a few steps of the fitted network are timed on
    random tiles, for some seconds. What it chooses is where to start from: it does not know what the images are for.

    Raises:
        OutputInTheWay: if ``out`` exists.
        TooLittleData: if there are too few images to learn from and hold some out.
        UserError: if nothing at ``data`` can be read.
    """
    data, out = Path(data), Path(out)
    if out.exists():
        raise OutputInTheWay("exists", where=out, do="choose another -o, or remove it")
    seen = look(data)
    chosen = _first(seen)
    rate = pace(_recipe(chosen), seen.scenes[0].template())
    images = next(choice.value for choice in chosen if choice.key == "game.images")
    chosen = timed(chosen, f"{_duration(images / rate)} on this machine ({rate:.3g} tiles/s measured)")
    text = "".join(f"{line}\n" for line in _lines(out, chosen))
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return out


def _first(seen: Seen) -> list[Choice]:
    """The first choices that training starts with.

    Raises:
        TooLittleData: if there are none.
    """
    trouble = too_little(seen)
    for tiles, chosen in ways(seen, machine()):
        if tiles >= PLENTY:
            return chosen
        # Masks, nodata and padding may take the few tiles that there are: only cutting them tells.
        try:
            with TemporaryDirectory() as folder:
                ingest(_recipe(chosen), Path(folder))
        except TooLittleData as error:
            trouble = error
        else:
            return chosen
    raise trouble


def _recipe(chosen: Sequence[Choice]) -> Recipe:
    """The recipe that the choices make."""
    record: dict[str, Any] = {}
    for key, value, _ in chosen:
        section, _, own = key.partition(".")
        if own:
            record.setdefault(section, {})[own] = value
        else:
            record[section] = value
    return Recipe.model_validate(record)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return "about a minute"
    return f"about {minutes:.0f} minutes" if minutes < 100 else f"about {minutes / 60:.0f} hours"


def _lines(out: Path, chosen: Sequence[Choice]) -> Iterator[str]:
    """The recipe as YAML, each value below its reason."""
    yield "# A place to start from, fitted to the data by `augmentor recipes new`. Mend what you know better; then:"
    yield from _comment(f"augmentor train {out}", "")
    for section, members in groupby(chosen, key=lambda choice: choice.key.partition(".")[0]):
        first = True
        for key, value, why in members:
            own = key.partition(".")[2]
            if own and first:
                yield f"{section}:"
            first = False
            yield from _comment(why, "  " if own else "")
            yield f"{'  ' if own else ''}{_inline(own or section)}: {_inline(value)}"


def _comment(why: str, indent: str) -> Iterator[str]:
    """A reason as comment lines; names of files and columns in it cannot leave them."""
    plain = printable(" ".join(why.split()))
    yield from textwrap.wrap(plain, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ",
                             break_on_hyphens=False)  # fmt: skip


class OneLine(yaml.SafeDumper):
    """Writes texts without ends of lines, or anything that would not show."""


OneLine.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    ),
)


def _inline(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.dump(value, Dumper=OneLine, default_flow_style=True, sort_keys=False, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
