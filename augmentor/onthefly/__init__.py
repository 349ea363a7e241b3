"""Samples drawn where a training script needs them, without files: torch datasets, MONAI and albumentations transforms.

``datasets`` is for torch, ``monai`` and ``albumentations`` for those libraries; see docs/python.md.
"""
