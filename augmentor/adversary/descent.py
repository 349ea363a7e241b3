"""One step down a loss, shared by everything that learns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, clip: float) -> None:
    """Step on the gradients of a scalar ``loss``, those of each group clipped to the norm ``clip``."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimiser.param_groups:
        clip_grad_norm_(group["params"], clip)
    optimiser.step()
