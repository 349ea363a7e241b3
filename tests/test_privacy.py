"""Nothing that names a patient of the training set is in what a run writes, nor in the run itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from augmentor import synthesize, train
from augmentor.run import Run
from data_adapters import phantoms

NAMED = ("PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientMotherBirthName", "PatientComments",
         "ReferringPhysicianName", "OperatorsName", "InstitutionName", "InstitutionAddress", "StationName",
         "AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "DeviceSerialNumber", "ImageComments",
         "RequestedProcedureDescription", "ProtocolName", "AdditionalPatientHistory")  # fmt: skip
"""Elements in which a hospital writes whom it has before it; each of the test's carries a secret of its own."""

DATES = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def name_patient(path: Path, day: int) -> set[str]:
    """Write secrets into every place of a file in which one could be; returns them."""
    dataset = pydicom.dcmread(path)
    told = {keyword: secrets.token_hex(6) for keyword in NAMED}
    for keyword, secret in told.items():
        setattr(dataset, keyword, f"Doe^{secret}" if keyword.endswith(("Name", "Names")) else secret)
    for keyword in DATES:
        setattr(dataset, keyword, f"19{30 + day % 60}{1 + day % 12:02d}17")
    hidden = [secrets.token_hex(6) for _ in range(4)]
    block = dataset.private_block(0x0011, "SCANNER MAKER", create=True)
    block.add_new(0x01, "LO", hidden[0])
    inner, outer = Dataset(), Dataset()
    inner.PatientID = hidden[1]
    inner.private_block(0x0013, "SCANNER MAKER", create=True).add_new(0x02, "LT", hidden[2])
    outer.ReferencedStudySequence = [inner]
    dataset.RequestAttributesSequence = [outer]
    icon = Dataset()
    icon.ImageComments = hidden[3]
    dataset.IconImageSequence = [icon]
    dataset.save_as(path)
    kept = {str(dataset[keyword].value) for keyword in UIDS if keyword in dataset}
    return set(told.values()) | set(hidden) | kept | {str(dataset.StudyDate)}


def values(dataset: Dataset) -> Iterator[str]:
    """The text of every element, at any depth."""
    for element in dataset.iterall():
        if element.VR != "SQ":
            yield str(element.value)


@pytest.fixture(scope="module")
def identified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """Radiographs of named patients, and every secret in them."""
    folder = phantoms.draw_all(tmp_path_factory.mktemp("named"), seed=5, radiographs=24, size=48).chest
    found = [name_patient(path, day) for day, path in enumerate(sorted(folder.rglob("*.dcm")))]
    assert len(found) >= 24
    return folder, set().union(*found)


@pytest.fixture(scope="module")
def run(identified: tuple[Path, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Run:
    changes = ("tiles.size=[32,32]", "game.images=160", "conditions.finding.column=finding", "data.group=patient")
    return train("chest_xray", data=identified[0], changes=changes, runs=tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("form", ["dicom", "nifti", "png"])
def test_a_sample_names_nobody_of_the_training_set(
    identified: tuple[Path, set[str]], run: Run, tmp_path: Path, form: str
) -> None:
    out = synthesize(6, run=run.folder, out=tmp_path / "out", format=form)
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) >= 8
    for path in written:
        content = path.read_bytes()
        assert not [secret for secret in identified[1] if secret.encode() in content], path
    for path in out.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        assert not [value for value in values(dataset) for secret in identified[1] if secret in value]
        assert not [element for element in dataset.iterall() if element.tag.is_private]


def test_a_run_that_is_handed_on_names_nobody(identified: tuple[Path, set[str]], run: Run) -> None:
    for path in (path for path in run.folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not [secret for secret in identified[1] if secret.encode() in content], path


def test_the_secrets_would_be_found(identified: tuple[Path, set[str]]) -> None:
    """The same search finds every one of them in the training set itself."""
    folder, told = identified
    content = b"".join(path.read_bytes() for path in folder.rglob("*.dcm"))
    assert all(secret.encode() in content for secret in told)
