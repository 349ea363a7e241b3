"""The pages as a browser draws them: the file's own values, by slider, key and pointer, on a desk and on a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from augmentor.run import Run
from augmentor.view import serve, view
from data_adapters import Scene, open_scenes, phantoms

PHONE, DESK = 360, 1200
FLAGS = (
    "--headless", "--hide-scrollbars", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-quic",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip

LOOK = """
<meta charset="utf-8"><meta name="color-scheme" content="light dark">
<body>FRAMES
<script>
const wait = async (until) => {
  for (let k = 0; k < 200 && !until(); k++) await new Promise((go) => setTimeout(go, 25));
};
const look = async (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow, canvas = page.querySelector("canvas");
  const at = (id) => page.getElementById(id);
  const set = (id, value) => {
    const input = at(id);
    if (input.type === "checkbox" || input.type === "radio") input.checked = value; else input.value = value;
    input.dispatchEvent(new view.Event("input", { bubbles: true }));
  };
  const key = (key, more = {}) =>
    canvas.dispatchEvent(new view.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
  const ways = all(page, "input, select, canvas, summary, button");
  const found = { wide: page.documentElement.scrollWidth, unnamed: ways.filter((one) =>
    !(one.labels?.length || one.getAttribute("aria-label") || one.tagName === "SUMMARY")).map((one) => one.outerHTML),
    unreached: ways.filter((one) => one.tabIndex < 0).length,
    small: ways.filter((one) => one.getClientRects().length && !["radio", "checkbox"].includes(one.type) &&
      one.getBoundingClientRect().height < 24).map((one) => one.outerHTML) };
  if (canvas) await lookAtScene(found, page, view, canvas, at, set, key);
  else lookAtRun(found, page, view, at, set);
  found.wideAfter = page.documentElement.scrollWidth;
  return found;
};
const all = (page, selector) => [...page.querySelectorAll(selector)];
const lookAtScene = async (found, page, view, canvas, at, set, key) => {
  const drawn = (plane) => wait(() => canvas.dataset.plane === String(plane));
  const pixel = (row, column, height, width) => [...canvas.getContext("2d").getImageData(
    Math.floor((column + 0.5) * canvas.width / width), Math.floor((row + 0.5) * canvas.height / height), 1, 1).data];
  await wait(() => canvas.dataset.mean);
  found.first = Number(canvas.dataset.plane);
  found.size = [canvas.width, canvas.height];
  if (at("divide")) {
    // Before and after, on the plane that is shown first.
    found.means = [0, 50, 100].map((part) => { set("divide", part); return Number(canvas.dataset.mean); });
    set("divide", 0);
    set("outline", false);
    const plain = pixel(30, 30, 64, 64);
    set("spread", 100);
    found.covered = [plain, pixel(30, 30, 64, 64)];
    set("spread", 0);
    set("outline", true);
    found.edge = pixel(-0.49, 30, 64, 64);
    for (let k = 0; k < 30; k++) key("ArrowDown");
    key("ArrowRight", { shiftKey: true });
    found.filled = at("value").textContent;
    set("divide", 0);
  }
  set("plane", 4);
  await drawn(4);
  for (let k = 0; k < 70; k++) { key("ArrowUp"); key("ArrowLeft"); }
  key("ArrowDown", { shiftKey: true }); key("ArrowDown"); key("ArrowRight", { shiftKey: true });
  found.said = at("value").textContent;
  found.live = at("value").getAttribute("aria-live");
  set("level-0", LEVEL); set("width-0", WIDTH);
  found.own = at("preset").value;
  found.pixels = PLACES.map(([row, column]) => pixel(row, column, 64, 64)[0]);
  key("PageDown");
  await drawn(5);
  found.turned = at("where").textContent;
  key("+");
  found.zoom = at("zoom").value;
  key("0");
  const box = canvas.getBoundingClientRect();
  const [clientX, clientY] = [box.left + (box.width * 20.5) / 64, box.top + (box.height * 40.5) / 64];
  canvas.dispatchEvent(new view.PointerEvent("pointermove", { clientX, clientY }));
  found.pointed = at("value").textContent;
  found.liveThen = at("value").getAttribute("aria-live");
  const wheel = new view.WheelEvent("wheel", { deltaY: 1, cancelable: true });
  canvas.dispatchEvent(wheel);
  await drawn(6);
  found.wheeled = at("where").textContent;
  if (at("preset").querySelector("[value=lung]")) {
    set("preset", "lung");
    found.lung = [at("level-0").value, at("width-0").value];
  }
  if (page.querySelector("[name=mode]")) {
    const grey = page.querySelector("[value=grey]");
    const before = page.querySelectorAll("#bands select").length;
    grey.checked = true;
    grey.dispatchEvent(new view.Event("input", { bubbles: true }));
    set("band-0", 4);
    await wait(() => at("value").textContent);
    key("ArrowRight"); key("ArrowLeft");
    await wait(() => { key("ArrowLeft"); key("ArrowRight"); return at("value").textContent.includes("B11"); });
    found.bands = [before, page.querySelectorAll("#bands select").length, at("value").textContent];
  }
  if (at("cuts")) {
    found.cuts = {};
    set("level-0", LEVEL); set("width-0", WIDTH);
    for (const axis of [1, 2]) {
      const way = page.querySelector(`[name=cut][value="${axis}"]`);
      way.checked = true;
      way.dispatchEvent(new view.Event("input", { bubbles: true }));
      // Who points at the earlier picture, before the cut is there, points at no place of it.
      const { left, top } = canvas.getBoundingClientRect();
      canvas.dispatchEvent(new view.PointerEvent("pointermove", { clientX: left + 9, clientY: top + 9 }));
      await wait(() => canvas.dataset.axis === String(axis) && at("value").textContent.startsWith("slice"));
      const kept = at("value").textContent;
      set("plane", 30);
      await drawn(30);
      found.cuts[axis] = { kept, where: at("where").textContent, shape: canvas.width / canvas.height,
        pixels: CUTS.map(([slice, column]) => pixel(35 - slice, column, 36, 64)[0]) };
    }
  }
};
const lookAtRun = (found, page, view, at, set) => {
  const over = page.querySelector(".over");
  found.opacity = [0, 50, 100].map((part) => { set("attention", part); return view.getComputedStyle(over).opacity; });
  set("walk", "4");
  const walks = all(page, ".walk");
  found.walks = walks.map((walk) => walk.hidden);
  const way = at("along-4"), frames = all(walks[4], ".moving img");
  set("along-4", 8);
  found.frames = frames.map((frame) => frame.getClientRects().length > 0);
  found.said = way.getAttribute("aria-valuetext");
  found.images = all(page, "img").map((image) => image.naturalWidth);
};
window.onload = async () => {
  const found = {};
  for (const one of document.querySelectorAll("iframe")) found[one.id] = await look(one);
  document.body.replaceChildren(JSON.stringify(found));
};
</script>
"""

LEVEL, WIDTH = 500, 2000
PLACES = [(8, 8), (20, 31), (32, 32), (40, 20), (60, 5)]
CUTS = [(0, 8), (5, 31), (18, 32), (35, 20), (20, 60)]


@pytest.fixture(scope="module")
def chromium() -> str:
    return shutil.which("chromium") or pytest.skip("chromium is not installed")


@pytest.fixture(scope="module")
def browse(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    def asked(address: str, *more: str) -> tuple[str, list[str]]:
        """The page as it stands after its script, and what the console heard."""
        user = tmp_path_factory.mktemp("chromium")
        command = [chromium, *FLAGS, *more, f"--user-data-dir={user}", "--virtual-time-budget=20000", "--dump-dom"]
        done = subprocess.run([*command, address], capture_output=True, text=True, timeout=120)
        return done.stdout, re.findall(r"CONSOLE.*", done.stderr)

    return asked


@pytest.fixture(scope="module")
def seen(
    filled: Path, trained: Run, drawn: phantoms.Phantoms, browse: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What Chromium found on each page, in frames as wide as a desk's window and a phone's."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "ct": view(filled / "ct", folder / "ct.html", source=drawn.ct),
        "stack": view(filled / "stack", folder / "stack.html", source=drawn.stack),
        "run": view(trained.folder, folder / "run.html"),
    }
    frames = [
        f'<iframe id="{name}-{width}" width="{width}" height="900" style="border: 0" '
        f'srcdoc="{html.escape(path.read_text(encoding="utf-8"))}"></iframe>'
        for name, path in pages.items()
        for width in (DESK, PHONE)
    ]
    numbers = {"LEVEL": LEVEL, "WIDTH": WIDTH, "PLACES": PLACES, "CUTS": CUTS}
    script = LOOK
    for name, number in numbers.items():
        script = script.replace(name, json.dumps(number))
    (folder / "look.html").write_text(script.replace("FRAMES", "".join(frames)), encoding="utf-8")
    page, console = browse((folder / "look.html").as_uri())
    said = re.search(r"<body>(\{.*\})</body>", page, re.S)
    assert said, console
    return {**json.loads(html.unescape(said[1])), "console": console}


WIDTHS = pytest.mark.parametrize("width", [DESK, PHONE])


def value(scene: Scene, index: int, row: int, column: int, channel: int = 0) -> float:
    return float(scene.read(index, 1).values[channel, 0, row, column])


def told(number: float) -> str:
    return f"{number:.0f}".replace("-", "−")


@WIDTHS
@pytest.mark.parametrize("page", ["ct", "stack", "run"])
def test_every_page_fits_and_every_control_has_a_name_and_is_reached_by_key(
    page: str, width: int, seen: dict[str, Any]
) -> None:
    found = seen[f"{page}-{width}"]
    assert found["wide"] == found["wideAfter"] == width
    assert found["unnamed"] == [] and found["unreached"] == 0 and found["small"] == []


def test_the_console_has_nothing_to_say(seen: dict[str, Any]) -> None:
    # The test itself reads what is drawn.
    assert [line for line in seen["console"] if "willReadFrequently" not in line] == []


@WIDTHS
def test_the_value_under_the_cursor_is_the_files_own(width: int, seen: dict[str, Any], filled: Path) -> None:
    found, (scene,) = seen[f"ct-{width}"], open_scenes(filled / "ct")
    assert found["said"].startswith(f"row 11, column 10: {told(value(scene, 4, 11, 10))} HU")
    assert found["live"] == "polite" and found["liveThen"] == "off"
    assert found["pointed"].startswith(f"row 40, column 20: {told(value(scene, 5, 40, 20))} HU")


@WIDTHS
def test_a_window_is_drawn_as_it_is_told(width: int, seen: dict[str, Any], filled: Path) -> None:
    found, (scene,) = seen[f"ct-{width}"], open_scenes(filled / "ct")
    for grey, place in zip(found["pixels"], PLACES, strict=True):
        bright = (value(scene, 4, *place) - (LEVEL - WIDTH / 2)) / WIDTH * 255
        assert abs(grey - np.clip(bright, 0, 255)) <= 0.51
    assert len(set(found["pixels"])) > 2
    assert found["own"] == "own" and found["lung"] == ["-600", "1500"]


@WIDTHS
def test_slices_turn_by_slider_key_and_wheel(width: int, seen: dict[str, Any], filled: Path) -> None:
    found, (scene,) = seen[f"ct-{width}"], open_scenes(filled / "ct")
    said = [f"slice {k + 1} of 36: {scene.grid.positions[k]:.4g} mm" for k in (5, 6)]
    assert [found["turned"], found["wheeled"]] == said
    dates = open_scenes(filled / "stack")[0].dates
    assert seen[f"stack-{width}"]["turned"] == f"date 6 of 8: {dates[5]}"


@WIDTHS
def test_before_and_after_and_how_sure(
    width: int, seen: dict[str, Any], filled: Path, drawn: phantoms.Phantoms
) -> None:
    found, (scene,) = seen[f"ct-{width}"], open_scenes(filled / "ct")
    low, high = (open_scenes(filled / f"ct_{end}")[0] for end in ("low", "high"))
    first = found["first"]
    assert first in open_scenes(drawn.ct)[0].missing()
    half = (value(high, first, 30, 10) - value(low, first, 30, 10)) / 2
    words = f"row 30, column 10: {told(value(scene, first, 30, 10))} HU (before: not observed), made, ± {half:.1f}"
    assert found["filled"].startswith(words)
    # All of it was hatched before.
    after, middle, before = found["means"]
    assert before == 87.5 and abs(after - before) > 1 and min(before, after) < middle < max(before, after)
    assert found["edge"][:3] == [0, 220, 255]
    plain, covered = found["covered"]
    assert plain[0] == plain[1] == plain[2] and covered[2] < plain[2]


@WIDTHS
@pytest.mark.parametrize("axis", [1, 2], ids=["rows", "columns"])
def test_slices_are_cut_across(axis: int, width: int, seen: dict[str, Any], filled: Path) -> None:
    found, (scene,) = seen[f"ct-{width}"]["cuts"][str(axis)], open_scenes(filled / "ct")
    at = {1: [6, 40, 20], 2: [6, 30, 20]}[axis]
    assert found["kept"].startswith(f"slice 7, row {at[1]}, column 20: {told(value(scene, *at))} HU")
    assert found["where"].startswith(f"one {['row', 'column'][axis - 1]} of every slice, 30")
    for grey, (index, across) in zip(found["pixels"], CUTS, strict=True):
        inside = (30, across) if axis == 1 else (across, 30)
        bright = (value(scene, index, *inside) - (LEVEL - WIDTH / 2)) / WIDTH * 255
        assert abs(grey - np.clip(bright, 0, 255)) <= 0.51
    between, _, across = scene.grid.spacing
    assert found["shape"] == pytest.approx(64 * across / (36 * between), rel=0.02)
    assert "cuts" not in seen[f"stack-{width}"]


@WIDTHS
def test_bands_are_chosen(width: int, seen: dict[str, Any]) -> None:
    three, one, said = seen[f"stack-{width}"]["bands"]
    assert (three, one) == (3, 1) and "B11 " in said and "B04" not in said


@WIDTHS
def test_a_run_is_walked_through_and_looked_through(width: int, seen: dict[str, Any]) -> None:
    found = seen[f"run-{width}"]
    assert found["opacity"] == ["0", "0.5", "1"]
    assert found["walks"] == [k != 4 for k in range(6)]
    assert found["frames"] == [k == 8 for k in range(17)] and found["said"] == "50 % of the way"
    assert min(found["images"]) == 32


def test_a_served_page_draws_what_it_asks_for(drawn: phantoms.Phantoms, browse: Any) -> None:
    with serve(drawn.mr) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page, console = browse(server.url)
        server.shutdown()
        thread.join()
    (mean,) = re.findall(r'data-mean="([\d.]+)"', page)
    assert 5 < float(mean) < 250 and "slice 20 of 40" in page
    assert not [line for line in console if "favicon" not in line]
