"""What is looked at, made once: what `fill` wrote, and a run that hardly learned."""

from pathlib import Path

import pytest

from augmentor.fill import fill
from augmentor.run import Run
from augmentor.train import train
from data_adapters import phantoms


@pytest.fixture(scope="session")
def filled(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what `fill` makes of a CT series, an MR volume and a stack."""
    folder = tmp_path_factory.mktemp("filled")
    fill(drawn.ct, folder / "ct", prior_only=True)
    fill(drawn.mr, folder / "mr.nii.gz", prior_only=True)
    fill(drawn.stack, folder / "stack", mask=drawn.clouds, prior_only=True)
    return folder


@pytest.fixture(scope="session")
def trained(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that knows two classes of radiographs, four in ten of them held out."""
    folder = tmp_path_factory.mktemp("runs")
    changes = ("data.group=patient", "conditions.finding.column=finding", "tiles.size=[32,32]", "tiles.held_out=0.4",
               "game.images=960")  # fmt: skip
    return train("chest_xray", data=drawn.chest, changes=changes, runs=folder)
