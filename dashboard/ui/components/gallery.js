// A grid of thumbnails cut from one picture. Data: uint32 length of the header, the header (JSON), the picture.
// Names come from users: they enter the page through textContent and setAttribute only.

const views = new WeakMap();
const MARKS = { right: "✓ ", wrong: "✗ " };

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const bytes = asBytes(data);
  if (!bytes) return undefined;
  const view = views.get(root) ?? { root };
  views.set(root, view);
  view.send = (name) => setStateValue("chosen", name);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (view.digest !== header.digest) {
    view.digest = header.digest;
    if (view.url) URL.revokeObjectURL(view.url);
    view.url = URL.createObjectURL(new Blob([bytes.slice(4 + length)], { type: header.mime }));
    build(view, header);
  }
  mark(view, header.chosen);
  return () => {
    if (root.isConnected) return;
    URL.revokeObjectURL(view.url);
    views.delete(root);
  };
}

function asBytes(data) {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
}

function build(view, header) {
  const box = view.root.querySelector(".gallery");
  box.setAttribute("aria-label", header.label);
  view.buttons = header.tiles.map((tile, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "option");
    if (tile.state) button.classList.add(tile.state);
    const words = tile.state ? `${tile.caption}, ${tile.state}` : tile.caption;
    button.setAttribute("aria-label", `${tile.name}: ${words}`);
    button.title = `${tile.name}: ${words}`;
    const picture = document.createElement("i");
    const column = k % header.columns, row = Math.floor(k / header.columns);
    picture.style.backgroundImage = `url(${view.url})`;
    picture.style.backgroundPosition = `${-column * 64}px ${-row * 64}px`;
    picture.style.backgroundSize = `${header.columns * 64}px auto`;
    const caption = document.createElement("span");
    caption.textContent = (MARKS[tile.state] ?? "") + tile.caption;
    button.append(picture, caption);
    button.onclick = () => { mark(view, tile.name); view.send(tile.name); };
    button.onkeydown = (event) => move(view, event, k);
    button.dataset.name = tile.name;
    return button;
  });
  box.replaceChildren(...view.buttons);
}

// One stop of the Tab key for the whole grid; the arrows go on from there.
function mark(view, name) {
  const at = Math.max(0, view.buttons.findIndex((b) => b.dataset.name === name));
  view.buttons.forEach((button, k) => {
    button.setAttribute("aria-selected", String(button.dataset.name === name));
    button.tabIndex = k === at ? 0 : -1;
  });
}

function move(view, event, k) {
  const top = view.buttons[0].offsetTop;
  const wide = Math.max(1, view.buttons.filter((b) => b.offsetTop === top).length);
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide }[event.key];
  const to = event.key === "Home" ? 0 : event.key === "End" ? view.buttons.length - 1 : step ? k + step : null;
  if (to === null || !view.buttons[to]) return;
  event.preventDefault();
  view.buttons[k].tabIndex = -1;
  view.buttons[to].tabIndex = 0;
  view.buttons[to].focus();
}
