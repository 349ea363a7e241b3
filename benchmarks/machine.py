"""What a figure was measured on: date, device, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime

import torch


def machine() -> dict[str, object]:
    """Facts that go with every benchmark result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": gpu or f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads ({platform.machine()})",
        "torch": torch.__version__,
        "commit": commit.stdout.strip() or "unknown",
    }
