// The completions: filtered, ordered, and a page of them at a time.

const ROWS_A_PAGE = 25;
// The log-probability, in nats, from which a token has the full colour: about one in 150.
const FULL_DOUBT = -5;

const all = data.runs.flatMap((run, at) => run.samples.rows.map((row) => ({ ...row, run: at })));
for (const row of all) {
  row.completion ??= (row.texts ?? []).join("");
  row.found = [row.prompt, row.completion, row.answer ?? "", row.extracted ?? ""].join("\n").toLowerCase();
}
// Those for whom the key is not known come last, whichever way round.
const known = (key, of) => (a, b) => (key(a) === null) - (key(b) === null) || of(key(a), key(b));
const ORDERS = {
  "newest step first": (a, b) => b.step - a.step,
  "oldest step first": (a, b) => a.step - b.step,
  "highest reward first": known((row) => row.reward, (a, b) => b - a),
  "lowest reward first": known((row) => row.reward, (a, b) => a - b),
  "highest advantage first": known((row) => row.advantage, (a, b) => b - a),
  "lowest advantage first": known((row) => row.advantage, (a, b) => a - b),
};

function completions() {
  const left = data.runs.reduce((sum, run) => sum + run.samples.left_out, 0);
  const section = element("section", { id: "completions" }, element("h2", {}, "Completions"));
  if (all.length === 0) {
    section.append(element("p", { class: "soft" },
      left === 0 ? "No completion was logged (tracking.samples)." : "None fits on this page; samples.jsonl has them all."));
    return section;
  }
  if (left > 0) {
    section.append(element("p", { class: "soft", id: "left-out" },
      `The page holds the newest of ${counted(left + all.length, "logged completion", "logged completions")} and an even `
      + `spread of the older ones; ${left.toLocaleString("en")} are left out. samples.jsonl has them all.`));
  }
  const state = { page: 0, rows: all };
  const body = element("tbody");
  const parts = { count: element("span", { id: "count" }), pager: pagerOf(state, () => show()) };
  const show = () => {
    const first = state.page * ROWS_A_PAGE;
    body.replaceChildren(...state.rows.slice(first, first + ROWS_A_PAGE).map(rowOf));
    parts.count.textContent = state.rows.length === all.length
      ? counted(all.length, "completion", "completions")
      : `${state.rows.length.toLocaleString("en")} of ${counted(all.length, "completion", "completions")}`;
    parts.pager.update();
  };
  const form = filterForm((rows) => { state.rows = rows; state.page = 0; show(); });
  const names = columns().map(([name]) => element("th", { scope: "col" }, name));
  section.append(form,
    element("div", { class: "shown" }, parts.count, all.some((row) => row.logps) ? scaleOfColours() : null),
    element("div", { class: "scroll" }, element("table", { class: "completions" },
      element("thead", {}, element("tr", {}, ...names)), body)), parts.pager.node);
  form.dispatchEvent(new Event("input"));
  body.addEventListener("pointerover", hintOfToken);
  body.addEventListener("pointerdown", hintOfToken);
  body.addEventListener("pointerleave", hideHint);
  return section;
}

function scaleOfColours() {
  return element("span", { class: "scale" }, "tokens by log-probability: 0", element("i"), `−${-FULL_DOUBT} and less`);
}

function pagerOf(state, show) {
  const button = (text, by) => {
    const node = element("button", { type: "button" }, text);
    node.addEventListener("click", () => { state.page += by; show(); });
    return node;
  };
  const [before, after, where] = [button("← Previous", -1), button("Next →", 1), element("span", { class: "soft" })];
  const update = () => {
    const pages = Math.max(1, Math.ceil(state.rows.length / ROWS_A_PAGE));
    before.disabled = state.page === 0;
    after.disabled = state.page >= pages - 1;
    where.textContent = `page ${state.page + 1} of ${pages}`;
  };
  return { node: element("nav", { class: "pager", "aria-label": "Pages of completions" }, before, where, after), update };
}

function filterForm(take) {
  const input = (name, type, label) => element("input", { name, type, step: "any", "aria-label": label });
  const choice = (name, values) => element("select", { name }, ...values.map(([value, text]) =>
    element("option", { value }, text)));
  const span = (name, key) => element("label", {}, name, element("span", { class: "span" },
    input(`${key}-from`, "number", `${name} from`), "to", input(`${key}-to`, "number", `${name} to`)));
  const finishes = [...new Set(all.map((row) => row.finish))].sort();
  const form = element("form", { class: "filter", id: "filter" },
    element("label", {}, "Text", input("text", "search", "Text")),
    data.runs.length > 1 ? element("label", {}, "Run", choice("run", [["", "all"],
      ...data.runs.map((run, at) => [String(at), run.name])])) : null,
    span("Step", "step"), element("label", {}, "Problem", input("problem", "search", "Problem")), span("Reward", "reward"),
    element("label", {}, "Finish", choice("finish", [["", "all"], ...finishes.map((name) => [name, name || "–"])])),
    element("label", {}, "Order", choice("order", Object.keys(ORDERS).map((name) => [name, name]))),
    element("button", { type: "reset" }, "Clear"));
  form.elements.problem.style.width = "110px";
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => form.dispatchEvent(new Event("input"))));
  form.addEventListener("input", () => take(filtered(new FormData(form))));
  return form;
}

function filtered(form) {
  const text = form.get("text").toLowerCase();
  const problem = form.get("problem").toLowerCase();
  const [run, finish] = [form.get("run") ?? "", form.get("finish")];
  const within = (value, key) => {
    const [from, to] = [form.get(`${key}-from`), form.get(`${key}-to`)];
    return (from === "" || (value !== null && value >= Number(from))) && (to === "" || (value !== null && value <= Number(to)));
  };
  const rows = all.filter((row) => row.found.includes(text) && row.problem.toLowerCase().includes(problem)
    && (run === "" || row.run === Number(run)) && (finish === "" || row.finish === finish)
    && within(row.step, "step") && within(row.reward, "reward"));
  return rows.sort(ORDERS[form.get("order")]);
}

// Each column: its name, the class of its cells, and what is in one.
function columns() {
  const text = (content) => element("div", { class: "text" }, content ?? "–");
  const found = [
    ["Step", "number", (row) => row.step.toLocaleString("en")],
    ["Problem", "", (row) => row.problem],
    ["Prompt", "prompt", (row) => text(row.prompt)],
    ["Completion", "completion", completion],
    ["Expected", "answer", (row) => text(row.answer)],
    ["Extracted", "answer", (row) => text(row.extracted)],
    ["Rewards", "number", rewards],
    ["Total", "number", (row) => numeral(row.reward)],
    ["Advantage", "number", (row) => element("span", { class: row.advantage > 0 ? "good" : row.advantage < 0 ? "bad" : "" },
      signed(row.advantage))],
    ["Finish", "number", (row) => element("span", { title: counted(row.tokens, "token", "tokens") },
      row.finish === "length" ? `cut off at ${row.tokens}` : row.finish || "–")],
  ];
  const isUsed = ([name]) => name !== "Extracted" || all.some((row) => row.extracted !== undefined);
  const run = ["Run", "", (row) => named(row.run)];
  return [...(data.runs.length > 1 ? [run] : []), ...found.filter(isUsed)];
}

let shownColumns = null;

function rowOf(row) {
  shownColumns ??= columns();
  return element("tr", {}, ...shownColumns.map(([name, kind, of]) =>
    element("td", { class: kind, "data-name": name }, of(row))));
}

function rewards(row) {
  const parts = Object.entries(row.rewards);
  if (parts.length === 0) return "–";
  return element("dl", {}, ...parts.flatMap(([name, score]) =>
    [element("dt", {}, name), element("dd", {}, numeral(score))]));
}

function completion(row) {
  const node = element("div", { class: "text" });
  if (!row.logps) {
    node.textContent = row.completion === "" ? "–" : row.completion;
    return node;
  }
  row.texts.forEach((text, at) => {
    const logp = row.logps[at];
    const token = element("span", { class: "token", "data-logp": logp ?? "" }, text);
    token.style.setProperty("--doubt", logp === null ? 0 : (0.75 * Math.min(1, Math.max(0, logp / FULL_DOUBT))).toFixed(3));
    node.append(token);
  });
  if (row.texts.length < row.tokens - 1) node.append(element("span", { class: "soft" }, " …"));
  return node;
}

function hintOfToken(event) {
  const logp = event.target.closest(".token")?.dataset.logp;
  if (logp === undefined || logp === "") return hideHint();
  const chance = 100 * Math.exp(Number(logp));
  showHint(event.clientX, event.clientY,
    `log-probability ${numeral(Number(logp))}, ${chance >= 0.1 ? chance.toFixed(1) : chance.toExponential(0)} %`);
}
