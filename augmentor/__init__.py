"""Imagery where there is too little of it: train a T2T-GAN, synthesize samples, fill holes.

``from augmentor import train, synthesize, evaluate, fill`` mirrors the command line.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augmentor.evaluate import evaluate
    from augmentor.fill import fill
    from augmentor.ingest import ingest
    from augmentor.inspect import inspect
    from augmentor.interpolate import interpolate
    from augmentor.pairs import pairs
    from augmentor.restyle import restyle
    from augmentor.runs import runs
    from augmentor.score import score
    from augmentor.synthesize import synthesize
    from augmentor.train import train
    from augmentor.verify import verify
    from augmentor.view import view

__all__ = [
    "evaluate",
    "fill",
    "ingest",
    "inspect",
    "interpolate",
    "pairs",
    "restyle",
    "runs",
    "score",
    "synthesize",
    "train",
    "verify",
    "view",
]


# Idle OpenMP threads sleep instead of spinning: two runs side by side on two cores were found to be five times
# slower otherwise. Must be said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


class _Verbs(ModuleType):
    """The package, with each verb's function under the name of the verb's module.

    A verb is imported when it is first used, so that ``augmentor --help`` does not wait for torch. The
    import system binds a submodule to its parent's attribute; here the function of that name is bound.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'augmentor' has no attribute {name!r}")
        importlib.import_module(f"augmentor.{name}")
        return self.__dict__[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Verbs
