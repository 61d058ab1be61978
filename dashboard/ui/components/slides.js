// A report as slides over the whole window: every slide is in the page, so that a change is a matter of showing.
// Words come from users: they enter the page through textContent only. Captions are copies of what Streamlit drew.
// `vegaEmbed` and `drawMatrix` are bundled with this file.

const views = new WeakMap();
const QUIET = 200; // milliseconds between figures that are drawn ahead

function mount(component) {
  const { data, parentElement: root, setTriggerValue } = component;
  let view = views.get(root);
  if (view) { view.data = data; return undefined; }
  view = { root, data, at: -1, dark: data.dark, drawn: new Map() };
  views.set(root, view);
  view.leave = () => setTriggerValue("leave", true);
  build(view);
  view.onKey = (event) => key(view, event);
  view.onResize = () => fitMatrices(view);
  window.addEventListener("keydown", view.onKey);
  window.addEventListener("resize", view.onResize);
  show(view, Math.min(Math.max(data.start, 0), data.slides.length - 1));
  ahead(view);
  return () => {
    if (view.stage.isConnected && document.body.contains(root.host ?? root)) return;
    window.removeEventListener("keydown", view.onKey);
    window.removeEventListener("resize", view.onResize);
    view.stage.remove();
    behind(false);
    views.delete(root);
  };
}

// --- the stage -------------------------------------------------------------------------------------------------

function element(tag, name, words) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (words !== undefined) made.textContent = words;
  return made;
}

function build(view) {
  const stage = view.stage = element("section", "hs-stage");
  stage.setAttribute("aria-roledescription", "slide show");
  stage.setAttribute("aria-label", view.data.title);
  stage.tabIndex = -1;
  view.slides = view.data.slides.map((slide, k) => page(view, slide, k));
  view.bar = bar(view);
  view.tip = element("div", "hs-tip");
  view.tip.hidden = true;
  view.live = element("p", "hs-unseen");
  view.live.setAttribute("aria-live", "polite");
  stage.append(...view.slides, view.bar, view.tip, view.live);
  paint(view);
  view.root.querySelector(".hs-mount").replaceChildren(stage);
  behind(true);
  stage.focus({ preventScroll: true });
}

// What lies behind the stage is out of reach of the Tab key too.
function behind(covered) {
  for (const name of ["stSidebar", "stHeader"]) {
    document.querySelectorAll(`[data-testid="${name}"]`).forEach((one) => { one.inert = covered; });
  }
}

function page(view, slide, k) {
  const made = element("article", `hs-slide hs-${slide.kind}`);
  made.hidden = true;
  made.setAttribute("aria-label", `Slide ${k + 1} of ${view.data.slides.length}`);
  if (slide.section && slide.kind !== "section") made.append(element("p", "hs-section-name", slide.section));
  if (slide.title) made.append(element("h1", "hs-title", slide.title));
  if (slide.kind === "panel") {
    const figure = element("div", "hs-figure");
    figure.setAttribute("role", slide.matrix ? "group" : "img");
    figure.setAttribute("aria-label", slide.alt);
    made.append(figure);
  }
  if (slide.words) made.append(element("div", "hs-words"));
  if (slide.source) made.append(element("p", "hs-source", slide.source));
  return made;
}

function bar(view) {
  const made = element("nav", "hs-bar");
  made.setAttribute("aria-label", "Slides");
  const button = (words, label, act) => {
    const one = element("button", "", words);
    one.type = "button";
    one.title = label;
    one.setAttribute("aria-label", label);
    one.onclick = act;
    made.append(one);
    return one;
  };
  button("←", "Previous slide (left arrow)", () => show(view, view.at - 1));
  view.count = element("span", "hs-count");
  made.append(view.count);
  button("→", "Next slide (right arrow)", () => show(view, view.at + 1));
  button("◐", "Light or dark (L)", () => turn(view));
  button("", "Full screen (F)", () => full(view)).append(corners());
  button("×", "Back to the report (Escape)", () => away(view));
  return made;
}

// Four corners; few fonts have the sign for it.
function corners() {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 16 16");
  made.setAttribute("class", "hs-corners");
  made.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4");
  made.append(path);
  return made;
}

function paint(view) {
  view.stage.classList.toggle("hs-dark", view.dark);
  for (const [name, value] of Object.entries(view.data.ink[view.dark ? "dark" : "light"])) {
    view.stage.style.setProperty(`--hs-${name}`, value);
  }
}

// --- moving ----------------------------------------------------------------------------------------------------

const STEPS = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowDown: 1, ArrowLeft: -1, PageUp: -1, ArrowUp: -1 };

function key(view, event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const inside = event.composedPath()[0];
  const inMatrix = inside instanceof HTMLCanvasElement && inside.tabIndex === 0;
  if (event.key === "Escape" && inMatrix) { view.stage.focus({ preventScroll: true }); return; }
  if (inMatrix || (event.key === " " && inside instanceof HTMLButtonElement)) return;
  if (event.key in STEPS) show(view, view.at + STEPS[event.key]);
  else if (event.key === "Home") show(view, 0);
  else if (event.key === "End") show(view, view.slides.length - 1);
  else if (event.key === "Escape") { if (!document.fullscreenElement) away(view); }
  else if (event.key === "l") turn(view);
  else if (event.key === "f") full(view);
  else return;
  event.preventDefault();
}

function show(view, to) {
  if (to < 0 || to >= view.slides.length || to === view.at) return;
  const start = performance.now();
  if (view.at >= 0) view.slides[view.at].hidden = true;
  view.at = to;
  view.slides[to].hidden = false;
  view.tip.hidden = true;
  view.count.textContent = `${to + 1} / ${view.slides.length}`;
  view.live.textContent = `Slide ${to + 1} of ${view.slides.length}: ${view.data.slides[to].title ?? ""}`;
  const link = new URL(window.location.href);
  link.searchParams.set("slide", String(to + 1));
  window.history.replaceState(window.history.state, "", link);
  draw(view, to).then(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    view.stage.dataset.changeMs = String(Math.round(performance.now() - start));
    view.stage.dataset.shown = String(to + 1);
  })));
}

function away(view) {
  behind(false);
  if (document.fullscreenElement) document.exitFullscreen();
  view.leave();
}

function full(view) {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => undefined);
}

function turn(view) {
  view.dark = !view.dark;
  paint(view);
  view.drawn.clear();
  draw(view, view.at);
  ahead(view);
}

// --- figures ---------------------------------------------------------------------------------------------------

// Figures bring their data and pictures along; nothing is fetched for them.
const refuse = () => Promise.reject(new Error("nothing is fetched"));
const sanitize = (uri) => (/^data:image\/(png|jpeg|webp|gif);base64,/.test(uri) ? Promise.resolve({ href: uri }) : refuse());
const LOADER = { load: refuse, http: refuse, file: refuse, sanitize };

// What is not yet shown is drawn while nobody waits.
function ahead(view) {
  clearTimeout(view.timer);
  const next = view.slides.findIndex((_, k) => !view.drawn.has(k));
  if (next < 0) { view.stage.dataset.ready = "yes"; return; }
  view.timer = setTimeout(() => draw(view, next).then(() => ahead(view)), QUIET);
}

function draw(view, k) {
  if (!view.drawn.has(k)) view.drawn.set(k, drawNow(view, k));
  return view.drawn.get(k);
}

async function drawNow(view, k) {
  const slide = view.data.slides[k], made = view.slides[k];
  words(slide, made);
  if (slide.kind !== "panel") return;
  const holder = made.querySelector(".hs-figure");
  if (slide.matrix) { if (!holder.shadowRoot) matrix(view, slide, holder); fitMatrices(view); return; }
  if (!slide.chart) { holder.textContent = "This figure is not drawn yet: open it in the report."; return; }
  const text = JSON.stringify(slide.chart);
  const spec = JSON.parse(view.dark ? text.replace(/#[0-9A-Fa-f]{6}\b/g, (c) => view.data.partners[c.toUpperCase()] ?? c) : text);
  spec.config = { ...spec.config, background: "transparent" };
  const target = element("div", "hs-chart");
  try {
    await vegaEmbed(target, spec, {
      renderer: "svg", actions: false, tooltip: (_, event, item, value) => tip(view, event, value),
      loader: LOADER,
    });
  } catch {
    target.textContent = "This figure cannot be drawn here.";
  }
  const svg = target.querySelector("svg");
  if (svg) {
    svg.setAttribute("preserveAspectRatio", "xMidYMid meet");
    svg.style.width = "100%";
    svg.style.height = "100%";
  }
  holder.replaceChildren(target);
}

// Streamlit has drawn the caption, with its mathematics, behind the stage.
function words(slide, made) {
  const box = made.querySelector(".hs-words");
  const source = slide.words && document.querySelector(`.st-key-${slide.words}`);
  if (!box || !source || box.hasChildNodes()) return;
  box.append(source.cloneNode(true));
  box.tabIndex = 0; // a long caption scrolls, also without a mouse
}

function tip(view, event, value) {
  if (value === null || value === undefined || value === "") { view.tip.hidden = true; return; }
  const rows = typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [["", value]];
  view.tip.replaceChildren(...rows.map(([name, one]) => {
    const row = element("p");
    const picture = typeof one === "string" && /^data:image\/(png|jpeg|webp);base64,/.test(one);
    if (name && !picture) row.append(element("b", "", `${name}: `));
    if (picture) { const image = element("img"); image.src = one; image.alt = ""; row.append(image); }
    else row.append(document.createTextNode(String(one)));
    return row;
  }));
  view.tip.hidden = false;
  const { width, height } = view.tip.getBoundingClientRect();
  view.tip.style.left = `${Math.min(event.clientX + 16, window.innerWidth - width - 8)}px`;
  view.tip.style.top = `${Math.min(event.clientY + 16, window.innerHeight - height - 8)}px`;
}

function matrix(view, slide, holder) {
  const shadow = holder.attachShadow({ mode: "open" });
  const style = element("style", "", view.data.matrixCss + FIT);
  shadow.append(style, element("div", "matrix-view"));
  const bytes = Uint8Array.from(atob(slide.matrix), (c) => c.charCodeAt(0));
  drawMatrix({ data: bytes, parentElement: shadow, setStateValue: () => undefined });
}

const FIT = `
  .matrix-view { color: inherit; font-family: inherit; font-size: 1em; }
  .grid { grid-template-columns: repeat(var(--cols, 2), minmax(0, var(--fit, 300px))) !important; justify-content: center; gap: 0.6em 1em; }
  .title, .network .title, .brain .title { color: inherit; }
  figure { max-width: none; }
  .bars, .legend { justify-content: center; }
  .bar canvas { width: 9em; height: 0.6em; }
  .bars, .legend { gap: 0.2em 1em; margin-bottom: 0.4em; }
  .bar, .legend li { gap: 0.4em; }
  .legend i { width: 0.7em; height: 0.7em; }
  .stimulus canvas { width: 3.5em; height: 3.5em; }
  .stimulus small, .state { font-size: 0.9em; }
  .readout { gap: 0.75em; margin-top: 0.5em; padding: 0.3em 0; min-height: 4em; background: var(--hs-background); border-color: var(--hs-grid); }`;

// The matrices of a slide are as large as lets all of them stand in it.
function fitMatrices(view) {
  const slide = view.slides[view.at], holder = slide?.querySelector(".hs-figure");
  if (!holder?.shadowRoot || !view.data.slides[view.at].matrix) return;
  const n = Math.max(1, holder.shadowRoot.querySelectorAll("figure").length);
  const em = parseFloat(getComputedStyle(holder).fontSize);
  const taken = [...holder.shadowRoot.querySelectorAll(".bars, .legend")].reduce((sum, one) => sum + one.offsetHeight, 0);
  const room = holder.clientHeight - taken - 6.5 * em;
  let best = { cols: 1, fit: 0 };
  for (let cols = 1; cols <= n; cols++) {
    const rows = Math.ceil(n / cols);
    const fit = Math.min(holder.clientWidth / cols - em, room / rows - 2.4 * em);
    if (fit > best.fit) best = { cols, fit };
  }
  holder.style.setProperty("--cols", String(best.cols));
  holder.style.setProperty("--fit", `${Math.max(80, Math.floor(best.fit))}px`);
}
