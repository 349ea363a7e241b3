"""Text as a condition: a small byte-level encoder, trigrams to regress on, and encoders that a user has."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

BUCKETS = 64
"""Buckets that the trigrams of a text are hashed into."""


class TextEncoder(nn.Module):
    """Bytes of a text, each plus 1 and 0 where it has ended, (B, length) -> (B, width).

    A byte table, positions, one layer of attention and a mean over the bytes that are there; small
    enough to be trained along on some hundred captions (byte-level as in ByT5, Xue et al. 2022).
    """

    WIDTH = 64

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(257, self.WIDTH)
        self.position = nn.Parameter(torch.randn(length, self.WIDTH) * 0.1)
        self.norm = nn.LayerNorm(self.WIDTH)
        self.qkv = nn.Linear(self.WIDTH, 3 * self.WIDTH)
        self.out = nn.Linear(self.WIDTH, width)

    def forward(self, text: Tensor) -> Tensor:
        there = text > 0
        x = self.table(text.long()) + self.position
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        logits = (q @ k.transpose(-1, -2) / self.WIDTH**0.5).masked_fill(~there[:, None], -1e4)
        x = x + logits.softmax(dim=-1) @ v
        weight = there.to(x)[..., None]
        return self.out((x * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1))


def trigrams(text: Tensor) -> Tensor:
    """How often each hashed run of three bytes occurs, scaled to unit length: (B, length) -> (B, BUCKETS).

    The hashing trick of Weinberger et al. 2009 on the subwords of fastText (Bojanowski et al. 2017).
    """
    byte = text.long()
    if text.shape[1] < 3:
        byte = torch.nn.functional.pad(byte, (0, 3 - text.shape[1]))
    first, second, third = byte[:, :-2], byte[:, 1:-1], byte[:, 2:]
    bucket = (first * 7919 + second * 104729 + third * 1299709) % BUCKETS
    counts = text.new_zeros(len(text), BUCKETS).scatter_add_(1, bucket, (third > 0).to(text))
    return counts / counts.norm(dim=1, keepdim=True).clamp(min=1)


def encode_with(folder: str, text: str) -> list[float]:
    """The mean of the last hidden states of the language model in ``folder``.

    Raises:
        ValueError: if the folder holds no model that can be read without the network.
    """
    tokenizer, model = _language_model(folder)
    with torch.inference_mode():
        hidden = model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state
    return [float(x) for x in hidden[0].mean(dim=0)]


@lru_cache(maxsize=2)
def _language_model(folder: str):  # type: ignore[no-untyped-def]
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise ValueError("language encoders need the package transformers: pip install transformers") from None
    if not Path(folder).is_dir():
        raise ValueError(f"{folder} is no folder of a language model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False).eval()
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} holds no language model that can be read ({error})") from error
