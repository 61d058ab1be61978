// Lines between tokens: on the left who looks, on the right who is looked at; a line is as strong as its weight.
// Data: uint32 length of the header, the header (JSON), then the weights (left × right) as float32.
// Tokens come from users: they enter the page through textContent and setAttribute only.

const views = new WeakMap();
const HIGH = 24, NS = "http://www.w3.org/2000/svg";

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const bytes = asBytes(data);
  if (!bytes) return undefined;
  const view = views.get(root) ?? { root, over: null };
  views.set(root, view);
  view.send = (k) => setStateValue("chosen", k);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (view.header?.digest !== header.digest) {
    view.header = header;
    view.weights = new Float32Array(bytes.slice(4 + length).buffer);
    view.over = null;
    build(view);
  }
  view.chosen = header.chosen;
  show(view);
  return () => { if (!root.isConnected) { view.observer.disconnect(); views.delete(root); } };
}

function asBytes(data) {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function build(view) {
  const { header } = view, holder = view.root.querySelector(".tokens-view");
  view.observer?.disconnect();
  const heading = element("div", "heading");
  heading.append(element("span", "", header.from), element("span"), element("span", "", header.to));
  const columns = element("div", "columns");
  const left = element("div", "side"), right = element("div", "side");
  left.setAttribute("role", "listbox");
  left.setAttribute("aria-label", header.label);
  view.buttons = header.left.map((token, i) => {
    const button = element("button");
    button.type = "button";
    button.setAttribute("role", "option");
    button.append(element("bdi", "", token));
    button.onpointerenter = () => { view.over = i; show(view); };
    button.onfocus = () => { view.over = i; show(view); say(view, i); };
    button.onblur = () => { view.over = null; show(view); };
    button.onclick = () => { view.chosen = view.chosen === i ? null : i; view.send(view.chosen); show(view); };
    button.onkeydown = (event) => step(view, event, i);
    left.append(button);
    return button;
  });
  left.onpointerleave = () => { view.over = null; show(view); };
  view.right = header.right.map((token) => {
    const box = element("div"), bar = element("i"), share = element("small");
    box.append(bar, element("bdi", "", token), share);
    right.append(box);
    return { bar, share };
  });
  view.svg = document.createElementNS(NS, "svg");
  view.svg.setAttribute("aria-hidden", "true");
  const middle = element("div");
  middle.append(view.svg);
  columns.append(left, middle, right);
  const scroll = element("div", "scroll");
  scroll.append(columns);
  view.out = element("output", "unseen");
  view.out.setAttribute("aria-live", "polite");
  holder.replaceChildren(heading, scroll, ...(header.note ? [element("p", "", header.note)] : []), view.out);
  view.observer = new ResizeObserver(() => lines(view));
  view.observer.observe(middle);
}

const weight = (view, i, j) => view.weights[i * view.header.right.length + j];

// --- showing ---------------------------------------------------------------------------------------------------

function show(view) {
  const at = view.over ?? view.chosen;
  const stop = view.chosen ?? 0;
  view.buttons.forEach((button, i) => {
    button.classList.toggle("on", i === view.over);
    button.setAttribute("aria-selected", String(i === view.chosen));
    button.tabIndex = i === stop ? 0 : -1;
  });
  view.right.forEach(({ bar, share }, j) => {
    const value = at === null || at === undefined ? 0 : weight(view, at, j);
    bar.style.width = `${Math.min(100, (100 * value) / view.header.most)}%`;
    share.textContent = at === null || at === undefined ? "" : written(view, value);
  });
  lines(view);
}

function lines(view) {
  const { header, svg } = view, wide = svg.clientWidth;
  if (!wide) return;
  const at = view.over ?? view.chosen, made = [];
  header.left.forEach((_, i) => {
    if (at !== null && at !== undefined && i !== at) return;
    for (const j of strongest(view, i)) {
      const value = weight(view, i, j) / header.most;
      if (value < 0.02) continue;
      const path = document.createElementNS(NS, "path");
      const y = (i + 0.5) * HIGH, z = (j + 0.5) * HIGH;
      path.setAttribute("d", `M0 ${y}C${wide / 2} ${y} ${wide / 2} ${z} ${wide} ${z}`);
      path.setAttribute("fill", "none");
      path.setAttribute("stroke", "currentColor");
      path.setAttribute("stroke-opacity", Math.min(1, value).toFixed(3));
      path.setAttribute("stroke-width", (0.5 + 3.5 * Math.min(1, value)).toFixed(2));
      made.push(path);
    }
  });
  svg.replaceChildren(...made);
}

// Of a long text only the strongest lines, or the browser would draw hundreds of thousands.
function strongest(view, i) {
  const n = view.header.right.length, all = Array.from({ length: n }, (_, j) => j);
  if (n <= view.header.lines) return all;
  return all.sort((a, b) => weight(view, i, b) - weight(view, i, a)).slice(0, view.header.lines);
}

function written(view, value) {
  if (view.header.share) return value > 0 && value < 0.0005 ? "< 0.1 %" : `${(100 * value).toFixed(1)} %`;
  return value.toPrecision(3);
}

// --- acting ----------------------------------------------------------------------------------------------------

function step(view, event, i) {
  const last = view.buttons.length - 1;
  const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: last }[event.key];
  if (to === undefined || !view.buttons[to]) return;
  event.preventDefault();
  view.buttons[to].tabIndex = 0;
  view.buttons[to].focus();
}

function say(view, i) {
  const n = view.header.right.length;
  const best = Array.from({ length: n }, (_, j) => j).sort((a, b) => weight(view, i, b) - weight(view, i, a)).slice(0, 3);
  view.out.textContent = `${view.header.left[i]}: ${best.map((j) => `${view.header.right[j]} ${written(view, weight(view, i, j))}`).join(", ")}`;
}
