"""What is sent arrives: a real archive on loopback takes samples and filled series, and gives back what was sent."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pydicom
import pytest
from adapter_factories import dicom_series, noise, only, patch, provenance, template
from pydicom.uid import CTImageStorage, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from data_adapters import Channel, adapter
from data_adapters.dicom.send import AT_ONCE, Pacs, store, stow, verify
from data_adapters.errors import NotDelivered

PLUGINS = "/usr/share/orthanc/plugins"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Orthanc:
    """A real PACS in a folder of its own."""

    def __init__(self, folder):
        program = shutil.which("Orthanc", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
        if program is None:
            pytest.skip("Orthanc is not installed")
        self.web, dicom = free_port(), free_port()
        self.pacs = Pacs("127.0.0.1", dicom, "ORTHANC")
        configuration = {
            "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "index"),
            "HttpPort": self.web, "DicomPort": dicom, "DicomAet": "ORTHANC", "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False, "Plugins": [PLUGINS], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=self.log, stderr=self.log)
        for _ in range(200):
            try:
                self.ask("system")
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail((folder / "log").read_text())

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/{path}", timeout=10) as answer:
            return answer.read()

    @property
    def dicomweb(self):
        if b"dicom-web" not in self.ask("plugins"):
            pytest.skip("Orthanc's DICOMweb plugin is not installed")
        return f"http://127.0.0.1:{self.web}/dicom-web"

    def instances(self):
        """Everything that it holds, by SOPInstanceUID."""
        names = json.loads(self.ask("instances"))
        found = [pydicom.dcmread(BytesIO(self.ask(f"instances/{name}/file"))) for name in names]
        return {dataset.SOPInstanceUID: dataset for dataset in found}

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield archive
    archive.stop()


def sample(folder, modality, slices, seed):
    known = template(
        "dicom", modality=modality, channels=(Channel(modality),), kind="volume" if slices > 1 else "image"
    )
    values = np.random.default_rng(seed).uniform(0, 1000, (1, slices, 16, 20))
    return adapter("dicom").write_sample(folder / f"{modality}{seed}", values, known, provenance(seed=seed))


def filled(folder, seed):
    """A series of which one slice was compressed and stayed as it was."""
    source = dicom_series(folder / "in", noise((4, 16, 20), "int16", seed), syntax=RLELossless)
    scene = only(source)
    return scene.write_filled(folder / "out", [patch(scene, 1, scene.plane, 100)], provenance(seed=seed))


KINDS = ["CT", "MR", "CR", "DX", "filled"]
WAYS = ["C-STORE", "STOW-RS"]


def files_of(folder, what, seed):
    if what == "filled":
        return filled(folder, seed)
    return sample(folder, what, 1 if what in ("CR", "DX") else AT_ONCE + 1, seed)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_an_archive_gives_back_what_it_was_sent(tmp_path, orthanc, what, way):
    seed = 10 * WAYS.index(way) + KINDS.index(what)
    files = files_of(tmp_path, what, seed)
    if way == "C-STORE":
        verify(orthanc.pacs)
        store(files, orthanc.pacs)
    else:
        stow(files, orthanc.dicomweb)
    kept = orthanc.instances()
    for path in files:
        sent = pydicom.dcmread(path)
        back = kept[sent.SOPInstanceUID]
        assert back == sent
        assert np.array_equal(back.pixel_array, sent.pixel_array)
        assert back.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


def test_sending_twice_stores_once(tmp_path, orthanc):
    files = files_of(tmp_path, "CR", 77)
    store(files, orthanc.pacs)
    before = len(orthanc.instances())
    store(files, orthanc.pacs)
    assert len(orthanc.instances()) == before


@contextmanager
def archive(status=0x0000, contexts=(CTImageStorage, Verification)):
    """A small archive that answers every image with a status."""
    server = AE(ae_title="SMALL")
    server.require_called_aet = True
    for context in contexts:
        server.add_supported_context(context)
    port = free_port()
    handlers = [(evt.EVT_C_STORE, lambda event: status), (evt.EVT_C_ECHO, lambda event: 0x0000)]
    running = server.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield Pacs("127.0.0.1", port, "SMALL")
    finally:
        running.shutdown()


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB007])
def test_success_and_warnings_are_stored(tmp_path, status):
    with archive(status) as pacs:
        store(sample(tmp_path, "CT", 2, 1), pacs)


@pytest.mark.parametrize("status", [0xA700, 0xC000, 0x0122])
def test_a_refusal_names_the_file_and_what_was_said(tmp_path, status):
    with archive(status) as pacs, pytest.raises(NotDelivered, match=rf"slice_0000.dcm.*{status:04X}H.*0 of 2"):
        store(sample(tmp_path, "CT", 2, 1), pacs)


def test_a_class_that_an_archive_does_not_take_is_said(tmp_path):
    with archive() as pacs:
        radiograph = sample(tmp_path, "CR", 1, 1)
        with pytest.raises(NotDelivered, match="takes no Computed Radiography"):
            store(radiograph, pacs)
        with pytest.raises(NotDelivered, match=r"2 of 3 files are at"):
            store([*sample(tmp_path, "CT", 2, 1), *radiograph], pacs)


def test_nobody_there_and_a_wrong_title_are_said():
    with pytest.raises(NotDelivered, match="does not answer"):
        verify(Pacs("127.0.0.1", free_port(), "ANY"))
    with archive() as pacs:
        verify(pacs)
        with pytest.raises(NotDelivered, match="refuses the association"):
            verify(Pacs(pacs.host, pacs.port, "OTHER"))


def test_nobody_at_a_url_is_said(tmp_path):
    with pytest.raises(NotDelivered, match="0 of 1"):
        stow(sample(tmp_path, "CR", 1, 1), f"http://127.0.0.1:{free_port()}/dicom-web")


@pytest.mark.parametrize(
    "address", ["", "host", "host:104", "host/AET", "host:0/AET", "host:x/AET", "h:104/", "h:1/" + "A" * 17]
)
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(NotDelivered, match="host:port/AET"):
        Pacs.parse(address)


@pytest.mark.parametrize("address", ["pacs.example.org:104/ARCHIVE", "10.0.0.7:11112/A B"])
def test_an_address_is_read_and_written(address):
    assert str(Pacs.parse(address)) == address
