// Elements, numbers as text, and the hint beside the pointer. Text of a run is only ever set as text.

const data = JSON.parse(document.getElementById("data").textContent);
const hint = document.getElementById("hint");

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const child of children) if (child !== null) node.append(child);
  return node;
}

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function colour(node, run) {
  node.style.setProperty("--run", `var(--run-${run % 8})`);
  return node;
}

function dot(run) {
  return colour(element("span", { class: "dot" }), run);
}

// A run by its colour and its name.
function named(run) {
  return element("span", { class: "name" }, dot(run), data.runs[run].name);
}

// A number as a person reads it: four digits, and powers of ten where it is tiny or huge.
function numeral(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0*e\+?/, "e");
  return String(Number(value.toPrecision(4)));
}

function percent(share) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;
}

function signed(value) {
  return value === null ? "–" : (value < 0 ? "−" : value > 0 ? "+" : "") + Math.abs(value).toFixed(3);
}

function counted(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function showHint(x, y, ...content) {
  hint.replaceChildren(...content);
  hint.hidden = false;
  const { width, height } = hint.getBoundingClientRect();
  const left = x + 16 + width > innerWidth ? x - width - 16 : x + 16;
  const top = y + 16 + height > innerHeight ? y - height - 12 : y + 16;
  hint.style.left = `${Math.max(4, left)}px`;
  hint.style.top = `${Math.max(4, top)}px`;
}

function hideHint() {
  hint.hidden = true;
}

function table(head, rows, name = "plain") {
  const cells = (tag, list) => element("tr", {}, ...list.map((cell) => element(tag, {}, cell)));
  return element("div", { class: "scroll" }, element("table", { class: name },
    element("thead", {}, cells("th", head)),
    element("tbody", {}, ...rows.map((row) => cells("td", row)))));
}
