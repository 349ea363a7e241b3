"""Hostile files are handed over in a process of their own, whose memory and time are watched."""

from __future__ import annotations

import pytest

from data_adapters import room

GRANTED = 1 << 28
"""Bytes of memory that the machine pretends to have: half of it may be taken at once."""


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small machine, so that what must be refused need not be large."""
    monkeypatch.setattr(room, "memory", lambda: GRANTED)
