"""Which style a scene has, and which one it is to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from augmentor.errors import NothingToFill, WrongCondition
from augmentor.recipe import Recipe
from augmentor.restyling.change import Changer, Values
from augmentor.restyling.laid import tiles_at
from augmentor.run import Facts
from augmentor.sampling import check_conditions
from augmentor.tiles import middle
from data_adapters import Scene

STATED, DATED, LIKELIEST = "as stated", "by its date", "as fits best"
"""Who says what a scene's own style is."""

LOOKED_AT = 8
"""Slices that are looked at to find out, at most."""


@dataclass(frozen=True)
class Styles:
    """Conditions of each slice of a scene, its ``own`` ones and those ``wanted``; ``said`` tells how own are known."""

    own: tuple[Values, ...]
    wanted: tuple[Values, ...]
    said: str

    @property
    def changed(self) -> tuple[int, ...]:
        """Slices whose style is to change."""
        return tuple(index for index, own in enumerate(self.own) if own != self.wanted[index])

    @property
    def before(self) -> str:
        """What the slices that change look like, as far as that changes."""
        return self._named(self.own)

    @property
    def after(self) -> str:
        """What they are to look like."""
        return self._named(self.wanted)

    def told(self) -> str:
        """What is changed from and to, in words."""
        return f"from {self.before} ({self.said}) to {self.after}"

    def _named(self, side: Sequence[Values]) -> str:
        """The values of one side, of each condition that differs in any slice."""
        differ = sorted({name for at in self.changed for name in self.wanted[at]
                         if self.own[at][name] != self.wanted[at][name]})  # fmt: skip
        each = {name: "/".join(dict.fromkeys(side[at][name] for at in self.changed)) for name in differ}
        return ", ".join(f"{name}={values}" for name, values in each.items())


def styles(scene: Scene, changer: Changer, recipe: Recipe, own: Values, to: Values) -> Styles:
    """The styles of a scene: ``to`` is wanted, and its own is what is stated (``own``).

    What is not stated of it is told by its dates, where a condition is their month, or else is what fits best of what
    occurs in training: that under which the latents of its tiles are the most likely.

    Raises:
        WrongCondition: if the run does not know a name or value, or the scene has that style already.
    """
    facts = changer.facts
    for side in (own, to):
        check_conditions(facts, side)
    if not to:
        known = ", ".join(condition.name for condition in facts.conditions)
        raise WrongCondition("nothing says which style is wanted", do=f"give a value of {known}")
    unstated, said = [name for name in to if name not in own], STATED
    each: list[dict[str, str]] = [dict(own) for _ in range(scene.shape[1])]
    if dated := [name for name in unstated if scene.dates and _by_month(recipe, name)]:
        said = DATED
        for day, values in zip(scene.dates, each, strict=True):
            values.update({name: str(int(day[5:7])) for name in dated})
    if missing := [name for name in unstated if name not in dated]:
        said = LIKELIEST
        # Of a stack, what is found holds for all dates.
        found = _likeliest(scene, changer, recipe, own, missing)
        each = [{**values, **found} for values in each]
    wanted = [{**values, **to} for values in each]
    found_styles = Styles(tuple(each), tuple(wanted), said)
    if not found_styles.changed:
        has = ", ".join(f"{name}={value}" for name, value in to.items())
        raise WrongCondition(
            f"has the look of {has} already, {said}", where=scene.path, do="ask for another, or give --from"
        )
    return found_styles


def _by_month(recipe: Recipe, name: str) -> bool:
    return recipe.conditions[name].origin == "month"


def _likeliest(scene: Scene, changer: Changer, recipe: Recipe, own: Values, names: list[str]) -> Mapping[str, str]:
    """The values of some conditions that fit a scene best.

    Raises:
        WrongCondition: if no image of the training has all of them.
        NothingToFill: if nothing can be seen.
    """
    candidates = _occurring(changer.facts, names)
    if not candidates:
        raise WrongCondition(f"nobody says the {', '.join(names)} of the source", where=scene.path, do="give --from")
    slices = np.unique(np.linspace(0, scene.shape[1] - 1, LOOKED_AT).round().astype(int))
    whole = recipe.tiles.cut == "whole"
    cut = [tiles_at(scene, int(index), changer.facts, middle(scene), whole=whole) for index in slices]
    shown = [tiles.shown for tiles in cut if tiles is not None]
    if not shown:
        raise NothingToFill("nothing is observed in the middle of it", where=scene.path, do="give --from")
    best = changer.likeliest(torch.cat(shown), [{**own, **values} for values in candidates])
    return {name: best[name] for name in names}


def _occurring(facts: Facts, names: list[str]) -> list[dict[str, str]]:
    """Values of some conditions as they occur together in training."""
    found = [{name: values[name] for name in names} for values, _ in facts.combinations
             if all(name in values for name in names)]  # fmt: skip
    return [values for number, values in enumerate(found) if values not in found[:number]]
