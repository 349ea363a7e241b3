"""Networks to and from a run's folder."""

from __future__ import annotations

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from augmentor.errors import DeviceMissing, RunError
from augmentor.run import Facts, Run
from augmentor.t2t.conditioning import ClassCondition
from augmentor.t2t.generator import Generator
from augmentor.t2t.presets import PRESETS
from data_adapters.atomic import replacing, write_json


def device(wanted: str) -> torch.device:
    """``auto`` is a GPU where there is one.

    Raises:
        DeviceMissing: if the recipe asks for a GPU and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DeviceMissing(
            "the recipe asks for a GPU and this machine has none", do="use --set game.device=auto to train on the CPU"
        )
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def conditions(facts: Facts) -> list[ClassCondition]:
    """The declared conditions, in the order of the network's columns."""
    return [ClassCondition(name, classes) for name, classes in facts.conditions.items()]


def build_generator(facts: Facts) -> Generator:
    """A generator with fresh weights."""
    return Generator(facts.channels, facts.tile, PRESETS[facts.preset], conditions(facts), facts.context)


def save_generator(run: Run, generator: Generator, facts: Facts) -> None:
    """Write facts and weights, atomically; the weights last, since they make the run usable."""
    write_json(run.folder / "facts.json", facts.as_dict())
    state: dict[str, Tensor] = {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}
    with replacing(run.weights) as temporary:
        save_file(state, temporary)


def load_generator(run: Run) -> Generator:
    """The trained generator, ready to draw.

    Raises:
        RunError: if the run has no checkpoint, or one that does not fit its recipe.
    """
    generator = build_generator(run.facts)
    try:
        generator.load_state_dict(load_file(run.weights))
    except Exception as error:
        raise RunError(f"weights do not load ({error})", where=run.weights, do="train the run again") from error
    return generator.eval().requires_grad_(False)
