"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// How opaque attention lies over every tile.
const attention = document.getElementById("attention");
if (attention) {
  const lay = () => document.documentElement.style.setProperty("--attention", attention.value / 100);
  attention.addEventListener("input", lay);
  lay();
}

// Which walk, and how far along it.
const chosen = document.getElementById("walk");
const choose = () => all(".walk").forEach((walk) => { walk.hidden = walk.id !== `walk-${chosen.value}`; });
chosen.addEventListener("input", choose);
choose();
for (const walk of all(".walk")) {
  const way = walk.querySelector(".way"), frames = all(".moving img", walk), said = walk.querySelector("output");
  const go = () => {
    frames.forEach((frame, number) => { frame.hidden = number !== Number(way.value); });
    said.textContent = `${Math.round(100 * way.value / way.max)} %`;
    way.setAttribute("aria-valuetext", `${said.textContent} of the way`);
  };
  way.addEventListener("input", go);
  go();
}
