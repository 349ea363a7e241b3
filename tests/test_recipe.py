"""Recipes: what is wrong is named with file, line and nearest key; nothing in one is executed."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from augmentor.adversary.losses import LOSSES
from augmentor.adversary.rules import Rules
from augmentor.errors import RecipeError
from augmentor.recipe import Condition, Game, Model, Recipe, as_mapping, load, shipped
from augmentor.t2t.conditioning import KINDS
from augmentor.t2t.presets import PRESETS, Fusion, steps

BASE = """\
name: mine
tiles:
  size: [32, 32]
game:
  images: 1000
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_loads_and_fits_its_network(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name
    assert recipe.about
    assert len(steps(recipe.tiles.size, PRESETS[recipe.model.preset])) > 1


def test_every_rule_of_the_game_that_a_recipe_may_set_is_one_of_the_games() -> None:
    """What a recipe says of the game and the game's own rules agree in name and default."""
    shared = set(Game.model_fields) & set(Rules.__dataclass_fields__)
    assert len(shared) > 8
    assert {name: getattr(Game(), name) for name in shared} == {name: getattr(Rules(), name) for name in shared}


@pytest.mark.parametrize(
    ("section", "key", "known"),
    [
        (Game, "loss", LOSSES),
        (Model, "preset", PRESETS),
        (Model, "encoder", get_args(Fusion)),
        (Model, "decoder", get_args(Fusion)),
        (Condition, "kind", KINDS),
    ],
)
def test_a_recipe_may_ask_for_whatever_there_is(section: type[BaseModel], key: str, known: Collection[str]) -> None:
    assert set(get_args(section.model_fields[key].annotation)) == {*known}


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_written_out_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = load(name, ["seed=3", "tiles.limits=[-5, 7.5]"])
    again = load(written(tmp_path, recipe.to_yaml()))
    assert again == recipe
    assert again.digest() == recipe.digest()
    assert Recipe.model_validate(as_mapping(recipe)) == recipe


def test_there_are_shipped_recipes() -> None:
    assert {"chest_xray", "satellite_tiles", "sentinel2_clouds"} <= set(shipped())


@pytest.mark.parametrize(
    ("line", "number", "key", "hint"),
    [
        ("tile:\n  size: [32, 32]", 6, "tile", "did you mean tiles?"),
        ("sed: 3", 6, "sed", "did you mean seed?"),
        ("model:\n  pre-set: tiny", 7, "model.pre-set", "did you mean preset?"),
        ("synthesis:\n\n  formatt: dicom", 8, "synthesis.formatt", "did you mean format?"),
        ("conditions:\n  finding:\n    colunm: label", 8, "conditions.finding.colunm", "did you mean column?"),
        ("conditions:\n  finding: {column: a, knid: class}", 7, "conditions.finding.knid", "did you mean kind?"),
        ("conditions:\n  month: {origin: month, perid: 6}", 7, "conditions.month.perid", "did you mean period?"),
        ("segmentation:\n  pth: maps", 7, "segmentation.pth", "did you mean path?"),
        ("model:\n  zzzzzz: 1", 7, "model.zzzzzz", "known keys: preset, encoder, decoder"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(
    line: str, number: int, key: str, hint: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{BASE}{line}\n")
    with pytest.raises(RecipeError) as caught:
        load(path)
    message = str(caught.value)
    assert f"{path}:{number}: unknown key {key!r}" in message
    assert hint in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("line", "number", "said"),
    [
        ("seed: often", 6, "seed"),
        ("task: paint", 6, "task"),
        ("synthesis:\n  format: bmp", 7, "synthesis.format"),
        ("model: [1, 2]", 6, "model"),
        ("conditions:\n  finding: {column: label}", 0, "conditions need data.labels"),
        ("data:\n  labels: 3", 7, "data.labels"),
        ("model:\n  encoder: pixels", 7, "model.encoder"),
        ("segmentation:\n  use: both", 7, "segmentation.use"),
        ("conditions:\n  age: {column: age, origin: month}", 7, "conditions.age: give a column of the label file"),
        ("conditions:\n  age: {kind: number}", 7, "conditions.age: give a column of the label file, or an origin"),
        ("conditions:\n  said: {column: a, kind: language}", 7, "kind: language and encoder go together"),
        ("conditions:\n  said: {column: a, encoder: here}", 7, "kind: language and encoder go together"),
        ("conditions:\n  month: {origin: month, period: 0}", 7, "conditions.month.period"),
        ("conditions:\n  said: {column: a, length: 0}", 7, "conditions.said.length"),
        ("conditions:\n  said: {column: a, kind: picture}", 7, "conditions.said.kind"),
        ("task: fill\nsegmentation: {path: maps}", 0, "filling takes no conditions, no segmentation"),
        ("task: fill\nconditions:\n  month: {origin: month}", 0, "filling takes no conditions"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_its_line(line: str, number: int, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{BASE}{line}\n")
    with pytest.raises(RecipeError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{number}: " if number else f"{path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        "game.images=0",
        "game.batch=6",
        "game.batch=0",
        "game.warm_start=1.5",
        "game.warm_start=0.99",
        "tiles.overlap=1",
        "tiles.held_out=0",
        "tiles.held_out=1",
        "tiles.size=[32]",
        "game.loss=wasserstein",
        "game.penalty=r1",
        "game.lecam_weight=-1",
        "game.superresolution_weight=-0.1",
        "game.augmentation=1.5",
        "game.frozen_stages=-1",
        "tiles.size=[8, 16, 16, 16]",
        "tiles.size=[8, 16, 0]",
        "tiles.size=32",
        "name=../elsewhere",
        "tiles.size=[0, 32]",
        "tiles.size=[-32, 32]",
        "tiles.limits=[5, 5]",
        "tiles.limits=[.nan, 5]",
    ],
)
def test_values_out_of_range_are_refused(change: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        load(written(tmp_path, BASE), [change])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("seed=7", lambda r: r.seed == 7),
        ("game.images=200", lambda r: r.game.images == 200),
        ("tiles.size=[64, 96]", lambda r: r.tiles.size == (64, 96)),
        ("tiles.size=[16, 64, 96]", lambda r: r.tiles.size == (16, 64, 96)),
        ("tiles.limits=[-1000, 1000]", lambda r: r.tiles.limits == (-1000, 1000)),
        ("tiles.limits=null", lambda r: r.tiles.limits is None),
        ("tiles.flips=true", lambda r: r.tiles.flips is True),
        ("data.modality=CT", lambda r: r.data.modality == "CT"),
        ("about=a=b", lambda r: r.about == "a=b"),
        ("game.kl_weight=0.5", lambda r: r.game.kl_weight == 0.5),
        ("game.loss=hinge", lambda r: r.game.loss == "hinge"),
        ("game.penalty=none", lambda r: r.game.penalty == "none"),
        ("game.locality=true", lambda r: r.game.locality is True),
        ("model.decoder=patches", lambda r: (r.model.encoder, r.model.decoder) == ("tokens", "patches")),
        ("segmentation.path=maps", lambda r: (r.segmentation.path, r.segmentation.use) == (Path("maps"), "together")),
        ("conditions.month={origin: month, kind: cycle}", lambda r: r.conditions["month"].period == 12),
    ],
)
def test_a_change_changes_what_it_names_and_no_more(change: str, found, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path, BASE)
    recipe, plain = load(path, [change]), load(path)
    assert found(recipe)
    section = change.partition("=")[0].partition(".")[0]
    assert recipe.model_dump(exclude={section}) == plain.model_dump(exclude={section})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed", "has no '='"),
        ("name.first=x", "name is no section"),
        ("game.imagse=3", "did you mean images?"),
        ("seed=[1", "is not YAML"),
        ("conditions.finding.column=label", "conditions need data.labels"),
    ],
)
def test_a_wrong_change_is_refused_with_a_reason(change: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(written(tmp_path, BASE), [change])
    assert said in str(caught.value)


CONDITIONS = """\
data: {labels: labels.csv}
conditions:
  finding: {column: label}
  age: {column: age, kind: number}
  month: {origin: month, kind: cycle}
  season: {column: season, kind: cycle, period: 4}
  depth: {origin: slice_position, kind: number}
  said: {column: report, kind: text, length: 20}
  report: {column: report, kind: language, encoder: models/bert}
"""


def test_every_kind_of_condition_can_be_declared_and_written_out(tmp_path: Path) -> None:
    recipe = load(written(tmp_path, BASE + CONDITIONS))
    kinds = ["class", "number", "cycle", "cycle", "number", "text", "language"]
    assert [condition.kind for condition in recipe.conditions.values()] == kinds
    assert list(load(written(tmp_path, recipe.to_yaml())).conditions.items()) == list(recipe.conditions.items())


def test_conditions_on_where_a_tile_was_cut_need_no_label_file(tmp_path: Path) -> None:
    text = "conditions:\n  month: {origin: month, kind: cycle}\n  depth: {origin: slice_position, kind: number}\n"
    assert set(load(written(tmp_path, BASE + text)).conditions) == {"month", "depth"}


@pytest.mark.parametrize("sides", ["[8, 16, 0]", "[8, 16, x]"])
def test_a_wrong_third_side_is_refused_for_what_is_wrong_with_it(sides: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(written(tmp_path, BASE), [f"tiles.size={sides}"])
    assert "at most 2 items" not in str(caught.value)


def test_later_changes_win_and_all_apply(tmp_path: Path) -> None:
    recipe = load(written(tmp_path, BASE), ["seed=1", "game.batch=8", "seed=2"])
    assert (recipe.seed, recipe.game.batch, recipe.game.images) == (2, 8, 1000)


def test_data_given_aside_overrides_the_recipe(tmp_path: Path) -> None:
    path = written(tmp_path, f"{BASE}data:\n  path: old\n  labels: labels.csv\n")
    recipe = load(path, path=tmp_path, masks=None)
    assert (recipe.data.path, recipe.data.labels, recipe.data.masks) == (tmp_path, "labels.csv", None)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "data:\n  modality: CR\n",
        "data:\n",
        "data: here\n",
        "data: [a]\n",
    ],
)
def test_data_given_aside_never_ends_in_a_traceback(said: str, tmp_path: Path) -> None:
    try:
        assert load(written(tmp_path, BASE + said), path=tmp_path).data.path == tmp_path
    except RecipeError as error:
        assert "data" in str(error)


TRAPS = [
    'about: !!python/object/apply:os.system ["touch {trap}"]',
    "about: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{trap}]]",
    "about: !!python/name:os.system",
    'about: !!python/object/new:subprocess.Popen [["touch", "{trap}"]]',
]


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("by", ["file", "change"])
def test_code_in_a_recipe_is_refused_and_not_executed(trap: str, by: str, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    line = trap.format(trap=touched)
    path = written(tmp_path, BASE if by == "change" else f"{BASE}{line}\n")
    with pytest.raises(RecipeError, match="is not YAML"):
        load(path, [line.replace(": ", "=", 1)] if by == "change" else [])
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"- a\n- b\n", b"just text", b"a: [1", b"\xff\xfe\x00name", b"1: 2\n"])
def test_a_file_that_is_no_recipe_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"mine\.yaml"):
        load(path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("chest_xry", "did you mean chest_xray?"),
        ("sentinel2_cloud.yaml", "did you mean sentinel2_clouds?"),
        ("qqq", "shipped ones: "),
    ],
)
def test_a_recipe_that_is_not_there_is_answered_with_the_nearest_one(name: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(name)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        "seed=1",
        "game.images=7",
        "tiles.cut=grid",
        "data.modality=MR",
        "model.encoder=patches",
        "segmentation.use=condition",
        "game.spectral=false",
    ],
)
def test_the_digest_knows_every_change(change: str, tmp_path: Path) -> None:
    path = written(tmp_path, BASE)
    assert load(path, [change]).digest() != load(path).digest()


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load("chest_xray").seed = 4  # type: ignore[misc]


def default_of(field: FieldInfo) -> str:
    """A key's default as the page says it; of a few values, all of them."""
    few = [kind for kind in (field.annotation, *get_args(field.annotation)) if get_origin(kind) is Literal]
    if few:
        return ", ".join(f"**{value}**" if value == field.default else str(value) for value in get_args(few[0]))
    default: Any = field.default
    if field.is_required() or default in (None, ""):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return str(list(default))
    return f"{default:,}" if isinstance(default, int) else f"{default:g}"


def rows(section: type[BaseModel], before: str = "") -> Iterator[str]:
    """A line of the page's table for every key of a section, and of those below it."""
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from rows(field.annotation, f"{key}.")
        elif field.annotation == dict[str, Condition]:
            yield from rows(Condition, f"{key}.NAME.")
        else:
            assert field.description, f"nothing says what {before}{key} is"
            yield f"| `{before}{key}` | {default_of(field)} | {field.description} |"


def test_the_page_tells_of_every_key_what_it_is_and_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs/recipes.md").read_text("utf-8")
    table = page.split("### Every key")[1].splitlines()
    assert [line for line in table if line.startswith("| `")] == list(rows(Recipe))
