"use strict";
// The page's numbers; its pictures are in the gallery, which is there without this script, too.
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const gallery = by("gallery");
const cards = [...gallery.querySelectorAll(".card")];
let chosen = cards[0];

const text = (value) => value === null || value === undefined ? "–" : Number(value).toPrecision(4);
const picture = (card, kind) => card.querySelector(`img[data-kind="${kind}"]`);

function show(card) {
  chosen = card;
  for (const other of cards) other.setAttribute("aria-pressed", String(other === card));
  const out = picture(card, "translation");
  const below = picture(card, by("below").value) || out;
  by("under").src = below.src;
  by("over").src = out.src;
  by("under").alt = below.alt;
  by("over").alt = out.alt;
  const row = data.values[Number(card.dataset.row)];
  by("name").textContent = data.ids[Number(card.dataset.row)];
  by("values").replaceChildren(...data.names.map((name, k) => {
    const line = document.createElement("tr");
    const head = document.createElement("th");
    const cell = document.createElement("td");
    head.textContent = name;
    head.scope = "row";
    cell.textContent = text(row[k]);
    cell.className = "number";
    line.append(head, cell);
    return line;
  }));
  enlarge();
  way();
}

function enlarge() {
  const out = picture(chosen, "translation");
  const width = out.naturalWidth || Number(out.getAttribute("width"));
  const height = out.naturalHeight || Number(out.getAttribute("height"));
  const zoom = Number(by("zoom").value);
  for (const image of [by("under"), by("over")]) {
    image.style.width = `${width * zoom}px`;
    image.style.height = `${height * zoom}px`;
  }
  by("zoom-told").textContent = `${zoom} x`;
  divide();
}

function divide() {
  const share = Number(by("slider").value);
  by("over").style.clipPath = `inset(0 0 0 ${share}%)`;
  document.querySelector(".edge").style.left = `${share}%`;
}

function way() {
  const found = data.ways[Number(chosen.dataset.row)];
  by("way").hidden = !found;
  by("no-way").hidden = Boolean(found) || !data.ways.some(Boolean);
  if (!found) return;
  by("moment").max = found.t.length - 1;
  by("moment").value = Math.floor((found.t.length - 1) / 2);
  moment();
}

function moment() {
  const found = data.ways[Number(chosen.dataset.row)];
  const k = Number(by("moment").value);
  by("state").src = found.states[k];
  by("denoised").src = found.denoised[k];
  by("moment-told").textContent = `step ${found.step[k]}, t = ${found.t[k].toPrecision(3)}`;
  by("energies").replaceChildren(...found.names.map((name, e) => {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const values = found.energies.map((row) => row[e]);
    caption.textContent = `${name}: ${text(values[k])}`;
    figure.append(curve(values, k, name), caption);
    return figure;
  }));
}

// Numbers alone are written into the markup; texts are set as texts.
function curve(values, now, name) {
  const wide = 240, high = 90, edge = 8;
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known), span = Math.max(...known) - low || 1;
  const x = (k) => edge + (wide - 2 * edge) * k / Math.max(values.length - 1, 1);
  const y = (value) => high - edge - (high - 2 * edge - 12) * (value - low) / span;
  const points = values.map((value, k) => value === null ? "" : `${x(k)},${y(value)}`);
  const here = values[now] === null ? "" : `<circle cx="${x(now)}" cy="${y(values[now])}" r="4"/>`;
  const box = document.createElement("div");
  box.innerHTML = `<svg viewBox="0 0 ${wide} ${high}" width="${wide}" height="${high}" role="img">
    <polyline points="${points.filter(Boolean).join(" ")}"/>
    <line class="now" x1="${x(now)}" x2="${x(now)}" y1="0" y2="${high}"/>${here}
    <text x="${edge}" y="12"></text></svg>`;
  const svg = box.firstChild;
  svg.setAttribute("aria-label", `${name} along the way`);
  svg.querySelector("text").textContent =
    known.length ? `${text(low)} to ${text(Math.max(...known))}` : "not asked";
  return svg;
}

function sort() {
  const name = by("sort").value, sign = by("order").value === "down" ? -1 : 1;
  const k = data.names.indexOf(name);
  const key = (card) => data.values[Number(card.dataset.row)][k];
  const position = (card) => Number(card.dataset.row);
  const sorted = [...cards].sort((one, other) => {
    if (k < 0) return sign * (position(one) - position(other));
    const a = key(one), b = key(other);
    if (a === null || b === null) return (a === null) - (b === null) || position(one) - position(other);
    return sign * (a - b) || position(one) - position(other);
  });
  gallery.append(...sorted);
  for (const card of cards) {
    card.querySelector(".number").textContent = k < 0 ? "" : `${name} ${text(key(card))}`;
  }
  const list = k < 0 ? [] : data.extremes[name] || [];
  by("extremes").replaceChildren(...list.flatMap(([page, id, value]) => {
    const link = document.createElement("a");
    link.href = `${page}#${encodeURIComponent(id)}`;
    link.textContent = `${id} (${text(value)})`;
    return [link, " "];
  }));
  by("beyond").hidden = list.length === 0;
}

function beside(step) {
  const shown = [...gallery.querySelectorAll(".card")];
  const next = shown[(shown.indexOf(chosen) + step + shown.length) % shown.length];
  show(next);
  next.scrollIntoView({block: "nearest"});
}

if (cards.length) {
  for (const card of cards) {
    card.addEventListener("click", () => { show(card); by("bench").scrollIntoView({block: "nearest"}); });
  }
  by("slider").addEventListener("input", divide);
  by("zoom").addEventListener("input", enlarge);
  by("below").addEventListener("change", () => show(chosen));
  by("moment").addEventListener("input", moment);
  by("sort").addEventListener("change", sort);
  by("order").addEventListener("change", sort);
  by("previous").addEventListener("click", () => beside(-1));
  by("next").addEventListener("click", () => beside(1));
  const drag = (event) => {
    if (!event.buttons) return;
    const box = by("under").getBoundingClientRect();
    by("slider").value = 100 * (event.clientX - box.left) / box.width;
    divide();
  };
  for (const kind of ["pointerdown", "pointermove"]) {
    document.querySelector(".stage").addEventListener(kind, drag);
  }
  const named = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    return cards.find((card) => data.ids[Number(card.dataset.row)] === wanted);
  };
  addEventListener("hashchange", () => { if (named()) show(named()); });
  const width = Number(picture(cards[0], "translation").getAttribute("width"));
  by("zoom").value = Math.max(1, Math.round(Math.min(320, innerWidth - 60) / width));
  show(named() || cards.find((card) => data.ways[Number(card.dataset.row)]) || cards[0]);
}
