// The blocks of a network, from top to bottom; nested blocks are <details>, so that the keyboard unfolds them.
// Names come from files: they enter the page through textContent and title only.

const views = new WeakMap();

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const view = views.get(root) ?? { open: null };
  views.set(root, view);
  view.send = (names) => setStateValue("unfolded", names);
  const text = JSON.stringify([data.nodes, data.given]);
  if (view.text === text) return undefined; // a rerun must not fold what somebody has just unfolded
  view.text = text;
  view.open = new Set(data.unfolded);
  const box = root.querySelector(".flow");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", data.label);
  box.replaceChildren(arrow(data.given), ...blocks(view, data.nodes, data.given));
  return undefined;
}

function made(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function arrow(shape) {
  const line = made("div", "arrow");
  line.append(made("span", "", "↓"), made("b", "", "B ×"), made("span", "", shape || "?"));
  return line;
}

// The shape of a block that does not take what the block before gives is told: it stands on a side branch.
function blocks(view, nodes, given) {
  const found = [];
  let before = given;
  for (const node of nodes) {
    const side = node.shape_in && before && node.shape_in !== before ? node.shape_in : "";
    const note = side && size(side) === size(before) ? ", the same values in another shape" : "";
    found.push(block(view, node, side, note), arrow(node.shape));
    before = node.shape;
  }
  return found;
}

function head(node, tag, side, note) {
  const line = made(tag, tag === "div" ? "box" : "");
  line.title = node.words;
  line.append(made("span", "name", node.label), made("span", "", node.kind));
  line.append(made("span", "count", node.parameters ? `${node.parameters.toLocaleString("en")} parameters` : ""));
  if (side) line.append(made("span", "side", `takes B × ${side}${note}`));
  return line;
}

const size = (shape) => shape.split(" × ").reduce((product, side) => product * Number(side), 1);

function block(view, node, side, note) {
  const fold = made("details");
  fold.append(head(node, "summary", side, note));
  const fill = () => {
    if (fold.childElementCount > 1) return;
    fold.append(made("p", "words", `${node.name}. ${node.words}`));
    if (!node.children.length) return;
    const inside = made("div", "inside");
    inside.append(...blocks(view, node.children, node.shape_in));
    fold.append(inside);
  };
  if (view.open.has(node.name)) { fill(); fold.open = true; }
  fold.addEventListener("toggle", () => {
    if (fold.open === view.open.has(node.name)) return;
    if (fold.open) { fill(); view.open.add(node.name); } else view.open.delete(node.name);
    view.send([...view.open]);
  });
  return fold;
}
