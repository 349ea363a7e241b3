"""The label map of a sample beside it, as users of its format expect one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import Unwritable
from data_adapters.registry import adapter
from data_adapters.scene import Channel, Provenance, Template


def write_labels(
    stem: Path,
    labels: NDArray[np.integer[Any]],
    known: Sequence[int],
    template: Template,
    provenance: Provenance,
    images: Sequence[Path],
) -> list[Path]:
    """Write labels (slices, rows, columns) of a sample that was written as ``images``; returns the files.

    ``known`` are all labels that occur in the run. DICOM has an object for it, which refers to the images and has a
    segment for every label but 0; none is written where there is none. Other formats hold whole numbers.

    Raises:
        Unwritable: if the format has no room for the labels (a PNG holds 0 to 65,535).
    """
    if template.format == "dicom":
        from data_adapters.dicom.decode import read_header
        from data_adapters.dicom.segmentation import write_label_map

        sources = [read_header(path) for path in images]
        names = {value: f"Label {value}" for value in known if value}
        return write_label_map(stem.with_name(f"{stem.name}.dcm"), sources, labels, names, provenance)
    room = next((t for t in ("uint8", "uint16") if min(known) >= 0 and max(known) <= np.iinfo(t).max), "int32")
    if template.format == "png" and room == "int32":
        raise Unwritable(f"labels {min(known)} to {max(known)} do not fit a PNG", do="write geotiff, nifti or dicom")
    own = replace(
        template,
        channels=(Channel("label"),),
        dtype=room,
        low=float(min(known)),
        high=float(max(known)),
        slope=1.0,
        intercept=0.0,
        scalings=(),
        nodata=None,
    )
    return adapter(own.format).write_sample(stem, labels[None].astype(np.float64), own, provenance)
