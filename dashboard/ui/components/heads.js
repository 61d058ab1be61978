// All heads of all layers on one canvas: a row per layer, a column per head. Data: uint32 length of the header, the
// header (JSON), 256 × 3 bytes of colours, then the maps, one byte an element, row of heads by row of heads.
// Names come from networks: they enter the page through textContent, setAttribute and fillText only.

const views = new WeakMap();
const GAP = 3, TOP = 20, WIDEST = 84;

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const bytes = asBytes(data);
  if (!bytes) return undefined;
  const view = views.get(root) ?? { root, cursor: null, chosen: null };
  views.set(root, view);
  view.send = (place) => setStateValue("chosen", place);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (view.header?.digest !== header.digest) {
    view.header = header;
    view.tiles = tiles(header, bytes.subarray(4 + length));
    build(view);
  }
  view.chosen = header.chosen;
  paint(view);
  return () => { if (!root.isConnected) { view.observer.disconnect(); views.delete(root); } };
}

function asBytes(data) {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
}

// Every map as a canvas of its own resolution, which the grid then stretches.
function tiles(header, body) {
  const colours = Uint32Array.from({ length: 256 }, (_, c) =>
    body[3 * c] | (body[3 * c + 1] << 8) | (body[3 * c + 2] << 16) | (255 << 24));
  let at = 768;
  return header.rows.map(({ heads, height, width }) => heads.map(() => {
    const canvas = document.createElement("canvas");
    canvas.width = width; canvas.height = height;
    const ctx = canvas.getContext("2d");
    const image = ctx.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let k = 0; k < pixels.length; k++) pixels[k] = colours[body[at + k]];
    at += pixels.length;
    ctx.putImageData(image, 0, 0);
    return canvas;
  }));
}

function build(view) {
  const holder = view.root.querySelector(".heads-view");
  const had = holder.contains(view.root.activeElement ?? null) || view.root.activeElement?.tagName === "CANVAS";
  view.observer?.disconnect();
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${view.header.label} Arrow keys move from head to head, Enter chooses one.`);
  view.canvas = canvas;
  view.line = document.createElement("p");
  view.line.setAttribute("aria-hidden", "true");
  view.out = document.createElement("output");
  view.out.className = "unseen";
  view.out.setAttribute("aria-live", "polite");
  holder.replaceChildren(canvas, view.line, view.out);
  canvas.onpointermove = (event) => { if (event.pointerType === "mouse") move(view, spot(view, event)); };
  canvas.onpointerleave = () => move(view, null);
  canvas.onclick = (event) => choose(view, spot(view, event));
  canvas.onkeydown = (event) => key(view, event);
  canvas.onfocus = () => { if (canvas.matches(":focus-visible")) { move(view, view.cursor ?? view.chosen ?? [0, 0]); say(view); } };
  canvas.onblur = () => move(view, null);
  view.observer = new ResizeObserver(() => paint(view));
  view.observer.observe(holder);
  if (had) canvas.focus();
}

// --- geometry --------------------------------------------------------------------------------------------------

function plan(view) {
  const width = view.root.querySelector(".heads-view").clientWidth;
  const { rows } = view.header;
  const most = Math.max(...rows.map((row) => row.heads.length));
  const left = width < 480 ? 46 : 132;
  const size = Math.max(10, Math.min(WIDEST, Math.floor((width - left) / most) - GAP));
  const heights = rows.map((row) => Math.max(6, Math.min(2 * size, Math.round((size * row.height) / row.width))));
  const tops = [];
  heights.reduce((y, h, k) => { tops[k] = y; return y + h + GAP; }, TOP);
  return { width, left, size, heights, tops, height: (tops.at(-1) ?? TOP) + (heights.at(-1) ?? 0) + GAP };
}

function spot(view, event) {
  const box = view.canvas.getBoundingClientRect(), at = plan(view);
  const y = event.clientY - box.top, x = event.clientX - box.left - at.left;
  const row = at.tops.findIndex((top, k) => y >= top && y < top + at.heights[k] + GAP);
  if (row < 0 || x < 0) return null;
  const head = view.header.rows[row].heads.findIndex((_, k) => column(view.header, row, k) === Math.floor(x / (at.size + GAP)));
  return head >= 0 ? [row, head] : null;
}

const longest = ({ rows }) => rows.reduce((a, b) => (a.heads.length >= b.heads.length ? a : b)).heads;

// Layers differ in their number of heads: what ends every row (their mean) stands below its own heading.
function column(header, row, head) {
  const most = longest(header);
  return header.rows[row].heads[head].name === most.at(-1).name ? most.length - 1 : head;
}

// --- painting --------------------------------------------------------------------------------------------------

function paint(view) {
  if (view.waiting) return;
  view.waiting = true; // at most once a frame
  requestAnimationFrame(() => { view.waiting = false; draw(view); tell(view); });
}

function draw(view) {
  const at = plan(view), { canvas, header } = view, scale = devicePixelRatio;
  if (!at.width) return;
  canvas.width = Math.round(at.width * scale); canvas.height = Math.round(at.height * scale);
  canvas.style.height = `${at.height}px`;
  const ctx = canvas.getContext("2d"), look = getComputedStyle(view.root.querySelector(".heads-view"));
  ctx.scale(scale, scale);
  ctx.imageSmoothingEnabled = false;
  ctx.fillStyle = look.color;
  ctx.font = `12px ${look.fontFamily}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "center";
  longest(header).forEach((head, k) => ctx.fillText(shortened(ctx, head.name, at.size + GAP), at.left + k * (at.size + GAP) + at.size / 2, TOP / 2));
  header.rows.forEach((row, i) => {
    ctx.textAlign = "left";
    ctx.fillText(shortened(ctx, at.left < 100 ? row.short : row.name, at.left - 8), 0, at.tops[i] + at.heights[i] / 2);
    view.tiles[i].forEach((tile, k) => {
      ctx.imageSmoothingEnabled = tile.width > at.size * scale;
      ctx.drawImage(tile, at.left + column(header, i, k) * (at.size + GAP), at.tops[i], at.size, at.heights[i]);
    });
  });
  frame(ctx, at, header, view.chosen, "#ffb000", 3);
  if (view.cursor) frame(ctx, at, header, view.cursor, look.color, 2);
}

function frame(ctx, at, header, place, colour, thick) {
  if (!place) return;
  const [row, head] = place;
  const x = at.left + column(header, row, head) * (at.size + GAP), y = at.tops[row];
  ctx.lineWidth = thick + 2; ctx.strokeStyle = "#000";
  ctx.strokeRect(x - 1, y - 1, at.size + 2, at.heights[row] + 2);
  ctx.lineWidth = thick; ctx.strokeStyle = colour;
  ctx.strokeRect(x - 1, y - 1, at.size + 2, at.heights[row] + 2);
}

function shortened(ctx, text, room) {
  let shown = text;
  while (shown.length > 1 && ctx.measureText(shown).width > room) shown = shown.startsWith("…") ? `…${shown.slice(2)}` : `…${shown.slice(1)}`;
  return shown;
}

// --- acting ----------------------------------------------------------------------------------------------------

const same = (a, b) => Boolean(a && b && a[0] === b[0] && a[1] === b[1]);
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function key(view, event) {
  const { rows } = view.header, at = view.cursor ?? view.chosen ?? [0, 0], step = STEPS[event.key];
  const within = (row, column) => {
    const i = Math.min(rows.length - 1, Math.max(0, row));
    return [i, Math.min(rows[i].heads.length - 1, Math.max(0, column))];
  };
  if (step) move(view, within(at[0] + step[0], at[1] + step[1]));
  else if (event.key === "Home") move(view, within(at[0], 0));
  else if (event.key === "End") move(view, within(at[0], 1e9));
  else if (event.key === "Enter" || event.key === " ") choose(view, at);
  else return;
  event.preventDefault();
  say(view);
}

function move(view, place) {
  if (same(place, view.cursor) || (!place && !view.cursor)) return;
  view.cursor = place;
  paint(view);
}

function choose(view, place) {
  if (!place) return;
  view.chosen = place;
  paint(view);
  view.send(place);
}

function words(view, place) {
  const row = view.header.rows[place[0]];
  return `${row.name}, ${row.heads[place[1]].words}`;
}

function tell(view) {
  const place = view.cursor ?? view.chosen;
  view.line.textContent = place ? `${words(view, place)}${same(place, view.chosen) ? " Chosen." : " Click to choose."}` : view.header.hint;
}

function say(view) {
  const place = view.cursor ?? view.chosen;
  view.out.textContent = place ? `${words(view, place)}${same(place, view.chosen) ? " Chosen." : ""}` : "";
}
