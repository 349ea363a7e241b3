"""A text is read up to its end and no further; trigrams have unit length; language models come from a folder."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from augmentor.t2t.conditioning import LanguageCondition, TextCondition
from augmentor.t2t.text import BUCKETS, TextEncoder, encode_with, trigrams

TEXTS = ["a", "ab", "abc", "no effusion", "small effusion left", "Erguss rechts, größer als zuvor"]


def code(text: str, length: int = 40) -> Tensor:
    return torch.tensor([TextCondition("said", length).numbers(text)])


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_after_the_end_of_a_text_is_read(text: str) -> None:
    encoder = TextEncoder(40, 6)
    end = len(text.encode())
    short = TextEncoder(end, 6)
    state = encoder.state_dict()
    short.load_state_dict(state | {"position": state["position"][:end]})
    torch.testing.assert_close(encoder(code(text)), short(code(text, end)), atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        before = encoder(code(text))
        encoder.table.weight[0] += 5
        encoder.position[end:] += 5
    torch.testing.assert_close(encoder(code(text)), before)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_does_not_depend_on_those_beside_it(text: str) -> None:
    encoder = TextEncoder(40, 6)
    together = encoder(torch.cat([code(other) for other in (*TEXTS, text)]))
    torch.testing.assert_close(together[-1:], encoder(code(text)), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("by", ["encoder", "trigrams"])
def test_different_words_are_told_apart(by: str) -> None:
    words = [*TEXTS[2:], "left effusion small", "effusion no"]
    read = TextEncoder(40, 6) if by == "encoder" else trigrams
    found = read(torch.cat([code(word) for word in words]))
    apart = torch.cdist(found, found) + torch.eye(len(words))
    assert apart.min() > 1e-3


def test_a_text_of_nothing_is_still_a_vector() -> None:
    assert TextEncoder(8, 6)(code("", 8)).isfinite().all()
    assert not trigrams(code("", 8)).any()


@pytest.mark.parametrize("length", [1, 2, 3, 40])
@pytest.mark.parametrize("text", TEXTS)
def test_trigrams_have_unit_length_from_three_bytes_on(text: str, length: int) -> None:
    found = trigrams(code(text, length))
    assert found.shape == (1, BUCKETS)
    there = min(length, len(text.encode())) >= 3
    assert found.norm().item() == pytest.approx(float(there))


def test_trigrams_are_counted_wherever_they_stand() -> None:
    text = "abcabcab"
    one_by_one = sum(trigrams(code(text[k : k + 3])) for k in range(len(text) - 2))
    torch.testing.assert_close(trigrams(code(text)), one_by_one / one_by_one.norm())


def test_a_language_model_that_is_not_there_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"transformers|no folder of a language model"):
        encode_with(str(tmp_path / "nowhere"), "text")


def test_a_language_model_gives_the_mean_of_its_last_hidden_states(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="language encoders need the package transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "left", "effusion"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **sizes)).eval()
    model.save_pretrained(tmp_path)
    tokenizer = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    tokenizer.save_pretrained(tmp_path)
    condition = LanguageCondition("report", str(tmp_path), 8)
    with torch.no_grad():
        hidden = model(**tokenizer("left effusion", return_tensors="pt")).last_hidden_state[0]
    torch.testing.assert_close(torch.tensor(condition.encode("left effusion")[1:]), hidden.mean(dim=0))
    assert len(condition.encode("no effusion")) == condition.size
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no language model"):
        encode_with(str(tmp_path / "empty"), "text")
