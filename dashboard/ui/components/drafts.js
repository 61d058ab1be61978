// A field of Streamlit tells what is in it when it is left. This tells it while somebody types: after a pause,
// and at the latest a few seconds after the first letter that was not told.

const PAUSE_MS = 1500, LONGEST_MS = 8000, LOOK_MS = 500;
const watched = new WeakMap();

export default function (component) {
  const { data, parentElement: root, setStateValue } = component;
  const known = watched.get(root) ?? { told: data.saved, seen: data.saved, since: 0, at: 0, timer: 0 };
  watched.set(root, known);
  known.tell = (text) => setStateValue("text", text);
  known.field = data.field;
  if (data.kept && data.kept === known.told && data.kept !== known.kept) {
    known.kept = data.kept;
    root.querySelector(".drafts").textContent = `Saved at ${new Date().toLocaleTimeString()}.`;
  }
  if (!known.timer) known.timer = setInterval(() => look(known), LOOK_MS);
  return () => {
    clearInterval(known.timer);
    known.timer = 0;
  };
}

function look(known) {
  const field = document.querySelector(`.st-key-${known.field} textarea`);
  if (!field) return;
  const now = performance.now(), text = field.value;
  if (text !== known.seen) {
    known.seen = text;
    known.at = now;
    known.since ||= now;
  }
  if (text === known.told) {
    known.since = 0;
    return;
  }
  const left = document.activeElement !== field;
  if (!left && now - known.at < PAUSE_MS && now - known.since < LONGEST_MS) return;
  known.told = text;
  known.since = 0;
  known.tell(text);
}
