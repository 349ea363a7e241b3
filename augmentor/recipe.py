"""What a recipe may say. YAML in, a checked ``Recipe`` out; nothing in it is ever executed."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from augmentor.errors import RecipeError

LONGEST = 1 << 20
"""Bytes above which a file is no recipe."""

NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What PyYAML raises: of its own, for dates, numbers and bytes that are none, and where sections lie too deep."""


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Where the images are and what is known of them."""

    path: Path | None = Field(None, description="file or folder; --data overrides it")
    labels: str | None = Field(None, description="CSV beside the images with a column `file`")
    group: str | None = Field(None, description="label column naming the patient or place, for the split")
    modality: str = Field("", description="what plain images and NIfTI are: CR, CT, MR, ...")
    masks: Path | None = Field(None, description="masks of clouds on the same grid, or the name of a layer (scl)")
    mask_means: str = Field("", description="scl, qa_pixel, probability:0.4, ...; what its name says when empty")
    licence: str = Field("", description="of the images, for the model card")

    @property
    def label_file(self) -> Path | None:
        """Where the labels lie: beside the images; nowhere without both."""
        if not self.labels or self.path is None:
            return None
        return (self.path if self.path.is_dir() else self.path.parent) / self.labels


class Condition(Section):
    """One thing a sample can be asked to be."""

    kind: Literal["class", "number", "cycle", "text", "language"] = Field(
        "class", description="one of a few; a number; one that comes round again; words"
    )
    column: str | None = Field(None, description="column of the label file")
    origin: Literal["slice_position", "month"] | None = Field(
        None, description="in place of a column: how far along the slices, 0 to 1; the month of the date"
    )
    period: float = Field(12.0, gt=0, description="of a cycle, in its own unit")
    length: PositiveInt = Field(64, description="bytes of a text that are read")
    encoder: Path | None = Field(None, description="folder of a language model (kind: language)")

    @model_validator(mode="after")
    def _sound(self) -> Condition:
        if (self.column is None) == (self.origin is None):
            raise ValueError("give a column of the label file, or an origin")
        if (self.kind == "language") != (self.encoder is not None):
            raise ValueError("kind: language and encoder go together")
        return self


class Segmentation(Section):
    """Label maps of the images, on their grids and under their names."""

    path: Path | None = Field(None, description="file, or folder of label maps")
    use: Literal["condition", "together"] = Field(
        "together", description="make images for label maps, or images and label maps together"
    )


class Tiles(Section):
    """How scenes are cut."""

    size: tuple[PositiveInt, ...] = Field(
        (64, 64), min_length=2, max_length=3, description="rows and columns, or slices, rows and columns"
    )
    cut: Literal["whole", "grid"] = Field("whole", description="one resized tile an image, or windows at full detail")
    overlap: float = Field(0.0, ge=0, lt=1, description="of neighbouring windows")
    valid_at_least: float = Field(0.5, ge=0, le=1, description="part of a tile that must be observed")
    limits: tuple[float, float] | None = Field(None, description="physical values of -1 and 1; fitted when absent")
    flips: bool = Field(False, description="mirror and quarter-turn tiles in training: never for chests")
    held_out: float = Field(0.15, gt=0, lt=1, description="part of the groups never trained on")

    @model_validator(mode="after")
    def _sound(self) -> Tiles:
        if self.limits is not None and not -math.inf < self.limits[0] < self.limits[1] < math.inf:
            raise ValueError("limits are two finite numbers, the lower one first")
        return self


class Model(Section):
    """The network: its size, and what its neighbourhoods are fused by."""

    preset: Literal["tiny", "small", "base", "large"] = Field("tiny", description="how large it is")
    encoder: Literal["tokens", "convolutions", "patches"] = Field("tokens", description="of judge and inference")
    decoder: Literal["tokens", "convolutions", "patches"] = Field("tokens", description="of the generator")


Answer = Literal["say", "slow_down", "roll_back", "stop"]
"""Say it and go on; halve the rates; go back to the last good checkpoint and halve the rates; end."""


class Game(Section):
    """How the networks are trained; see docs/model.md for what each was measured to do."""

    images: int = Field(60_000, gt=0, description="tiles shown in all")
    batch: int = Field(16, ge=4, multiple_of=4, description="tiles that are learned from at a time")
    warm_start: float = Field(0.3, ge=0, le=1, description="part of the run that trains the autoencoder alone")
    judge_alone: float = Field(0.05, ge=0, le=1, description="part of the run that trains the discriminator alone")
    loss: Literal["relativistic", "non_saturating", "hinge"] = Field("relativistic", description="of both players")
    penalty: Literal["approximate", "exact", "none"] = Field(
        "approximate", description="R1 and R2 on the judge: by finite differences, or exact and slower"
    )
    penalty_adapts: bool = Field(True, description="hold the judge harder when it wins, let it go when it loses")
    adversarial_weight: float = Field(0.5, ge=0, description="of the judge's word in what the generator learns")
    reconstruction_weight: float = Field(3.0, ge=0, description="of the autoencoder, kept during play")
    kl_weight: float = Field(2e-4, ge=0, description="holds the autoencoder's latents near a normal distribution")
    lecam_weight: float = Field(0.0, ge=0, description="of LeCam, which holds verdicts near their running means")
    superresolution_weight: float = Field(0.0, ge=0, description="of learning to make tiles from smaller ones")
    spectral: bool = Field(True, description="improved spectral normalisation of the judge")
    bands: bool = Field(True, description="show the judge detail at equal strength")
    locality: bool = Field(False, description="tokens see near ones first, all from half of the run on")
    augmentation: float = Field(1.0, ge=0, le=1, description="part of what the judge sees that is augmented")
    augmentation_adapts: bool = Field(False, description="rises to that from 0, as the judge grows sure")
    jitter: float = Field(0.5, ge=0, le=1, description="of what the autoencoder sees shifted; and as many relit")
    frozen_stages: int = Field(0, ge=0, description="first stages of the judge that stay as --from has them")
    condition_drop: float = Field(0.1, ge=0, le=1, description="part of what is shown without its conditions")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="what trains; a GPU where there is one")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of sums of products in training")
    compile: bool = Field(False, description="compile the networks first; needs a C++ compiler")
    channels_last: bool = Field(False, description="how planes lie in memory; for GPUs")
    checkpoint_every: int = Field(8_000, gt=0, description="tiles between checkpoints")
    keep: int = Field(2, ge=1, description="newest checkpoints that are kept")
    parts: int = Field(1, ge=1, description="of a batch, learned from one after the other in less memory")


class Health(Section):
    """What is done when training goes wrong (docs/reliability.md)."""

    broken: Literal["roll_back", "stop"] = Field("roll_back", description="losses that are no numbers")
    collapsed: Answer = Field("roll_back", description="samples that are all alike")
    won: Answer = Field("slow_down", description="a discriminator that always tells real from fake")
    memorised: Answer = Field("say", description="a discriminator that knows its tiles by heart")


class Synthesis(Section):
    """What samples are written as."""

    format: Literal["source", "dicom", "nifti", "geotiff", "png"] = Field("source", description="as the images are")


class Evaluation(Section):
    """From when on samples are doubted and, second, refused (docs/evaluate.md)."""

    frechet: tuple[float, float] = Field((2.0, 4.0), description="times the Fréchet distance of real images")
    cover: tuple[float, float] = Field((0.7, 0.4), description="parts of the precision and recall of real images")
    spectrum: tuple[float, float] = Field((0.5, 1.0), description="factors of two that detail is too strong or weak")
    told_apart: float = Field(0.8, gt=0.5, le=1, description="area under the ROC curve, samples against real images")
    values: tuple[float, float] = Field((0.15, 0.4), description="of real values' spread that samples' are away")
    obedience: tuple[float, float] = Field((0.9, 0.7), description="part of real images' own, that is recognised")
    copy_at: float = Field(0.5, gt=0, description="part of a held-out image's distance at which a sample is a copy")
    unlike: float = Field(0.02, ge=0, lt=1, description="part of held-out images that a sieve would drop as unlike")
    chance: float = Field(0.01, gt=0, lt=1, description="p-value below which samples lie too near to training images")


class Recipe(Section):
    """Everything that decides a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="letters, digits, _ and -: what runs are called")
    about: str = Field("", description="one line, as `augmentor recipes` shows it")
    task: Literal["synthesize", "fill"] = Field("synthesize", description="make samples, or correct what fills holes")
    data: Data = Data()
    conditions: dict[str, Condition] = {}
    segmentation: Segmentation = Segmentation()
    tiles: Tiles = Tiles()
    model: Model = Model()
    game: Game = Game()
    health: Health = Health()
    synthesis: Synthesis = Synthesis()
    evaluation: Evaluation = Evaluation()
    seed: int = Field(0, description="equal seeds, equal runs")

    @model_validator(mode="after")
    def _sound(self) -> Recipe:
        if any(condition.column for condition in self.conditions.values()) and not self.data.labels:
            raise ValueError("conditions need data.labels, the CSV that holds their columns")
        if self.task == "fill" and (self.conditions or self.segmentation.path or len(self.tiles.size) == 3):
            raise ValueError("filling takes no conditions, no segmentation and no tiles of three sides")
        if self.game.warm_start + self.game.judge_alone > 1:
            raise ValueError("game.warm_start and game.judge_alone together exceed 1")
        return self

    def digest(self) -> str:
        """A hex digest of everything that decides the outcome."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    here = Path(__file__).parent.parent / "recipes"
    folder = here if here.is_dir() else Path(str(files("recipes")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load(source: str | Path, changes: Sequence[str] = (), **data: str | Path | None) -> Recipe:
    """Read a recipe: a file, or the name of a shipped one; then apply ``a.b=c`` changes.

    ``data`` overrides keys of the ``data`` section (``path=...``) where not None.

    Raises:
        RecipeError: naming file, line and key of what is wrong, with the nearest known key.
    """
    path = Path(source)
    if not path.is_file() and str(source) in shipped():
        path = shipped()[str(source)]
    if not path.is_file():
        near = difflib.get_close_matches(path.stem, shipped(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped ones: {', '.join(shipped())}"
        raise RecipeError("no such recipe", where=source, do=hint)
    if path.stat().st_size > LONGEST:
        raise RecipeError("is too long for a recipe", where=path, do="start from one of the shipped recipes")
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        record = yaml.safe_load(text)
    except NO_YAML as error:
        raise RecipeError(f"is not YAML ({error})", where=path, do="mend the syntax") from error
    if not isinstance(record, dict):
        raise RecipeError("holds no keys", where=path, do="start from one of the shipped recipes")
    for change in changes:
        _apply(record, change)
    for key, value in data.items():
        if value is not None:
            section = record.get("data") or {}
            record["data"] = {**section, key: str(value)} if isinstance(section, dict) else section
    try:
        return Recipe.model_validate(record)
    except ValidationError as error:
        raise _explain(error, path, tree) from None


def _apply(record: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals:
        raise RecipeError(f"--set {change!r} has no '='", do="write it as section.key=value")
    *sections, last = key.strip().split(".")
    for section in sections:
        record = record.setdefault(section, {})
        if not isinstance(record, dict):
            raise RecipeError(f"--set {change!r}: {section} is no section", do="write it as section.key=value")
    try:
        record[last] = yaml.safe_load(text)
    except NO_YAML as error:
        raise RecipeError(f"--set {change!r} is not YAML ({error})", do="quote the value") from error


def _explain(error: ValidationError, path: Path, tree: yaml.Node | None) -> RecipeError:
    """The first complaint as file:line, with the nearest known key for an unknown one."""
    # A misspelt required key is both missing and unknown; the unknown one says more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    location = [str(part) for part in first["loc"]]
    line = _line(tree, location)
    where = f"{path}:{line}" if line else str(path)
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return RecipeError(f"unknown key {key!r}", where=where, do=hint)
    message = first["msg"].removeprefix("Value error, ")
    return RecipeError(f"{key + ': ' if key else ''}{message}", where=where, do="mend the value")


def _known_keys(sections: Sequence[str]) -> list[str]:
    model: Any = Recipe
    for section in sections:
        if isinstance(model, type) and issubclass(model, BaseModel) and section in model.model_fields:
            model = model.model_fields[section].annotation
        if model == dict[str, Condition] and section != "conditions":
            model = Condition
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _line(node: yaml.Node | None, location: Sequence[str]) -> int:
    """Line of a key in the YAML, counting from 1; of its nearest parent, or 0 where there is none."""
    line = 0
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == part:
                line, node = key.start_mark.line + 1, value
                break
        else:
            break
    return line


def as_mapping(recipe: Recipe) -> Mapping[str, Any]:
    """The recipe as plain values, for a checkpoint or a report."""
    return recipe.model_dump(mode="json")
