"""A text encoder that the user has, in the Hugging Face layout, read from a folder and nowhere else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augmentor import synthesize, train
from augmentor.errors import LabelError
from augmentor.t2t.conditioning import LanguageCondition, as_record, from_record
from augmentor.t2t.text import encode_with

transformers = pytest.importorskip("transformers", reason="language encoders need the package transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bright", "dark", "image"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of some thousand random weights over eight words."""
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.set_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(WORDS), **shape)).save_pretrained(folder)
    return folder


def test_texts_become_numbers_that_tell_them_apart(encoder: Path) -> None:
    bright, again, dark = (encode_with(str(encoder), text) for text in ("bright image", "bright image", "dark image"))
    assert len(bright) == 16 and bright == again and bright != dark
    condition = LanguageCondition("report", str(encoder), 16)
    assert from_record(as_record(condition)) == condition
    assert condition.encode(None) == [0.0] * 17 and condition.encode("bright image") == [1.0, *bright]


@pytest.mark.parametrize("found", ["nothing", "an empty folder", "a file"])
def test_what_is_no_model_is_said(tmp_path: Path, found: str) -> None:
    place = tmp_path / "encoder"
    if found == "an empty folder":
        place.mkdir()
    elif found == "a file":
        place.write_text("")
    with pytest.raises(ValueError, match="encoder"):
        encode_with(str(place), "bright image")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "report"])
        for k in range(32):
            level, report = (200, "bright image") if k % 2 else (60, "dark image")
            Image.fromarray((level + random.integers(-20, 20, (16, 16))).astype(np.uint8)).save(folder / f"{k:02d}.png")
            writer.writerow([f"{k:02d}.png", report])
    return folder


def changes(encoder: Path) -> tuple[str, ...]:
    report = f"conditions={{report: {{kind: language, column: report, encoder: {encoder}}}}}"
    return (report, "data.group=null", "tiles.size=[16,16]", "game.images=1600", "synthesis.format=png")


def test_samples_follow_a_text_that_such_an_encoder_read(encoder: Path, pictures: Path, tmp_path: Path) -> None:
    run = train("chest_xray", data=pictures, changes=changes(encoder), runs=tmp_path)
    levels = [
        np.mean(
            [
                np.asarray(Image.open(f))
                for f in synthesize(8, run=run.folder, condition={"report": text}).glob("s*.png")
            ]
        )
        for text in ("dark image", "bright image")
    ]
    assert levels[0] + 30 < levels[1]


def test_an_encoder_that_is_not_there_is_refused_before_training(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no folder of a language model"):
        train("chest_xray", data=pictures, changes=changes(tmp_path / "nowhere"), runs=tmp_path / "runs")
