// Pictures with maps over them. Data: uint32 length of the header, the header (JSON), parts (see overlay.py).
// Names come from users: they enter the page through textContent and setAttribute only.

const views = new WeakMap();
const kept = new Map(); // what the sliders say, by key, so that a new answer does not move them

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const bytes = asBytes(data);
  if (!bytes) return undefined;
  const view = views.get(root) ?? { root, cursor: null };
  views.set(root, view);
  view.send = (place) => setStateValue("chosen", place);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const fresh = view.header?.digest !== header.digest;
  view.header = header;
  view.marked = fraction(header);
  if (fresh) { read(view, bytes.subarray(4 + length)); build(view); }
  marks(view);
  return () => {
    if (root.isConnected) return;
    view.observer?.disconnect();
    views.delete(root);
  };
}

function asBytes(data) {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
}

// --- reading ---------------------------------------------------------------------------------------------------

function read(view, body) {
  const { header } = view;
  const part = (name) => {
    const found = header.parts[name];
    return found && body.slice(found[0], found[0] + found[1]);
  };
  view.cursor = null;
  view.luts = Object.fromEntries(Object.keys(header.parts).filter((n) => n.startsWith("lut-"))
    .map((n) => [n.slice(4), part(n)]));
  view.panels = header.panels.map((panel, k) => ({
    ...panel,
    values: panel.rows ? new Float32Array(part(`values${k}`).buffer) : null,
    regions: part(`regions${k}`) ? new Uint16Array(part(`regions${k}`).buffer) : null,
  }));
  const pictures = new Set(view.panels.map((p) => p.picture).filter(Boolean));
  view.pictures = new Map();
  pictures.forEach((name) => {
    createImageBitmap(new Blob([part(name)], { type: "image/png" })).then((image) => {
      if (view.header !== header && view.header.digest !== header.digest) return;
      view.pictures.set(name, { colour: image, grey: greyed(image) });
      paint(view);
    });
  });
}

function greyed(image) {
  const canvas = sized(image.width, image.height);
  const ctx = canvas.getContext("2d");
  ctx.drawImage(image, 0, 0);
  const pixels = ctx.getImageData(0, 0, image.width, image.height);
  for (let k = 0; k < pixels.data.length; k += 4) {
    const light = 0.299 * pixels.data[k] + 0.587 * pixels.data[k + 1] + 0.114 * pixels.data[k + 2];
    pixels.data[k] = pixels.data[k + 1] = pixels.data[k + 2] = light;
  }
  ctx.putImageData(pixels, 0, 0);
  return canvas;
}

function sized(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  return canvas;
}

// --- building --------------------------------------------------------------------------------------------------

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function build(view) {
  const { header } = view;
  const holder = view.root.querySelector(".overlay-view");
  const focused = view.panels.length && [...holder.querySelectorAll("canvas.map")].indexOf(view.root.activeElement);
  view.observer?.disconnect();
  holder.setAttribute("role", "group");
  holder.setAttribute("aria-label", header.label);
  view.settings = kept.get(header.key) ?? { opacity: header.opacity, swipe: 100, fade: true, grey: true, lines: true };
  kept.set(header.key, view.settings);
  view.out = element("output", "unseen");
  view.out.setAttribute("aria-live", "polite");
  const grid = element("div", "grid");
  arrange(grid, holder, view);
  grid.append(...view.panels.map((panel) => figure(view, panel)));
  holder.style.setProperty("--widest", `${header.widest}px`);
  holder.style.setProperty("--narrowest", `${header.narrowest}px`);
  holder.style.setProperty("--count", view.panels.length);
  holder.replaceChildren(tools(view), bars(view), grid, view.out);
  view.observer = new ResizeObserver(() => {
    arrange(grid, holder, view);
    paint(view);
  });
  view.observer.observe(holder);
  if (focused >= 0) holder.querySelectorAll("canvas.map")[focused]?.focus();
  paint(view);
}

// As many columns as fit; where panels belong together, in multiples of those that do.
function arrange(grid, holder, { header, panels }) {
  const few = panels.length * header.narrowest <= holder.clientWidth;
  grid.classList.toggle("few", few);
  const gap = 16, fit = Math.floor((holder.clientWidth + gap) / (header.narrowest + gap));
  const together = header.multiple > 1 && !few;
  const count = Math.max(header.multiple, fit - (fit % header.multiple));
  grid.style.gridTemplateColumns = together ? `repeat(${count}, minmax(0, 1fr))` : "";
}

function tools(view) {
  const box = element("div", "tools");
  if (!view.panels.some((p) => p.values)) return box;
  const pictured = view.panels.some((p) => p.values && p.picture);
  if (pictured) {
    box.append(
      slider(view, "opacity", "Opacity", "How much the map covers the picture, in per cent."),
      slider(view, "swipe", "Swipe", "How far the map reaches from the left edge, in per cent; the rest is the bare picture."),
      box_(view, "fade", "Fade small values", "Let the picture through where the map is near zero."),
      box_(view, "grey", "Grey picture", "Take the colours out of the picture, so that only the map is coloured."),
    );
  }
  if (view.panels.some((p) => p.regions)) box.append(box_(view, "lines", "Borders of segments", "Draw the borders of the segments."));
  return box;
}

function slider(view, name, text, help) {
  const input = element("input");
  Object.assign(input, { type: "range", min: 0, max: 100, step: 1, value: view.settings[name] });
  input.oninput = () => { view.settings[name] = Number(input.value); tell(); paint(view); };
  const tell = () => input.setAttribute("aria-valuetext", `${input.value} per cent`);
  tell();
  return labelled(text, help, input, false);
}

function box_(view, name, text, help) {
  const input = element("input");
  Object.assign(input, { type: "checkbox", checked: view.settings[name] });
  input.onchange = () => { view.settings[name] = input.checked; forget(view); paint(view); };
  return labelled(text, help, input, true);
}

function labelled(text, help, input, after) {
  const label = element("label");
  label.title = help;
  label.append(...(after ? [input, element("span", "", text)] : [element("span", "", text), input]));
  return label;
}

function bars(view) {
  const box = element("div", "bars");
  for (const { lo, hi, unit, lut, signed } of view.header.scales) {
    const bar = element("div", "bar");
    const canvas = sized(256, 1);
    canvas.setAttribute("aria-hidden", "true");
    const ctx = canvas.getContext("2d");
    const pixels = ctx.createImageData(256, 1);
    for (let k = 0; k < 256; k++) pixels.data.set([...view.luts[lut].subarray(3 * k, 3 * k + 3), 255], 4 * k);
    ctx.putImageData(pixels, 0, 0);
    bar.append(element("span", "", lo), canvas, element("span", "", hi), element("span", "", unit));
    if (signed) bar.title = "White is zero; red raises the score, blue lowers it.";
    box.append(bar);
  }
  return box;
}

function figure(view, panel) {
  const made = element("figure");
  const caption = element("figcaption");
  const title = element("span", "title", panel.title);
  title.title = panel.title;
  panel.value = element("span", "value");
  caption.append(title, panel.value);
  const plot = element("div", "plot");
  panel.canvas = element("canvas", panel.values ? "map" : "");
  panel.canvas.style.aspectRatio = `${panel.width} / ${panel.height}`;
  panel.canvas.setAttribute("role", "img");
  panel.mark = element("div", "mark"); panel.mark.hidden = true;
  panel.kept = element("div", "mark kept"); panel.kept.hidden = true;
  plot.append(panel.canvas, panel.mark, panel.kept);
  made.append(caption, plot);
  if (panel.caption) made.append(element("p", "caption", panel.caption));
  const how = view.header.choosing ? `, Enter ${view.header.choosing}` : "";
  panel.canvas.setAttribute("aria-label", panel.values ? `${panel.alt} Arrow keys read values${how}.` : panel.alt);
  if (panel.values) listen(view, panel);
  return made;
}

// --- painting --------------------------------------------------------------------------------------------------

function forget(view) { view.panels.forEach((panel) => { panel.drawn = null; }); }

function paint(view) {
  if (view.painting) return;
  view.painting = true; // at most once a frame
  requestAnimationFrame(() => {
    view.painting = false;
    view.panels.forEach((panel) => draw(view, panel));
    marks(view);
  });
}

function draw(view, panel) {
  const { canvas } = panel;
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!width) return;
  const height = Math.round((width * panel.height) / panel.width);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const ctx = canvas.getContext("2d");
  ctx.clearRect(0, 0, width, height);
  const picture = view.pictures.get(panel.picture);
  const { opacity, swipe, grey } = view.settings;
  ctx.imageSmoothingEnabled = Boolean(picture) && picture.colour.width > 32;
  if (picture) ctx.drawImage(picture.colour, 0, 0, width, height);
  if (!panel.values) return;
  const end = panel.picture ? Math.round((width * swipe) / 100) : width;
  ctx.save();
  ctx.beginPath(); ctx.rect(0, 0, end, height); ctx.clip();
  if (picture && grey) ctx.drawImage(picture.grey, 0, 0, width, height);
  ctx.globalAlpha = panel.picture ? opacity / 100 : 1;
  ctx.imageSmoothingEnabled = panel.smooth;
  panel.drawn ??= coloured(view, panel);
  ctx.drawImage(panel.drawn, 0, 0, width, height);
  ctx.globalAlpha = 1;
  if (panel.regions && view.settings.lines) outline(ctx, panel, width, height);
  ctx.restore();
  if (panel.picture && swipe > 0 && swipe < 100) {
    ctx.fillStyle = "#fff"; ctx.fillRect(end - 2, 0, 4, height);
    ctx.fillStyle = "#000"; ctx.fillRect(end - 1, 0, 2, height);
  }
}

// The map in its own resolution; small values see-through, so that opacity is one multiplication later.
function coloured(view, panel) {
  const canvas = sized(panel.columns, panel.rows);
  const ctx = canvas.getContext("2d");
  const image = ctx.createImageData(panel.columns, panel.rows);
  const lut = view.luts[panel.lut], { lo, hi } = panel;
  const zero = lo < 0 && hi > 0 ? 0 : lo, reach = Math.max(hi - zero, zero - lo);
  const fade = view.settings.fade && panel.picture;
  panel.values.forEach((value, k) => {
    if (!Number.isFinite(value)) return;
    const level = Math.min(255, Math.max(0, Math.floor(((value - lo) / (hi - lo)) * 256)));
    const alpha = fade ? Math.sqrt(Math.min(1, Math.abs(value - zero) / reach)) : 1;
    image.data.set([lut[3 * level], lut[3 * level + 1], lut[3 * level + 2], Math.round(255 * alpha)], 4 * k);
  });
  ctx.putImageData(image, 0, 0);
  return canvas;
}

function outline(ctx, { regions, rows, columns }, width, height) {
  const x = width / columns, y = height / rows;
  ctx.beginPath();
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const here = regions[i * columns + j];
      if (j + 1 < columns && regions[i * columns + j + 1] !== here) { ctx.moveTo((j + 1) * x, i * y); ctx.lineTo((j + 1) * x, (i + 1) * y); }
      if (i + 1 < rows && regions[(i + 1) * columns + j] !== here) { ctx.moveTo(j * x, (i + 1) * y); ctx.lineTo((j + 1) * x, (i + 1) * y); }
    }
  }
  ctx.lineWidth = Math.max(1, devicePixelRatio);
  ctx.strokeStyle = "rgba(255, 255, 255, 0.85)";
  ctx.stroke();
}

// --- acting ----------------------------------------------------------------------------------------------------

const within = (t, n) => Math.min(n - 1, Math.max(0, Math.floor(t * n)));

function listen(view, panel) {
  const { canvas } = panel;
  canvas.tabIndex = 0;
  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return { panel, v: (event.clientY - box.top) / box.height, u: (event.clientX - box.left) / box.width };
  };
  canvas.onpointermove = (event) => { if (event.pointerType === "mouse") move(view, spot(event)); };
  canvas.onpointerleave = (event) => { if (event.pointerType === "mouse") move(view, null); };
  canvas.onclick = (event) => { move(view, spot(event)); choose(view); };
  canvas.onkeydown = (event) => key(view, panel, event);
  canvas.onfocus = () => { if (!view.cursor && canvas.matches(":focus-visible")) { move(view, view.marked ? { panel, ...view.marked } : at(panel, 0, 0)); say(view); } };
  canvas.onblur = () => move(view, null);
}

// A marked element as a place on the picture: maps of other resolutions mark the element that holds it.
function fraction({ marked, panels }) {
  const map = panels.find((panel) => panel.rows);
  return marked && map ? { v: (marked[0] + 0.5) / map.rows, u: (marked[1] + 0.5) / map.columns } : null;
}

const at = (panel, row, column) => ({ panel, v: (row + 0.5) / panel.rows, u: (column + 0.5) / panel.columns });
const cell = (panel, { v, u }) => [within(v, panel.rows), within(u, panel.columns)];
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function key(view, panel, event) {
  const here = cell(panel, view.cursor ?? view.marked ?? { v: 0, u: 0 });
  const step = STEPS[event.key];
  if (step) {
    const far = event.shiftKey ? 10 : 1, limit = [panel.rows, panel.columns];
    move(view, at(panel, ...here.map((k, axis) => Math.min(limit[axis] - 1, Math.max(0, k + far * step[axis])))));
  } else if (event.key === "Home") move(view, at(panel, here[0], 0));
  else if (event.key === "End") move(view, at(panel, here[0], panel.columns - 1));
  else if ((event.key === "Enter" || event.key === " ") && view.header.choosing) choose(view);
  else return;
  event.preventDefault();
  say(view);
}

function choose(view) {
  if (!view.header.choosing || !view.cursor) return;
  const { panel } = view.cursor;
  view.marked = { v: view.cursor.v, u: view.cursor.u };
  marks(view);
  view.send([panel.title, ...cell(panel, view.cursor)]);
}

function move(view, cursor) {
  view.cursor = cursor;
  if (view.waiting) return;
  view.waiting = true;
  requestAnimationFrame(() => { view.waiting = false; marks(view); });
}

// --- showing ---------------------------------------------------------------------------------------------------

const shows = (view, panel) => Boolean(view.cursor && panel.values && (view.header.linked || view.cursor.panel === panel));

function marks(view) {
  view.panels.forEach((panel) => {
    const on = shows(view, panel);
    panel.value.textContent = on ? written(panel, cell(panel, view.cursor)) : "";
    frame(panel.mark, panel, on ? cell(panel, view.cursor) : null);
    frame(panel.kept, panel, panel.values && view.marked ? cell(panel, view.marked) : null);
  });
}

function frame(mark, panel, place) {
  mark.hidden = !place;
  if (!place) return;
  mark.style.top = `${(100 * (place[0] + 0.5)) / panel.rows}%`;
  mark.style.left = `${(100 * (place[1] + 0.5)) / panel.columns}%`;
  mark.style.height = `${100 / panel.rows}%`;
  mark.style.width = `${100 / panel.columns}%`;
}

function say(view) {
  const { panel } = view.cursor;
  const [row, column] = cell(panel, view.cursor);
  const read = view.panels.filter((p) => shows(view, p)).map((p) => `${p.title} ${written(p, cell(p, view.cursor))}`);
  view.out.textContent = `Row ${row + 1}, column ${column + 1}: ${read.join("; ")}`;
}

function written(panel, [row, column]) {
  const value = panel.values[row * panel.columns + column];
  return Number.isFinite(value) ? digits(value) : "no value";
}

// Three significant digits, as everywhere in the app.
function digits(value) {
  if (value === 0) return "0";
  const [mantissa, exponent] = Math.abs(value).toExponential(2).split("e");
  const power = Number(exponent), sign = value < 0 ? "−" : "";
  if (power > -4 && power < 4) return sign + Math.abs(value).toFixed(Math.max(0, 2 - power));
  const raised = String(power).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  return `${sign}${mantissa} × 10${raised}`;
}
