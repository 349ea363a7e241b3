"""Networks to and from a run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialised
from torch import Tensor, nn

from augmentor.errors import DeviceMissing, RunError
from augmentor.run import Facts, Run
from augmentor.t2t.discriminator import Discriminator
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference
from augmentor.t2t.presets import PRESETS, Preset
from data_adapters.atomic import replacing, write_json

Network = TypeVar("Network", bound=nn.Module)


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


def quickly(place: torch.device) -> torch.autocast:
    """Sums of products in bfloat16, for learning, and for samples that only a spread is taken of, where the device has
    instructions for it: a quarter faster to learn, a third to draw."""
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    return torch.autocast(place.type, torch.bfloat16, enabled=place.type == "cuda" or known)


def preset(facts: Facts) -> Preset:
    """The size of the networks, and what they fuse neighbourhoods by."""
    return choose(facts.model, fill=facts.context > 0)


def choose(model: Mapping[str, Any], *, fill: bool) -> Preset:
    """The preset that a recipe's ``model`` section asks for. Filling looks closely at each pixel."""
    size = PRESETS[model["preset"]]
    return replace(size, encoder=model["encoder"], decoder=model["decoder"], closely=fill)


def build_generator(facts: Facts) -> Generator:
    """A generator with fresh weights. For planes they lie with channels last: on a CPU, what fills draws a third faster
    so, and learns a tenth faster."""
    generator = Generator(facts.made, facts.tile, preset(facts), facts.conditions, facts.read)
    if len(facts.tile) == 2:
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator


def build_inference(facts: Facts) -> Inference:
    """An inference network with fresh weights."""
    return Inference(facts.made, facts.tile, preset(facts))


def build_discriminator(facts: Facts, *, spectral: bool) -> Discriminator:
    """A discriminator with fresh weights; ``spectral`` as its recipe's game is."""
    return Discriminator(facts.made, facts.tile, preset(facts), facts.conditions, facts.read, spectral=spectral)


def save(run: Run, facts: Facts, generator: Generator, **others: nn.Module) -> None:
    """Write facts and weights, atomically; the generator's last, since they make the run usable.

    ``others`` are networks that only some verbs need, each in a file of its name.
    """
    write_json(run.folder / "facts.json", facts.as_dict())
    for name, network in (*others.items(), ("generator", generator)):
        state: dict[str, Tensor] = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
        with replacing(run.file(name)) as temporary:
            temporary.write_bytes(serialised(state))


def load_generator(run: Run) -> Generator:
    """The trained generator, ready to draw.

    Raises:
        RunError: if the run has no checkpoint, or one that does not fit its recipe.
    """
    return _load(build_generator(run.facts), run, "generator")


def load_inference(run: Run) -> Inference:
    """The trained inference network, ready to read images.

    Raises:
        RunError: if the run has none, as those that fill, or one that does not fit its recipe.
    """
    return _load(build_inference(_that_synthesizes(run, "inference")), run, "inference")


def load_discriminator(run: Run) -> Discriminator:
    """The trained discriminator, ready to judge.

    Raises:
        RunError: if the run has none, as those that fill, or one that does not fit its recipe.
    """
    facts = _that_synthesizes(run, "discriminator")
    return _load(build_discriminator(facts, spectral=run.recipe.game.spectral), run, "discriminator")


def _that_synthesizes(run: Run, name: str) -> Facts:
    """The facts of a run that has a network which those that fill have not."""
    if not run.file(name).is_file():
        raise RunError(f"has no {name} network", where=run.folder, do="name a run that synthesizes")
    return run.facts


def _load(network: Network, run: Run, name: str) -> Network:
    path = run.file(name)
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:
        raise RunError(f"weights do not load ({error})", where=path, do="train the run again") from error
    return network.eval().requires_grad_(False)


def take_over(network: nn.Module, path: Path) -> int:
    """Take from weights at ``path`` every layer whose tensors all fit; returns how many tensors that were.

    Raises:
        RunError: if the file does not load, or nothing in it fits.
    """
    try:
        found = load_file(path)
    except Exception as error:
        raise RunError(f"weights do not load ({error})", where=path, do="train the run again") from error
    own = network.state_dict()
    strange = {_layer(k) for k in {*own, *found} if k not in own or k not in found or own[k].shape != found[k].shape}
    fitting = {k: v for k, v in found.items() if _layer(k) not in strange}
    if not fitting:
        raise RunError("nothing in it fits this recipe's networks", where=path, do="start from a run of this preset")
    network.load_state_dict(fitting, strict=False)
    return len(fitting)


def _layer(key: str) -> str:
    """The layer that a tensor belongs to; a weight's spectral norm belongs with the weight."""
    return key.split(".parametrizations.")[0] if ".parametrizations." in key else key.rpartition(".")[0]
