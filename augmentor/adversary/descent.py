"""One step down a loss, shared by everything that learns."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from augmentor.together.team import ALONE, Team


def descend(optimiser: torch.optim.Optimizer, losses: Iterable[Tensor], clip: float, team: Team = ALONE) -> None:
    """Step on the gradients of the sum of scalar ``losses``, those of each group clipped to the norm ``clip``.

    Losses are asked for one by one, so that only one part of a batch is in memory; a ``team`` adds up what its
    processes find.
    """
    optimiser.zero_grad(set_to_none=True)
    for loss in losses:
        # Parts share what was made of the weights alone, such as their spectral norms.
        loss.backward(retain_graph=team.parts > 1)
        del loss
    held = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    team.add_up(parameter.grad for parameter in held if parameter.grad is not None)
    for group in optimiser.param_groups:
        clip_grad_norm_(group["params"], clip)
    optimiser.step()
