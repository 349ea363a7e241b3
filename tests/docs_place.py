"""The folder that README.md and docs/*.md speak of, drawn small, and who listens at the addresses that they name."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import torch
from distributed import LocalCluster
from numpy.typing import NDArray
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.sop_class import ComputedRadiographyImageStorage, Verification
from torch import Tensor, nn

from augmentor import recipe as recipes
from data_adapters import Channel, Provenance, Template, adapter, open_scenes, phantoms

SIDE = 50
"""Pixels of a drawn scene from above."""

THIN = 36
"""Pixels of a drawn slice; of less, nothing can be hidden to learn from."""

PRODUCT = "S2A_MSIL2A_20230501T101601_N0509_R022_T32TPS_20230501T162100.SAFE"
BY = Provenance("phantom", "1", "drawn phantom", source="phantom")
SIX_YEARS = timedelta(days=2191)


def lay(place: Path) -> None:
    """Draw everything that a page names and does not make itself."""
    place.mkdir()
    _radiographs(place)
    _volumes(place)
    _ground(place)
    _stack(place)
    _aerial(place)
    torch.jit.script(Means()).save(str(place / "my_inception.pt"))


class Means(nn.Module):
    """A network of one's own."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean(dim=(2, 3)), images.std(dim=(2, 3))], dim=1)


def _radiographs(place: Path) -> None:
    """A labelled set, by any of its names; of those without a finding, some; and one image."""
    phantoms.chest_set(place / "DIR", 96, seed=0, size=64)
    with (place / "DIR/labels.csv").open() as stream:
        _, *rows = csv.reader(stream)
    labels = {"clear": "no_finding", "opacity": "pneumonia"}
    hospitals = ("hannover", "essen")
    said = [(file, labels[found], patient, hospitals[k // 2 % 2]) for k, (file, found, patient) in enumerate(rows)]
    normal = [row for row in said if row[1] == "no_finding"]
    sets = {
        "DIR": said,
        "DATA": said,
        "my_200_xrays": said,
        "NORMALS": normal,
        "PATH": normal[:6],
        "IMAGES": normal[:6],
    }
    for name, kept in sets.items():
        (place / name).mkdir(exist_ok=True)
        for file, *_ in kept if name != "DIR" else ():
            shutil.copy(place / "DIR" / file, place / name)
        with (place / name / "labels.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("file", "label", "patient_id", "hospital"), *kept])
    shutil.copy(place / "DIR" / said[-1][0], place / "image.dcm")


def _volumes(place: Path) -> None:
    for name in ("SERIES_DIR", "SERIES"):
        phantoms.write_ct(place / name, phantoms.ct_volume(0, THIN, 18), seed=0, leave_out=(4, 9))
    for seed in range(3):
        phantoms.write_ct(place / f"DIR_OF_SERIES/{seed}", phantoms.ct_volume(seed, 48, 48), seed)
        phantoms.write_mr(_in(place / f"DIR_OF_COMPLETE_VOLUMES/{seed}.nii.gz"), phantoms.mr_volume(seed, 32, 8), seed)
    truth = phantoms.mr_volume(0, THIN, 12)
    blank = truth.copy()
    blank[[3, 9]] = 0
    template = Template("nifti", "volume", "MR", (Channel("intensity"),), "int16", 0, 1200, spacing=(3.0, 3.0, 3.0),
                        unit="mm")  # fmt: skip
    for name, values in (("volume", blank), ("t2", blank), ("t1", 1200 - truth)):
        adapter("nifti").write_sample(place / name, values[None], template, BY)


def _raster(
    path: Path, values: NDArray[Any], *names: str, high: float = 1, dtype: str = "uint8", low: float = 0
) -> None:
    """Bands (C, H, W) on the grid that all drawn scenes share."""
    template = Template("geotiff", "raster", "", tuple(map(Channel, names)), dtype, low, high,
                        spacing=(1.0, 10.0, 10.0), unit="m", crs=phantoms.UTM)  # fmt: skip
    adapter("geotiff").write_sample(_in(path.with_suffix("")), values[:, None].astype(float), template, BY)


def _in(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _ground(place: Path) -> None:
    phantoms.write_sentinel2(place / "scene.tif", 0, SIDE)
    (scene,) = open_scenes(place / "scene.tif")
    bands = scene.read(0, 1).values[:, 0]
    (classes,) = scene.layers["SCL"].read(0, 1).values[:, 0]
    cloud = classes == 9
    _raster(place / "clouds.tif", cloud[None], "cloud")
    _raster(place / "cloud_probability.tif", cloud[None] * 90, "probability", high=100)
    stripes = np.zeros((SIDE, SIDE), dtype=bool)
    stripes[10::12, 4:], stripes[11::12, 4:] = True, True
    _raster(place / "slc_off.tif", np.where(stripes, 0, bands), *phantoms.BANDS, high=10000, dtype="uint16")
    _raster(place / "gaps.tif", stripes[None], "gap")
    shutil.copytree(place / "SERIES", place / "FOLDER/series")
    shutil.copy(place / "volume.nii.gz", place / "FOLDER")
    tile = place / PRODUCT / "GRANULE/L2A_T32TPS_A041026/IMG_DATA"
    for name, band in (*zip(phantoms.BANDS, bands, strict=True), ("SCL", classes)):
        low = name in ("B11", "SCL")
        path = tile / f"R{20 if low else 10}m/T32TPS_20230501T101601_{name}_{20 if low else 10}m.tif"
        _raster(path, band[None], name, high=10000, dtype="uint16")


def _stack(place: Path) -> None:
    drawn = phantoms.Phantoms(*(place / "drawn" / name for name in phantoms.Phantoms._fields))
    phantoms.write_stack(drawn, 0, SIDE)
    for folder in (drawn.stack, drawn.clouds):
        for path in folder.iterdir():
            if day := re.search(r"\d{4}-\d\d-\d\d", path.name):
                then = date.fromisoformat(day[0]) - SIX_YEARS
                path.rename(path.with_name(path.name.replace(day[0], then.isoformat())))
    for name, source in (("STACK_DIR", drawn.stack), ("STACK", drawn.stack), ("MASKS_DIR", drawn.clouds),
                         ("MASKS", drawn.clouds)):  # fmt: skip
        shutil.copytree(source, place / name)
    shutil.copy(min(drawn.stack.glob("*2018-07-*.tif")), place / "july.tif")
    shutil.rmtree(place / "drawn")
    for seed, day in enumerate(("2018-04-20", "2018-07-01")):
        phantoms.write_radar(place / f"RADAR_DIR/radar_{day}.tif", seed, SIDE)
    _raster(place / "elevation.tif", np.add.outer(np.arange(SIDE), np.arange(SIDE))[None], "elevation", high=100)


def _aerial(place: Path) -> None:
    """Images of two uses of ground, with label maps named like them, and a recipe for them."""
    phantoms.aerial_set(place / "images", 16, seed=0, size=32)
    labels = place / "images/labels.csv"
    said = labels.read_text().replace("file,label", "file,use")
    labels.write_text(said.replace("field", "agricultural").replace("houses", "buildings"))
    for path in (place / "images").glob("*.tif"):
        (scene,) = open_scenes(path)
        red = scene.read(0, 1).values[0, 0]
        template = Template("geotiff", "raster", "", (Channel("label"),), "uint8", 0, 1, bits=8,
                            spacing=(1.0, 0.5, 0.5), unit="m", crs=phantoms.UTM)  # fmt: skip
        for folder in ("label_maps", "MAPS"):
            stem = _in(place / folder / path.stem)
            adapter("geotiff").write_sample(stem, (red > np.median(red))[None, None].astype(float), template, BY)
    changes = ("name=my", "conditions={use: {column: use}}", "tiles.size=[32,32]", "data.group=patient_id")
    (place / "my.yaml").write_text(recipes.load("aerial_rgb", changes, path="images").to_yaml())


class Listening(NamedTuple):
    """What stands at the addresses of the pages: theirs and ours; and what arrived."""

    addresses: dict[str, str]
    arrived: list[str]


@contextmanager
def listening() -> Iterator[Listening]:
    """A PACS, a DICOMweb service and a dask scheduler with one worker, on loopback."""
    arrived: list[str] = []

    def store(event: evt.Event) -> int:
        arrived.append(event.request.AffectedSOPInstanceUID)
        return 0

    class Web(BaseHTTPRequestHandler):
        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._answer(b"[]")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append(self.path)
            self._answer(b'{"00081199": {"vr": "SQ", "Value": []}}')

        def log_message(self, format: str, *words: Any) -> None:
            """Nothing."""

    archive = AE("ARCHIVE")
    archive.add_supported_context(Verification)
    archive.add_supported_context(ComputedRadiographyImageStorage, ALL_TRANSFER_SYNTAXES)
    handlers: Sequence[Any] = [(evt.EVT_C_STORE, store), (evt.EVT_C_ECHO, lambda event: 0)]
    pacs: Any = archive.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    Thread(target=web.serve_forever, daemon=True).start()
    try:
        with LocalCluster(1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
                          dashboard_address=None) as cluster:  # fmt: skip
            yield Listening(
                {
                    "pacs.example.org:104": f"127.0.0.1:{pacs.server_address[1]}",
                    "https://pacs.example.org": f"http://127.0.0.1:{web.server_port}",
                    "tcp://host:8786": cluster.scheduler_address,
                },
                arrived,
            )
    finally:
        pacs.shutdown()
        web.shutdown()
        web.server_close()
