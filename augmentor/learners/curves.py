"""Figures as curves for TensorBoard, where that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from augmentor.run import Run

FOLDER = "tensorboard"


class Curves:
    """Writes what is logged of a run as scalars over tiles seen; nothing without TensorBoard."""

    def __init__(self, run: Run, seen: int) -> None:
        self._writer: Any = None
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            # What lies behind the checkpoint that training goes on from is hidden.
            self._writer = SummaryWriter(str(run.folder / FOLDER), purge_step=seen + 1)

    def add(self, record: Mapping[str, Any]) -> None:
        """Every number of a line of the log, by the name of its act."""
        if self._writer is not None:
            for name, value in record.items():
                if isinstance(value, int | float) and name != "images":
                    self._writer.add_scalar(f"{record['act']}/{name}", value, record["images"])

    def close(self) -> None:
        """Write what is still held back."""
        if self._writer is not None:
            self._writer.close()
