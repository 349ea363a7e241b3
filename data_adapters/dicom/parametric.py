"""A number for every pixel of images as a DICOM Parametric Map (PS3.3 A.75) that refers to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from data_adapters.dicom import decode
from data_adapters.dicom.common import code, contribution, decimal, decimals, save, uid
from data_adapters.dicom.fill import MODIFYING
from data_adapters.dicom.fixity import MAKER, digest
from data_adapters.dicom.referring import Plane, complete, in_one_space, refer
from data_adapters.dicom.volumes import Frame
from data_adapters.errors import Unwritable
from data_adapters.scene import Provenance

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

NO_UNIT = ("1", "UCUM", "no units")


def write_parametric_map(
    destination: Path,
    slots: Sequence[Frame | None],
    values: NDArray[np.float32],
    about: str,
    provenance: Provenance,
) -> Path:
    """Write ``values`` (slices, rows, columns) of the frames in ``slots``, float32, NaN where none is known.

    A slot without a frame has no image that could be referred to, and no map.

    Raises:
        Unwritable: if an image lacks what it is referred to by.
    """
    there = [index for index, frame in enumerate(slots) if frame is not None]
    headers = {frame.path: decode.read_header(frame.path) for frame in slots if frame is not None}
    for path, header in headers.items():
        if lacking := [name for name in NEEDED if not header.get(name)]:
            raise Unwritable(f"has no {lacking[0]}, by which a map could refer to it", where=path, do="give it one")
    planes = [Plane(headers[at.path], None if at.frame is None else at.frame + 1) for at in slots if at is not None]
    shown_on = {f"1.2.{index + 1}": plane for index, plane in enumerate(planes)}
    stand_ins = [plane.stand_in(name) for name, plane in shown_on.items()]
    places = {(*map(str, at.get("ImagePositionPatient", ())),) for at in stand_ins}
    # Frames of several times or echoes lie on each other, which a map cannot say.
    if not in_one_space(stand_ins) or len(places) < len(stand_ins):
        _place(stand_ins, uid(provenance, "map frame of reference", planes[0].image.SeriesInstanceUID))
    try:
        dataset = _map(stand_ins, values[there].astype(np.float32), about, provenance)
    except (ValueError, TypeError, AttributeError) as error:
        text = str(error).splitlines()[0]
        raise Unwritable(f"no map can refer to it ({text})", where=planes[0].image.filename, do="mend it") from error
    refer(dataset, shown_on)
    complete(dataset, planes[0].image, provenance, about)
    # The frames lie in the order of their positions, whichever way the slices are numbered.
    stored = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(len(planes), *values.shape[1:])
    made_by = contribution(provenance, code(*MODIFYING), digest(list(stored), dataset))
    dataset.ContributingEquipmentSequence = [made_by]
    return save(dataset, destination)


def _place(stand_ins: Sequence[Dataset], frame_of_reference: str) -> None:
    """Put images that lie nowhere in a patient, as radiographs, or on each other, into planes of the map's own space.

    A parametric map has to lie somewhere (PS3.3 A.75.3), its pixels on those of its images all the same.
    """
    for index, stand_in in enumerate(stand_ins):
        stand_in.SOPClassUID, stand_in.FrameOfReferenceUID = CTImageStorage, frame_of_reference
        stand_in.ImagePositionPatient = decimals((0, 0, index))
        stand_in.ImageOrientationPatient = decimals((1, 0, 0, 0, 1, 0))
        if "PixelSpacing" not in stand_in:
            stand_in.PixelSpacing, stand_in.SliceThickness = decimals((1, 1)), decimal(1)


def _map(images: Sequence[Dataset], values: NDArray[np.float32], about: str, provenance: Provenance) -> Dataset:
    from highdicom.pm import ParametricMap, RealWorldValueMapping
    from pydicom.sr.coding import Code

    known = values[np.isfinite(values)]
    high = float(np.percentile(known, 99.5)) if known.size else 1.0
    series = images[0].SeriesInstanceUID
    meaning = RealWorldValueMapping("strangeness", about, Code(*NO_UNIT), (-1e6, 1e6), slope=1, intercept=0)
    return ParametricMap(
        images,
        values,
        uid(provenance, "map series", series),
        9001,
        uid(provenance, "map", series, [image.SOPInstanceUID for image in images]),
        1,
        MAKER,
        provenance.method[:64],
        provenance.version,
        provenance.checkpoint[:16] or "none",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[meaning],
        window_center=high / 2,
        window_width=max(high, 1e-3),
        content_label="MAP",
        content_description=about[:64],
    )
