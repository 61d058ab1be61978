// The words of a text, coloured. Words come from users: they enter the page through textContent only.

const texts = new WeakMap();

export default function (component) {
  const { data, parentElement: root } = component;
  const text = JSON.stringify(data);
  if (texts.get(root) === text) return undefined;
  texts.set(root, text);
  const holder = root.querySelector(".words-view");
  holder.setAttribute("role", "group");
  holder.setAttribute("aria-label", data.label);
  const rows = data.rows.map((row) => made(row));
  rows.forEach((row) => row.items.forEach((item, k) => {
    item.onpointerenter = () => mark(rows, k);
    item.onpointerleave = () => mark(rows, -1);
    item.onfocus = () => mark(rows, k);
    item.onblur = () => mark(rows, -1);
    item.onkeydown = (event) => step(row.items, event, k);
  }));
  holder.replaceChildren(...rows.map((row) => row.box));
  return undefined;
}

function element(tag, className, text) {
  const found = document.createElement(tag);
  if (className) found.className = className;
  if (text !== undefined) found.textContent = text;
  return found;
}

function made(row) {
  const box = element("section", "row"), head = element("div", "head"), list = element("ul", "words");
  const value = element("span", "value");
  head.append(element("span", "title", row.title), value);
  list.setAttribute("aria-label", row.alt);
  const items = row.words.map((word, k) => {
    const item = element("li", "", word.word);
    item.style.background = word.background;
    item.style.color = word.ink;
    item.tabIndex = k === 0 ? 0 : -1;
    item.setAttribute("aria-label", `${word.word}: ${word.value}`);
    return item;
  });
  list.append(...items);
  box.append(head, list, element("p", "caption", row.caption));
  return { box, items, value, words: row.words };
}

// The same word is marked in all rows, and each row tells its value.
function mark(rows, k) {
  rows.forEach((row) => {
    row.items.forEach((item, j) => item.classList.toggle("same", j === k));
    row.value.textContent = row.words[k] ? `${row.words[k].word}: ${row.words[k].value}` : "";
  });
}

function step(items, event, k) {
  const to = { ArrowRight: k + 1, ArrowDown: k + 1, ArrowLeft: k - 1, ArrowUp: k - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to === undefined || !items[to]) return;
  event.preventDefault();
  items[k].tabIndex = -1;
  items[to].tabIndex = 0;
  items[to].focus();
}
