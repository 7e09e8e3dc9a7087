"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const place = `pairs-${data.study}`;
let kept = {answers: {}, rater: "", sheet: ""};
let now = 0;

// A browser may refuse to store anything; the answers then live as long as the page.
try {
  kept = {...kept, ...JSON.parse(localStorage.getItem(place) || "{}")};
} catch (error) { /* as if nothing was there */ }
const newSheet = () => [...crypto.getRandomValues(new Uint8Array(8))]
  .map((value) => value.toString(16).padStart(2, "0")).join("");
kept.sheet = kept.sheet || newSheet();
function keep() {
  try { localStorage.setItem(place, JSON.stringify(kept)); } catch (error) { /* see above */ }
}

function show() {
  const pair = data.pairs[now];
  by("source-frame").hidden = !pair.source;
  if (pair.source) by("source").src = data.pictures[pair.source];
  by("left-picture").src = data.pictures[pair.left];
  by("right-picture").src = data.pictures[pair.right];
  for (const side of ["left", "right"]) {
    by(side).setAttribute("aria-pressed", String(kept.answers[pair.id] === side));
  }
  const count = Object.keys(kept.answers).length;
  by("progress").value = count;
  by("progress-told").textContent = `pair ${now + 1} of ${data.pairs.length}, ${count} answered`;
  by("back").disabled = now === 0;
  by("forward").disabled = now === data.pairs.length - 1;
  by("done").hidden = count < data.pairs.length;
}

function choose(side) {
  kept.answers[data.pairs[now].id] = side;
  keep();
  step(1);
}

function step(by) {
  now = Math.min(Math.max(now + by, 0), data.pairs.length - 1);
  show();
}

function save() {
  const file = {study: data.study, sheet: kept.sheet, rater: kept.rater, answers: kept.answers};
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], {type: "application/json"}));
  link.download = `answers-${data.study}-${kept.sheet.slice(0, 6)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

by("left").addEventListener("click", () => choose("left"));
by("right").addEventListener("click", () => choose("right"));
by("back").addEventListener("click", () => step(-1));
by("forward").addEventListener("click", () => step(1));
by("save").addEventListener("click", save);
by("rater").value = kept.rater;
by("rater").addEventListener("input", () => { kept.rater = by("rater").value; keep(); });
by("anew").addEventListener("click", () => {
  if (!confirm("Forget all answers of this browser?")) return;
  kept = {answers: {}, rater: kept.rater, sheet: newSheet()};
  keep();
  now = 0;
  show();
});
addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  if (event.key === "ArrowLeft") choose("left");
  else if (event.key === "ArrowRight") choose("right");
  else if (event.key === "ArrowUp") step(-1);
  else return;
  event.preventDefault();
});
const open = data.pairs.findIndex((pair) => !(pair.id in kept.answers));
now = open < 0 ? data.pairs.length - 1 : open;
keep();
show();
