// Square matrices on canvases with one cursor for all. The data is one block of bytes:
// uint32 length of the header, the header (JSON), then from header.at on what the header's offsets name.
// Names come from users: they enter the page through textContent and setAttribute only.

const views = new WeakMap(); // what a mounted view remembers between two calls

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const bytes = asBytes(data);
  if (!bytes) return undefined;
  const view = views.get(root) ?? { root, cursor: null, pinned: null, fresh: true };
  views.set(root, view);
  view.send = (pair) => setStateValue("pinned", pair);
  const header = readHeader(bytes);
  if (view.header?.digest === header.digest) return undefined;
  const pinnedNames = view.fresh ? header.pinned : namesOf(view, view.pinned);
  Object.assign(view, { header, panels: readPanels(bytes, header), lut: part(bytes, header, "lut"), fresh: false });
  view.place = new Map(header.labels.map((name, k) => [name, k]));
  view.pinned = placesOf(view, pinnedNames);
  view.cursor = null;
  readSprite(view, bytes);
  build(view);
  show(view);
  return () => { // also called between two draws of a view that stays
    if (view.panels[0].canvas.isConnected) return;
    view.observer.disconnect();
    if (view.url) URL.revokeObjectURL(view.url);
  };
}

// --- reading ---------------------------------------------------------------------------------------------------

function asBytes(data) {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
}

function readHeader(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  header.at = 4 + length;
  return header;
}

function part(bytes, header, name) {
  const [start, length] = header.parts[name];
  return bytes.slice(header.at + start, header.at + start + length); // a copy is aligned for float32
}

function readPanels(bytes, header) {
  const n = header.labels.length;
  return header.panels.map((panel, k) => {
    const sent = new Float32Array(part(bytes, header, `values${k}`).buffer);
    // A symmetric matrix is sent as its upper triangle with the diagonal, row by row.
    const at = panel.symmetric
      ? (i, j) => { const [a, b] = i <= j ? [i, j] : [j, i]; return sent[a * n - (a * (a - 1)) / 2 + b - a]; }
      : (i, j) => sent[i * n + j];
    return { ...panel, at };
  });
}

function readSprite(view, bytes) {
  const { sprite } = view.header;
  if (view.url) URL.revokeObjectURL(view.url);
  view.url = null; view.image = null;
  if (!sprite) return;
  view.url = URL.createObjectURL(new Blob([part(bytes, view.header, "sprite")], { type: sprite.mime }));
  const image = new Image();
  image.onload = () => { view.image = image; show(view); };
  image.src = view.url;
}

const namesOf = (view, pair) => (pair ? pair.map((k) => view.header.labels[k]) : null);

function placesOf(view, names) {
  const pair = names?.map((name) => view.place.get(name));
  return pair?.every((k) => k !== undefined) ? pair : null;
}

// --- building --------------------------------------------------------------------------------------------------

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function build(view) {
  const holder = view.root.querySelector(".matrix-view");
  const focused = [...holder.querySelectorAll("canvas.cells")].indexOf(view.root.activeElement);
  view.observer?.disconnect();
  holder.replaceChildren(bars(view), ...legend(view), grid(view), readout(view), live(view));
  const one = view.panels.length === 1;
  holder.style.setProperty("--panel", one ? "100%" : "230px");
  holder.style.setProperty("--narrow", view.panels.length > 1 ? "150px" : "100%");
  holder.style.setProperty("--widest", `${view.header.widest}px`);
  view.observer = new ResizeObserver(() => view.panels.forEach(sharpen));
  view.panels.forEach((panel) => { sharpen(panel); view.observer.observe(panel.canvas); });
  view.panels[focused]?.canvas.focus(); // a new order must not throw the keyboard out
}

function bars(view) {
  const box = element("div", "bars");
  for (const { lo, hi, unit } of view.header.scales) {
    const bar = element("div", "bar");
    const canvas = element("canvas");
    canvas.width = 256; canvas.height = 1;
    canvas.setAttribute("aria-hidden", "true");
    const pixels = canvas.getContext("2d").createImageData(256, 1);
    for (let k = 0; k < 256; k++) pixels.data.set([...view.lut.subarray(3 * k, 3 * k + 3), 255], 4 * k);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    bar.append(element("span", "", lo), canvas, element("span", "", hi), element("span", "", unit));
    box.append(bar);
  }
  if (view.header.note) box.append(element("span", "note", view.header.note));
  return box;
}

function legend(view) {
  const { kinds } = view.header;
  if (kinds.length < 2 || kinds.length > 12) return [];
  const list = element("ul", "legend");
  kinds.forEach(({ name, colour }) => {
    const item = element("li");
    const swatch = element("i");
    swatch.style.background = colour;
    item.append(swatch, element("span", "", name));
    list.append(item);
  });
  return [list];
}

function grid(view) {
  const box = element("div", "grid");
  view.panels.forEach((panel) => box.append(figure(view, panel)));
  return box;
}

function figure(view, panel) {
  const made = element("figure", panel.role);
  const caption = element("figcaption");
  const title = element("span", "title");
  title.append(element("bdi", "", panel.title)); // long paths are cut at their start
  title.title = panel.title;
  panel.value = element("span", "value");
  caption.append(title, panel.value);
  const strips = view.header.kinds.length > 1;
  const frame = element("div", strips ? "frame" : "frame bare");
  const plot = element("div", "plot");
  panel.canvas = cells(view, panel);
  panel.lines = [element("div", "line"), element("div", "line")];
  panel.mark = element("div", "mark");
  panel.pin = element("div", "mark pinned");
  plot.append(panel.canvas, ...panel.lines, panel.mark, panel.pin);
  if (strips) frame.append(strip(view, "top"), strip(view, "side"));
  frame.append(plot);
  made.append(caption, frame);
  listen(view, panel);
  return made;
}

function strip(view, where) {
  const { labels, kinds, kind } = view.header;
  const n = labels.length;
  const canvas = element("canvas", `strip ${where}`);
  [canvas.width, canvas.height] = where === "top" ? [n, 1] : [1, n];
  canvas.setAttribute("aria-hidden", "true");
  const ctx = canvas.getContext("2d");
  kind.forEach((k, i) => {
    ctx.fillStyle = kinds[k].colour;
    if (where === "top") ctx.fillRect(i, 0, 1, 1); else ctx.fillRect(0, i, 1, 1);
  });
  return canvas;
}

function cells(view, panel) {
  const n = view.header.labels.length;
  const canvas = element("canvas", "cells");
  canvas.width = canvas.height = n;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${panel.alt} Arrow keys move the cursor, Enter pins the pair, Escape unpins it.`);
  const ctx = canvas.getContext("2d");
  const image = ctx.createImageData(n, n);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = Uint32Array.from({ length: 256 }, (_, c) =>
    view.lut[3 * c] | (view.lut[3 * c + 1] << 8) | (view.lut[3 * c + 2] << 16) | (255 << 24));
  const scale = 256 / (panel.hi - panel.lo);
  for (let i = 0, k = 0; i < n; i++) {
    for (let j = 0; j < n; j++, k++) {
      const value = panel.at(i, j);
      if (Number.isFinite(value)) pixels[k] = colours[Math.min(255, Math.max(0, Math.floor((value - panel.lo) * scale)))];
    }
  }
  ctx.putImageData(image, 0, 0);
  return canvas;
}

// Where cells are smaller than pixels, smooth: nearest neighbours would leave out whole stimuli.
function sharpen(panel) {
  const { canvas } = panel;
  canvas.classList.toggle("fine", canvas.clientWidth * devicePixelRatio < canvas.width);
}

function readout(view) {
  const box = element("div", "readout");
  view.first = stimulus(view); view.second = stimulus(view);
  view.state = element("span");
  view.unpin = element("button", "", "Unpin");
  view.unpin.type = "button";
  view.unpin.onclick = () => { pin(view, null); view.panels[0].canvas.focus(); };
  const state = element("div", "state");
  state.append(view.state, " ", view.unpin);
  box.append(view.first.box, view.second.box, state);
  return box;
}

function stimulus(view) {
  const box = element("div", "stimulus");
  const canvas = element("canvas");
  canvas.width = canvas.height = view.header.sprite?.size ?? 0;
  canvas.hidden = !view.header.sprite;
  canvas.setAttribute("aria-hidden", "true");
  const text = element("span");
  const name = element("bdi"), kind = element("small");
  text.append(name, kind);
  box.append(canvas, text);
  return { box, canvas, name, kind };
}

function live(view) {
  view.out = element("output", "unseen");
  view.out.setAttribute("aria-live", "polite");
  return view.out;
}

// --- acting ----------------------------------------------------------------------------------------------------

function listen(view, panel) {
  const { canvas } = panel;
  const n = canvas.width;
  const cell = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (t) => Math.min(n - 1, Math.max(0, Math.floor(t * n)));
    return [at((event.clientY - box.top) / box.height), at((event.clientX - box.left) / box.width)];
  };
  canvas.onpointermove = (event) => { if (event.pointerType === "mouse") move(view, cell(event)); };
  canvas.onpointerleave = (event) => { if (event.pointerType === "mouse") move(view, null); };
  canvas.onclick = (event) => { const pair = cell(event); move(view, pair); toggle(view, pair); };
  canvas.onkeydown = (event) => key(view, event, n);
  canvas.onfocus = () => {
    if (view.cursor || !canvas.matches(":focus-visible")) return;
    move(view, view.pinned ?? [0, Math.min(1, n - 1)]);
    say(view);
  };
  canvas.onblur = () => move(view, null);
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function key(view, event, n) {
  const at = view.cursor ?? view.pinned ?? [0, 0];
  const step = STEPS[event.key];
  if (step) {
    const far = event.shiftKey ? 10 : 1;
    move(view, at.map((k, axis) => Math.min(n - 1, Math.max(0, k + far * step[axis]))));
  } else if (event.key === "Home") move(view, [at[0], 0]);
  else if (event.key === "End") move(view, [at[0], n - 1]);
  else if (event.key === "Enter" || event.key === " ") toggle(view, at);
  else if (event.key === "Escape" && view.pinned) pin(view, null);
  else return;
  event.preventDefault();
  say(view);
}

function move(view, pair) {
  view.cursor = pair;
  if (view.waiting) return;
  view.waiting = true; // at most once a frame
  requestAnimationFrame(() => { view.waiting = false; show(view); });
}

const same = (a, b) => Boolean(a && b && a[0] === b[0] && a[1] === b[1]);

function toggle(view, pair) { pin(view, same(pair, view.pinned) ? null : pair); }

function pin(view, pair) {
  view.pinned = pair;
  show(view);
  view.send(namesOf(view, pair));
}

// --- showing ---------------------------------------------------------------------------------------------------

function written(panel, pair) {
  const value = panel.at(...pair);
  if (panel.whole) return String(value);
  return Number.isFinite(value) ? digits(value) : "no value";
}

function digits(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 0.001 && size < 10000 ? x.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size)))) : x.toExponential(2);
  return text.replace("-", "−");
}

function show(view) {
  const n = view.header.labels.length;
  const pair = view.cursor ?? view.pinned;
  for (const panel of view.panels) {
    panel.value.textContent = pair ? written(panel, pair) : " "; // a space keeps the line high
    mark(panel.pin, view.pinned, n);
    mark(panel.mark, same(view.cursor, view.pinned) ? null : view.cursor, n);
    lines(panel.lines, view.cursor, n);
  }
  [view.first, view.second].forEach((slot, k) => picture(view, slot, pair?.[k]));
  view.unpin.hidden = !view.pinned;
  view.state.textContent = stateText(view, pair);
}

function stateText(view, pair) {
  if (!pair && view.panels[0].whole) return "Point at a cell to see what row and column are; click to pin.";
  if (!pair) return "Point at a cell to see both stimuli and the value in every matrix; click to pin.";
  if (same(pair, view.pinned)) return "Pinned.";
  return view.pinned ? "Another pair is pinned." : "Click or press Enter to pin.";
}

function mark(box, pair, n) {
  box.hidden = !pair;
  if (!pair) return;
  const side = `${100 / n}%`;
  Object.assign(box.style, { top: `${(100 * (pair[0] + 0.5)) / n}%`, left: `${(100 * (pair[1] + 0.5)) / n}%`, width: side, height: side });
}

function lines([row, column], pair, n) {
  row.hidden = column.hidden = !pair;
  if (!pair) return;
  Object.assign(row.style, { top: `${(100 * (pair[0] + 0.5)) / n}%`, left: 0, width: "100%", height: "1px" });
  Object.assign(column.style, { left: `${(100 * (pair[1] + 0.5)) / n}%`, top: 0, height: "100%", width: "1px" });
}

function picture(view, slot, k) {
  const { header, image } = view;
  slot.box.style.visibility = k === undefined ? "hidden" : "visible";
  if (k === undefined) { slot.name.textContent = slot.kind.textContent = ""; return; }
  slot.name.textContent = header.labels[k];
  slot.kind.textContent = header.kinds[header.kind[k]]?.name ?? "";
  const tile = header.sprite?.tiles[k] ?? -1;
  slot.canvas.hidden = tile < 0;
  if (tile < 0 || !image) return;
  const { size, columns } = header.sprite;
  const ctx = slot.canvas.getContext("2d");
  ctx.clearRect(0, 0, size, size);
  ctx.drawImage(image, (tile % columns) * size, Math.floor(tile / columns) * size, size, size, 0, 0, size, size);
}

function say(view) {
  const pair = view.cursor ?? view.pinned;
  if (!pair) { view.out.textContent = "Unpinned."; return; }
  const names = namesOf(view, pair).join(" and ");
  const values = view.panels.map((panel) => `${panel.title} ${written(panel, pair)}`).join("; ");
  view.out.textContent = `${same(pair, view.pinned) ? "Pinned: " : ""}${names}: ${values}`;
}
