"use strict";
// ---- planes: 16-bit codes, as augmentor/viewing/packed.py writes them, and cuts across them

const $ = (id) => document.getElementById(id);
const meta = JSON.parse($("meta").textContent);
const UNSEEN = 0xffff, SAME = 0xfffe, STEPS = 0xfffd, HEAD = 28;
const [SLICES, ROWS, COLUMNS] = [0, 1, 2];
const AXES = [[ROWS, COLUMNS], [SLICES, COLUMNS], [SLICES, ROWS]];  // What runs down and across a cut at one of each.

// What is asked for and kept by its key, the last `most` of it.
function keeping(most) {
  const kept = new Map();
  return (key, make) => {
    if (!kept.has(key)) {
      if (kept.size >= most) kept.delete(kept.keys().next().value);
      kept.set(key, make().catch((error) => { kept.delete(key); throw error; }));
    }
    return kept.get(key);
  };
}

const planes = keeping(24), volumes = keeping(8);

// One plane of a channel: a slice, or a cut at one row or column of all slices, the last of them on top.
function plane(role, channel, axis, number) {
  const key = `${role}-${number}-${channel}`;
  return planes(`${axis} ${key}`, () => (axis === SLICES ? unpacked(key) : cut(role, channel, axis, number)));
}

async function unpacked(key) {
  let bytes;
  if (meta.served) {
    const answer = await fetch(key);
    if (!answer.ok) throw new Error(await answer.text());
    bytes = await answer.blob();
  } else {
    bytes = new Blob([Uint8Array.from(atob($(key).textContent), (letter) => letter.charCodeAt(0))]);
  }
  const data = await new Response(bytes.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  const head = new DataView(data, 0, HEAD), halves = new Uint8Array(data, HEAD);
  const count = halves.length / 2, codes = new Uint16Array(count);
  let code = 0;
  for (let k = 0; k < count; k++) codes[k] = code = (code + halves[k] + (halves[count + k] << 8)) & 0xffff;
  const step = head.getFloat64(8, true), exact = head.getUint32(24, true) === 1;
  return { low: head.getFloat64(0, true), step, height: head.getUint32(16, true), width: head.getUint32(20, true),
           off: exact ? 0 : step / 2, codes };
}

async function cut(role, channel, axis, number) {
  const { codes, ...coded } = await volumes(`${role}-${channel}`, () => volume(role, channel));
  const [depth, rows, columns] = meta.size, width = axis === ROWS ? columns : rows, out = new Uint16Array(depth * width);
  const [from, stride] = axis === ROWS ? [number * columns, 1] : [number, columns];
  for (let slice = 0, at = (depth - 1) * width; slice < depth; slice++, at -= width)
    for (let k = 0; k < width; k++) out[at + k] = codes[slice * rows * columns + from + k * stride];
  return { ...coded, height: depth, width, codes: out };
}

// All slices of a channel in codes of one scale: exact, as long as one step spans them all.
async function volume(role, channel) {
  const slices = [];
  for (let number = 0; number < meta.planes.length; number++) slices.push(await unpacked(`${role}-${number}-${channel}`));
  const known = slices.filter(({ codes }) => codes.some((code) => code < SAME));
  const low = known.reduce((least, one) => Math.min(least, one.low), Infinity);
  const high = known.reduce((most, one) => Math.max(most, one.low + one.step * largest(one.codes)), -Infinity);
  const own = known[0]?.step ?? 1;
  const exact = known.every((one) => one.off === 0 && one.step === own) && !((high - low) / own > STEPS);
  const step = exact ? own : (high - low) / STEPS, off = exact ? 0 : step / 2 + Math.max(...known.map((one) => one.off));
  const size = slices[0].codes.length;
  const codes = new Uint16Array(size * slices.length), table = new Uint16Array(0x10000);
  slices.forEach((one, slice) => {
    for (let code = 0; code < SAME; code++) table[code] = Math.round((one.low + code * one.step - low) / step);
    table[SAME] = SAME;
    table[UNSEEN] = UNSEEN;
    for (let k = 0, at = slice * size; k < size; k++) codes[at + k] = table[one.codes[k]];
  });
  return { low: known.length ? low : 0, step, off, codes };
}

function largest(codes) {
  let most = 0;
  for (const code of codes) if (code < SAME && code > most) most = code;
  return most;
}
