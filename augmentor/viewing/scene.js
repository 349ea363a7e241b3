const canvas = $("picture"), pen = canvas.getContext("2d");
const HATCH = [70, 105];
const COLOUR = [255, 72, 0], OUTLINE = [0, 220, 255], CURSOR = [255, 235, 0];
const state = { axis: SLICES, plane: meta.first, row: 0, column: 0, zoom: 1, x: 0.5, y: 0.5 };
let shown = null;  // What is drawn: the planes of the channels, and what lies over them.
let asked = 0;     // Grows with every wish for planes: an answer to an earlier one is dropped.

// ---- which slice, row and column the cursor is at

const count = () => (state.axis === SLICES ? meta.planes.length : meta.size[state.axis]);

function place() {
  const at = [], [down, across] = AXES[state.axis];
  at[state.axis] = state.plane;
  // A cut has the last slice on top.
  at[down] = down === SLICES ? meta.size[SLICES] - 1 - state.row : state.row;
  at[across] = state.column;
  return at;
}

// Whether what is drawn is cut as was asked for: until then, the cursor is at no place of it.
const current = () => shown?.axis === state.axis;

function turnTo(axis) {
  const at = place(), [down, across] = AXES[axis];
  Object.assign(state, { axis, plane: at[axis], column: at[across], zoom: 1,
    row: down === SLICES ? meta.size[SLICES] - 1 - at[SLICES] : at[down] });
  $("zoom").value = 1;
  $("plane").max = count() - 1;
  $("plane").value = state.plane;
  $("plane-name").textContent = [meta.name, "Row", "Column"][axis];
  show().then(() => tell(true));
}

// A value; null where it was not observed. What is the same before and after is told by the plane after.
function value(from, at, after) {
  const code = from.codes[at];
  if (code === UNSEEN) return null;
  return code === SAME ? value(after, at) : from.low + code * from.step;
}

function told(number, step) {
  if (number === null) return "not observed";
  const digits = Math.min(8, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  return number.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");
}

// ---- which channels, and between which values

const colourful = () => document.querySelector("input[name=mode][value=colour]")?.checked ?? false;
const windows = meta.channels.map(({ low, high }) => ({ level: (low + high) / 2, width: high - low }));
let bands = [];

function makeBands() {
  const wanted = colourful() ? (bands.length === 3 ? bands : meta.colours || [0, 1, 2]) : [bands[0] ?? 0];
  bands = wanted.map((channel) => Math.min(channel, meta.channels.length - 1));
  const names = bands.length === 3 ? ["Red", "Green", "Blue"] : ["Channel"];
  $("bands").replaceChildren(...bands.map((channel, place) => {
    const band = document.createElement("div");
    band.className = "band";
    if (meta.channels.length > 1) {
      const row = band.appendChild(document.createElement("div"));
      row.className = "row";
      const label = row.appendChild(document.createElement("label"));
      const select = row.appendChild(document.createElement("select"));
      label.textContent = names[place];
      label.htmlFor = select.id = `band-${place}`;
      meta.channels.forEach(({ name }, number) => select.add(new Option(name, number, false, number === channel)));
      select.addEventListener("input", () => { bands[place] = Number(select.value); numbers(); show(); });
    }
    const pair = band.appendChild(document.createElement("div"));
    pair.className = "pair";
    for (const what of ["level", "width"]) {
      const label = pair.appendChild(document.createElement("label"));
      const input = document.createElement("input");
      label.append("", input);
      Object.assign(input, { type: "number", step: "any", id: `${what}-${place}` });
      if (what === "width") input.min = 0;
      input.addEventListener("input", () => {
        if (input.value === "" || !Number.isFinite(input.valueAsNumber)) return;
        windows[bands[place]][what] = input.valueAsNumber;
        $("preset").value = "own";
        draw();
      });
    }
    return band;
  }));
  numbers();
}

// Writes the windows into their inputs.
function numbers() {
  bands.forEach((channel, place) => {
    const { unit } = meta.channels[channel], names = { level: "Level", width: "Width" };
    for (const what of ["level", "width"]) {
      const input = $(`${what}-${place}`);
      input.parentElement.firstChild.data = unit ? `${names[what]}, ${unit}` : names[what];
      input.value = Number(windows[channel][what].toPrecision(5));
    }
  });
}

function preset() {
  const chosen = $("preset").value;
  bands.forEach((channel, place) => {
    let ends = [meta.channels[channel].low, meta.channels[channel].high];
    if (chosen === "whole" && shown) {
      const { after } = shown.bands[place];
      let low = Infinity, high = -Infinity;
      for (const code of after.codes) if (code !== UNSEEN) { low = Math.min(low, code); high = Math.max(high, code); }
      if (low <= high) ends = [after.low + low * after.step, after.low + high * after.step];
    }
    const [level, width] = meta.presets[chosen] ?? [(ends[0] + ends[1]) / 2, ends[1] - ends[0]];
    if (chosen !== "own") windows[channel] = { level, width };
  });
  numbers();
  draw();
}

// ---- drawing: every pixel of the canvas takes the pixel of the file that it lies on

async function show() {
  const mine = ++asked;
  if (meta.served || state.axis !== SLICES) $("where").textContent = "reading …";
  try {
    const { axis, plane: number } = state, read = (role, channel) => plane(role, channel, axis, number);
    const found = { axis, plane: number, bands: await Promise.all(bands.map(async (channel) => ({ channel,
      after: await read("values", channel), before: meta.before ? await read("before", channel) : null }))) };
    for (const role of ["made", "strange"]) found[role] = meta[role] ? await read(role, 0) : null;
    found.spread = meta.spread ? await read("spread", bands[0]) : null;
    if (mine !== asked) return;
    shown = found;
    $("trouble").hidden = true;
    const { after } = shown.bands[0];
    state.row = Math.min(state.row, after.height - 1);
    state.column = Math.min(state.column, after.width - 1);
    $("where").textContent = where(axis, number);
    $("plane")?.setAttribute("aria-valuetext", $("where").textContent);
    const off = Math.max(...shown.bands.map((band) => band.after.off));
    $("exact").textContent = off === 0 ? "Those of this picture are exact."
      : `Those of this picture are within ${off.toPrecision(2)} of the file's.`;
    legends();
    if ($("preset").value === "whole") preset();
    fit();
    // Who scrolls on finds the next one unpacked.
    if (!meta.served && number + 1 < count()) bands.forEach((channel) => plane("values", channel, axis, number + 1).catch(() => {}));
  } catch (error) {
    if (mine !== asked) return;
    $("trouble").hidden = false;
    $("trouble").textContent = "DecompressionStream" in window ? `This plane cannot be shown: ${error.message}`
      : "This browser is too old to unpack the planes: take one of 2023 or later.";
  }
}

// Which plane is shown, in words.
function where(axis, number) {
  if (axis !== SLICES) return `one ${axis === ROWS ? "row" : "column"} of every slice, ${number * meta.factor}; the last slice is on top`;
  const many = meta.planes.length > 1;
  return [many ? `${meta.what} ${number + 1} of ${meta.planes.length}` : "", meta.planes[number].label].filter(Boolean).join(": ");
}

// The canvas is as wide as there is room, in the shape of the picture, in the pixels of the screen.
function fit() {
  if (!shown) return;
  const { height, width } = shown.bands[0].after;
  const room = canvas.parentElement.clientWidth, high = Math.max(240, 0.72 * window.innerHeight);
  const [down, across] = AXES[shown.axis], aspect = meta.steps[down] / meta.steps[across];
  const wide = Math.min(room, (high * width) / (height * aspect)), tall = (wide * height * aspect) / width;
  const dense = Math.min(window.devicePixelRatio || 1, 1400 / Math.max(wide, tall));
  canvas.style.width = `${wide}px`;
  canvas.parentElement.style.setProperty("--wide", `${wide}px`);
  canvas.width = Math.max(1, Math.round(wide * dense));
  canvas.height = Math.max(1, Math.round(tall * dense));
  draw();
}

// The first row and column that are shown, and how many are.
function part() {
  const { height, width } = shown.bands[0].after, h = height / state.zoom, w = width / state.zoom;
  state.y = Math.min(Math.max(state.y, 0.5 / state.zoom), 1 - 0.5 / state.zoom);
  state.x = Math.min(Math.max(state.x, 0.5 / state.zoom), 1 - 0.5 / state.zoom);
  return { top: state.y * height - h / 2, left: state.x * width - w / 2, h, w };
}

// The grey of every code in a window; of what was not observed, -1.
function greys(from, { level, width }) {
  const table = new Int16Array(0x10000), low = level - width / 2;
  for (let code = 0; code < SAME; code++) {
    const bright = width > 0 ? ((from.low + code * from.step - low) / width) * 255 : from.low + code * from.step >= level ? 255 : 0;
    table[code] = Math.min(255, Math.max(0, Math.round(bright)));
  }
  table[UNSEEN] = -1;
  return table;
}

// How opaque a layer lies over every code, from none to full between two values.
function covers(from, low, high, opacity) {
  const table = new Float32Array(0x10000);
  for (let code = 0; code < SAME; code++)
    table[code] = opacity * Math.min(1, Math.max(0, (from.low + code * from.step - low) / (high - low || 1)));
  return table;
}

function draw() {
  if (!shown) return;
  const { width: W, height: H } = canvas, picture = pen.createImageData(W, H), out = picture.data;
  const { top, left, h, w } = part(), { height, width } = shown.bands[0].after;
  const rows = Int32Array.from({ length: H }, (_, y) => Math.min(height - 1, Math.floor(top + ((y + 0.5) * h) / H)));
  const columns = Int32Array.from({ length: W }, (_, x) => Math.min(width - 1, Math.floor(left + ((x + 0.5) * w) / W)));
  const split = meta.before ? (Number($("divide").value) / 100) * width : 0;
  const layers = shown.bands.map(({ channel, after, before }) => ({ after: after.codes, before: before?.codes,
    grey: greys(after, windows[channel]), earlier: before && greys(before, windows[channel]) }));
  const over = [];
  if (shown.spread) over.push([shown.spread.codes, covers(shown.spread, 0, meta.spread[bands[0]], opacity("spread"))]);
  if (shown.strange) over.push([shown.strange.codes, covers(shown.strange, ...meta.strange, opacity("strange"))]);
  const made = shown.made && $("outline").checked ? shown.made : null;
  let sum = 0;
  for (let y = 0, k = 0; y < H; y++) {
    for (let x = 0; x < W; x++, k += 4) {
      const at = rows[y] * width + columns[x], early = columns[x] < split;
      for (let c = 0; c < 3; c++) {
        const layer = layers[layers.length === 3 ? c : 0];
        let bright = early && layer.before[at] !== SAME ? layer.earlier[layer.before[at]] : layer.grey[layer.after[at]];
        if (bright < 0) bright = HATCH[((x + y) >> 2) & 1];
        if (!early) for (const [codes, table] of over) bright += (COLOUR[c] - bright) * table[codes[at]];
        out[k + c] = bright;
        sum += bright;
      }
      out[k + 3] = 255;
    }
  }
  if (made) outline(out, made, rows, columns, width, split);
  cross(out, W, H, rows, columns);
  pen.putImageData(picture, 0, 0);
  if (split > left && split < left + w) {
    const x = Math.round(((split - left) / w) * W);
    pen.fillStyle = "#000"; pen.fillRect(x - 2, 0, 4, H);
    pen.fillStyle = "#fff"; pen.fillRect(x - 1, 0, 2, H);
  }
  canvas.classList.toggle("zoomed", state.zoom > 1);
  canvas.dataset.plane = shown.plane;
  canvas.dataset.axis = shown.axis;
  canvas.dataset.mean = (sum / (3 * W * H)).toFixed(2);
}

const opacity = (name) => Number($(name).value) / 100;

// A line where what was made borders on what was not, or on the edge of the picture; of a cut on both sides alone, since
// a slice is too thin in it for lines above and below.
function outline(out, made, rows, columns, width, split) {
  const W = columns.length, H = rows.length, zero = -made.low / made.step;
  const is = (x, y) => x >= 0 && y >= 0 && x < W && y < H && made.codes[rows[y] * width + columns[x]] > zero;
  for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) {
    if (!is(x, y) || columns[x] < split) continue;
    if (is(x - 2, y) && is(x + 2, y) && (shown.axis !== SLICES || (is(x, y - 2) && is(x, y + 2)))) continue;
    out.set(OUTLINE, 4 * (y * W + x));
  }
}

// A cross around the pixel of the cursor, open in its middle.
function cross(out, W, H, rows, columns) {
  if (document.activeElement !== canvas || !current()) return;
  const x = middle(columns, state.column), y = middle(rows, state.row);
  if (x < 0 || y < 0) return;
  const arm = Math.round(Math.max(W, H) / 40);
  for (let k = 3; k < 3 + arm; k++) for (const [px, py] of [[x - k, y], [x + k, y], [x, y - k], [x, y + k]])
    if (px >= 0 && py >= 0 && px < W && py < H) out.set(CURSOR, 4 * (py * W + px));
}

const middle = (places, wanted) => Math.floor((places.indexOf(wanted) + places.lastIndexOf(wanted)) / 2);

function legends() {
  if (meta.spread) {
    const { name, unit } = meta.channels[bands[0]], top = meta.spread[bands[0]];
    legend("spread-legend", "0", `± ${Number(top.toPrecision(3))} ${unit}`.trim(), `half the interval that holds nine in ten truths${meta.channels.length > 1 ? ` of ${name}` : ""}`);
  }
  if (meta.strange) legend("strange-legend", meta.strange[0], meta.strange[1], "standard deviations of usual pixels");
}

function legend(id, low, high, words) {
  const ramp = document.createElement("span");
  ramp.className = "ramp";
  $(id).replaceChildren(String(low), ramp, `${high}: ${words}`);
}

// ---- what lies under the cursor, in words; read aloud where keys have moved it

function tell(aloud) {
  if (!current()) return;
  const { after } = shown.bands[0], at = state.row * after.width + state.column;
  const said = shown.bands.map(({ channel, after, before }) => {
    const { name, unit } = meta.channels[channel], suffix = unit ? ` ${unit}` : "", now = value(after, at);
    let words = `${told(now, after.step)}${now === null ? "" : suffix}`;
    if (before && before.codes[at] !== SAME) {
      const then = value(before, at, after);
      words += ` (before: ${told(then, before.step)}${then === null ? "" : suffix})`;
    }
    return meta.channels.length > 1 ? `${name} ${words}` : words;
  });
  if (shown.made && value(shown.made, at) > 0) said.push("made");
  const { spread, strange } = shown;
  if (spread && value(spread, at) > 0) said.push(`± ${told(value(spread, at), Math.max(spread.step, meta.spread[bands[0]] / 1000))} ${meta.channels[bands[0]].unit}`.trim());
  if (strange && value(strange, at) !== null) said.push(`strangeness ${told(value(strange, at), 0.01)}`);
  $("value").setAttribute("aria-live", aloud ? "polite" : "off");
  const [slice, row, column] = place(), which = state.axis === SLICES ? "" : `slice ${slice + 1}, `;
  $("value").textContent = `${which}row ${row * meta.factor}, column ${column * meta.factor}: ${said.join(", ")}`;
}

function point(event) {
  if (!current()) return;
  const box = canvas.getBoundingClientRect(), { top, left, h, w } = part(), { height, width } = shown.bands[0].after;
  state.row = Math.min(height - 1, Math.max(0, Math.floor(top + ((event.clientY - box.top) / box.height) * h)));
  state.column = Math.min(width - 1, Math.max(0, Math.floor(left + ((event.clientX - box.left) / box.width) * w)));
  tell(false);
}

// ---- moving: slices, zoom, cursor

function turn(to, aloud = false) {
  const next = Math.min(count() - 1, Math.max(0, to));
  if (next === state.plane) return false;
  state.plane = next;
  if ($("plane")) $("plane").value = next;
  show().then(() => tell(aloud));
  return true;
}

function zoom(times, around = true) {
  state.zoom = Math.min(16, Math.max(1, times));
  if (around && shown) {
    const { height, width } = shown.bands[0].after;
    state.x = (state.column + 0.5) / width;
    state.y = (state.row + 0.5) / height;
  }
  $("zoom").value = state.zoom;
  draw();
}

function move(down, across) {
  if (!current()) return;
  const { height, width } = shown.bands[0].after;
  state.row = Math.min(height - 1, Math.max(0, state.row + down));
  state.column = Math.min(width - 1, Math.max(0, state.column + across));
  const { top, left, h, w } = part();
  if (state.row < top || state.row >= top + h - 1 || state.column < left || state.column >= left + w - 1) zoom(state.zoom);
  draw();
  tell(true);
}

canvas.addEventListener("keydown", (event) => {
  const far = event.shiftKey ? 10 : 1;
  const done = { ArrowUp: () => move(-far, 0), ArrowDown: () => move(far, 0), ArrowLeft: () => move(0, -far),
    ArrowRight: () => move(0, far), PageUp: () => turn(state.plane - 1, true), PageDown: () => turn(state.plane + 1, true),
    Home: () => turn(0, true), End: () => turn(count() - 1, true), "+": () => zoom(state.zoom * 2),
    "=": () => zoom(state.zoom * 2), "-": () => zoom(state.zoom / 2), 0: () => zoom(1) }[event.key];
  if (!done || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  done();
});
canvas.addEventListener("wheel", (event) => {
  // At either end the page scrolls on.
  if (!event.ctrlKey && event.deltaY && turn(state.plane + Math.sign(event.deltaY))) event.preventDefault();
}, { passive: false });
let held = null;
canvas.addEventListener("pointerdown", (event) => { held = event; point(event); });
canvas.addEventListener("pointermove", (event) => {
  if (held && shown && state.zoom > 1 && event.buttons) {
    const box = canvas.getBoundingClientRect();
    state.x -= (event.clientX - held.clientX) / box.width / state.zoom;
    state.y -= (event.clientY - held.clientY) / box.height / state.zoom;
    held = event;
    draw();
  } else point(event);
});
for (const end of ["pointerup", "pointercancel", "pointerleave"]) canvas.addEventListener(end, () => { held = null; });
for (const change of ["focus", "blur"]) canvas.addEventListener(change, draw);
$("plane")?.addEventListener("input", () => turn(Number($("plane").value)));
for (const id of ["divide", "spread", "strange", "outline"]) $(id)?.addEventListener("input", draw);
$("preset").addEventListener("input", preset);
$("zoom").addEventListener("input", () => zoom(Number($("zoom").value)));
$("cuts")?.addEventListener("input", (event) => turnTo(Number(event.target.value)));
$("modes")?.addEventListener("input", () => { makeBands(); show(); });
new ResizeObserver(fit).observe(canvas.parentElement);
makeBands();
show();
