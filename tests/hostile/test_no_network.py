"""Nothing asks the network: the demo's steps run where every socket to another machine is forbidden."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

FORBIDDEN = """
import socket

asked = []

def forbid(name):
    allowed = getattr(socket.socket, name)
    def connect(self, address, *more):
        if self.family == socket.AF_UNIX:
            return allowed(self, address, *more)
        asked.append(address)
        raise AssertionError(f"{name} to {address}")
    setattr(socket.socket, name, connect)

for name in ("connect", "connect_ex", "sendto"):
    forbid(name)

def resolve(host, *more, **options):
    asked.append(host)
    raise AssertionError(f"asks for {host}")

for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "create_connection"):
    setattr(socket, name, resolve)
"""

STEPS = """
import sys
from pathlib import Path
from augmentor import demo

# The same steps on less of everything.
demo.SIZE, demo.SAMPLES, demo.LEARNED = 32, 4, 64
demo.HURRIED = ("game.images=96", "game.checkpoint_every=96", "tiles.size=[32,32]")
draw = demo.draw_all
demo.draw_all = lambda folder, **said: draw(folder, **(said | {"radiographs": 24}))
page = demo.demo(Path(sys.argv[1]))
assert page.is_file()
assert asked == [], asked
print("nothing was asked")
"""

CAUGHT = """
import urllib.request
try:
    urllib.request.urlopen("http://example.org", timeout=5)
except Exception as error:
    print("caught", bool(asked))
"""


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FORBIDDEN + script, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_demo_asks_nothing_of_the_network(tmp_path: Path) -> None:
    process = run(STEPS, str(tmp_path / "demo"))
    assert process.returncode == 0, process.stderr
    assert "nothing was asked" in process.stdout


def test_a_request_would_be_seen() -> None:
    """Else nothing would be shown by there being none."""
    assert run(CAUGHT).stdout.strip() == "caught True"
