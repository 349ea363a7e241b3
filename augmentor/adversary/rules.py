"""What the game is played by."""

from __future__ import annotations

from dataclasses import dataclass

from augmentor.adversary.augment import EVERYWHERE


@dataclass(frozen=True)
class Rules:
    """Weights and rates of the game; the recipe's ``game`` section."""

    loss: str = "relativistic"
    penalty: str = "approximate"
    penalty_base: float = 0.02
    penalty_adapts: bool = True
    adversarial_weight: float = 0.5
    reconstruction_weight: float = 3.0
    kl_weight: float = 2e-4
    lecam_weight: float = 0.0
    superresolution_weight: float = 0.0
    spectral: bool = True
    locality: bool = False
    transforms: tuple[str, ...] = EVERYWHERE
    augmentation: float = 1.0
    augmentation_adapts: bool = False
    jitter: float = 0.5
    warm_rate: float = 4e-3
    generator_rate: float = 2e-4
    discriminator_rate: float = 5e-4
    condition_drop: float = 0.1
    average_half_life: float = 1_000
    precision: str = "float32"
