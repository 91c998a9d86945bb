// The page from top to bottom.

const CHARTS = [
  ["Learning", [
    { title: "Reward", metric: "reward" },
    { title: "Accuracy", metric: "accuracy", points: "eval/accuracy", isShare: true },
    { title: "Groups without signal", metric: "frac_reward_zero_std", isShare: true },
  ]],
  ["Policy", [
    { title: "KL to the reference", metric: "kl" },
    { title: "Entropy", metric: "entropy" },
    { title: "Gradient norm", metric: "grad_norm" },
    { title: "Learning rate", metric: "learning_rate" },
  ]],
  ["Completions", [
    { title: "Length in tokens", metric: "completions/mean_length" },
    { title: "Cut off", metric: "completions/clipped_ratio", isShare: true },
  ]],
  ["Seconds a step", [
    { title: "Whole step", metric: "step_time" },
    { title: "Rollouts", metric: "time/rollout_secs" },
    { title: "Rewards", metric: "time/reward_secs" },
    { title: "Update", metric: "time/update_secs" },
  ]],
];

function metricNames() {
  return [...new Set(data.runs.flatMap((run) => Object.keys(run.curves)))].sort();
}

function groupsOfCharts() {
  const parts = metricNames().filter((name) => /^rewards\/.*\/mean$/.test(name))
    .map((metric) => ({ title: metric.replace(/^rewards\/|\/mean$/g, ""), metric }));
  const [learning, ...others] = CHARTS;
  const groups = [learning, ["Rewards by name", parts], ...others];
  return groups.map(([name, specs]) => [name, specs.filter((spec) => hasData(spec.metric) || hasData(spec.points))]);
}

function curves() {
  const section = element("section", { id: "curves" }, element("h2", {}, "Curves"));
  const groups = groupsOfCharts().filter(([, specs]) => specs.length > 0);
  const shown = new Set(groups.flatMap(([, specs]) => specs.flatMap((spec) => [spec.metric, spec.points])));
  const others = metricNames().filter((name) => !shown.has(name));
  if (groups.length === 0 && others.length === 0) {
    section.append(element("p", { class: "soft" }, "No step has been logged yet."));
    return section;
  }
  section.append(bar());
  const gallery = (specs) => element("div", { class: "charts" }, ...specs.map(chart));
  for (const [name, specs] of groups) section.append(element("h3", {}, name), gallery(specs));
  if (others.length > 0) {
    const more = element("details", {}, element("summary", {}, `${counted(others.length, "more metric", "more metrics")}`));
    const open = () => {
      more.append(gallery(others.map((metric) => ({ title: metric, metric }))));
      redraw();
    };
    more.addEventListener("toggle", open, { once: true });
    section.append(more);
  }
  return section;
}

function redraw() {
  charts.forEach(draw);
}

function bar() {
  const amount = element("output", {}, "0");
  const slider = element("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: 0, id: "smoothing" });
  slider.addEventListener("input", () => {
    view.smoothing = Number(slider.value);
    amount.textContent = slider.value;
    redraw();
  });
  const outliers = element("input", { type: "checkbox" });
  outliers.addEventListener("change", () => { view.ignoresOutliers = outliers.checked; redraw(); });
  return element("div", { class: "bar" }, data.runs.length > 1 ? legend() : null,
    element("label", {}, "Smoothing", slider, amount), element("label", {}, outliers, "Ignore outliers"));
}

function legend() {
  const chip = (run, at) => {
    const node = element("button", { type: "button", class: "chip", "aria-pressed": "true" }, dot(at), run.name);
    node.addEventListener("click", () => {
      const isHidden = !view.hidden.delete(at) && view.hidden.add(at);
      node.setAttribute("aria-pressed", String(!isHidden));
      redraw();
    });
    return node;
  };
  return element("div", { class: "chips", role: "group", "aria-label": "Runs shown" }, ...data.runs.map(chip));
}

function summary() {
  const steps = (run) => run.max_steps === null ? String(run.steps) : `${run.steps} of ${run.max_steps}`;
  const number = (text) => element("span", { class: "number" }, text);
  const rows = data.runs.map((run, at) => [
    named(at), run.state, number(steps(run)),
    number(`${percent(run.accuracy_before)} → ${percent(run.accuracy_after)}`), number(rewardOf(run)),
  ]);
  const section = element("section", { id: "runs" },
    table(["Run", "State", "Steps", "Held-out accuracy", "Reward"], rows));
  const notes = data.runs.flatMap((run) => run.notes.map((note) => `${run.name}: ${note}.`));
  section.append(...notes.map((note) => element("p", { class: "soft" }, note)));
  for (const run of data.runs.filter((one) => one.report !== null)) {
    section.append(element("details", {}, element("summary", {}, `Closing report of ${run.name}`), element("pre", {}, run.report)));
  }
  return section;
}

// The mean of the first tenth of the curve and that of the last.
function rewardOf(run) {
  const values = run.curves.reward?.mean;
  if (!values) return "–";
  const tenth = Math.ceil(values.length / 10);
  const mean = (part) => numeral(part.reduce((sum, value) => sum + value, 0) / part.length);
  return `${mean(values.slice(0, tenth))} → ${mean(values.slice(-tenth))}`;
}

function findings() {
  const rows = data.runs.flatMap((run, at) => run.findings.map((found) => [
    ...(data.runs.length > 1 ? [named(at)] : []), found.step === null ? "–" : String(found.step), found.problem,
    found.key === null ? "–" : element("code", {}, found.value === null ? found.key : `${found.key}=${found.value}`),
    found.example === null ? "–" : element("div", { class: "text" }, found.example),
  ]));
  if (rows.length === 0) return null;
  const head = [...(data.runs.length > 1 ? ["Run"] : []), "Step", "Finding", "To change", "Example"];
  return element("section", { id: "findings" }, element("h2", {}, "Findings"), table(head, rows));
}

function configuration() {
  if (data.runs.length < 2) return null;
  const section = element("section", { id: "configuration" }, element("h2", {}, "Configuration differences"));
  const rows = data.differences.map(({ key, values }) =>
    [element("code", {}, key), ...values.map((value) => element("code", {}, value ?? "–"))]);
  const head = ["Key", ...data.runs.map((_, at) => named(at))];
  section.append(rows.length === 0 ? element("p", { class: "soft" }, "The runs have the same configuration.") : table(head, rows));
  return section;
}

function environment() {
  const runs = data.runs.filter((run) => run.environment.length > 0);
  if (runs.length === 0) return null;
  const section = element("section", { id: "environment" }, element("h2", {}, "Environment"));
  for (const run of runs) {
    const rows = run.environment.map(([name, value]) => [element("code", {}, name), element("code", {}, value)]);
    section.append(element("details", runs.length === 1 ? { open: "" } : {},
      element("summary", {}, `Manifest of ${run.name}`), table(["Name", "Value"], rows)));
  }
  return section;
}

const title = data.runs.length === 1 ? data.runs[0].name : counted(data.runs.length, "run", "runs");
document.title = `${title} – wgrpo report`;
const sections = [summary(), findings(), curves(), completions(), configuration(), environment()];
document.getElementById("page").replaceChildren(element("h1", {}, title),
  element("p", { class: "soft" }, `wgrpo ${data.version}`), ...sections.filter((section) => section !== null));
redraw();
addEventListener("scroll", hideHint, { passive: true });
