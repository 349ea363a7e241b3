"""A file that is served: at full resolution, to this machine, to who knows the address, and to GET alone."""

import http.client
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from page_planes import told, unpack

from augmentor.cli import main
from augmentor.view import serve
from augmentor.viewing import serve as serving
from augmentor.viewing.serve import Server
from data_adapters import open_scenes, phantoms
from data_adapters.errors import SystemRefused


@pytest.fixture(scope="module")
def server(drawn: phantoms.Phantoms) -> Iterator[Server]:
    with serve(drawn.stack) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", host: str = "") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def test_planes_come_as_they_are_asked_for(server: Server, drawn: phantoms.Phantoms) -> None:
    secret = urlsplit(server.url).path
    status, body, headers = ask(server, secret)
    page = body.decode()
    assert status == 200 and headers["Cache-Control"] == "no-store" and headers["X-Frame-Options"] == "DENY"
    assert told(page)["served"] and "connect-src &#39;self&#39;" in page and 'type="text/plain"' not in page
    (scene,) = open_scenes(drawn.stack)
    for date, band in ((0, 0), (3, 4), (3, 1)):
        status, body, _ = ask(server, f"{secret}values-{date}-{band}")
        found, pixels = unpack(body), scene.read(date, 1)
        assert status == 200 and found.exact and np.array_equal(found.seen, pixels.valid[band, 0])
        assert np.array_equal(found.values[found.seen], pixels.values[band, 0][found.seen])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "values-99-0",
        "values-0-99",
        "values-0--1",
        "values-0-0-0",
        "before-0-0",
        "..%2f",
        "values",
        f"values-{'9' * 5000}-0",
    ],
)
def test_nothing_else_is_there(path: str, server: Server) -> None:
    secret = urlsplit(server.url).path
    assert ask(server, f"{secret if path else '/'}{path}")[0] == 404


@pytest.mark.parametrize("key", ["values-²-0", "values-٣-0"])
def test_a_number_is_one_of_ascii(key: str, server: Server) -> None:
    with pytest.raises(KeyError):
        server.plane(key)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_only_get_is_answered(method: str, server: Server) -> None:
    assert ask(server, urlsplit(server.url).path, method)[0] == 501


def test_who_does_not_know_the_address_or_comes_by_another_name_is_refused(server: Server) -> None:
    assert len(server.secret) > 20 and urlsplit(server.url).hostname == "127.0.0.1"
    assert ask(server, "/guess/values-0-0")[0] == 404
    assert ask(server, urlsplit(server.url).path, host="rebound.example:80")[0] == 403
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_said(server: Server, drawn: phantoms.Phantoms) -> None:
    with pytest.raises(SystemRefused, match="port"):
        serve(drawn.stack, port=server.server_port)


def test_a_plane_that_no_browser_holds_is_served_coarser(
    drawn: phantoms.Phantoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "LARGEST", 64 * 64 / 8)
    with serve(drawn.mr) as small:
        assert small.factor == 3 and "mean of 3 × 3" in small.page.decode()
        assert unpack(small.plane("values-20-0")).values.shape == (22, 22)


def test_a_page_is_not_written_and_served_at_once(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["view", str(drawn.mr), "--serve", "-o", str(tmp_path / "x.html")])
    assert result.exit_code == 2 and "--serve writes no page" in result.output and not any(tmp_path.iterdir())


def test_it_ends_with_ctrl_c(drawn: phantoms.Phantoms) -> None:
    command = [sys.executable, "-m", "augmentor", "view", str(drawn.mr), "--serve"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background ignores the signal, and so would all that it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 60)[0]
    (url,) = re.findall(r"http://\S+/", process.stdout.readline())
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("GET", urlsplit(url).path)
    assert connection.getresponse().status == 200
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0 and said == ""
