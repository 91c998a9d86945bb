// Curves: one small chart a metric, with the runs over each other.

const view = { hidden: new Set(), smoothing: 0, ignoresOutliers: false };
const charts = [];
const MARGIN = { left: 54, right: 14, top: 12, bottom: 24 };

// `spec`: title, metric, points (a metric drawn as points), isShare.
function chart(spec) {
  const svg = shape("svg", { role: "img", "aria-label": `${spec.title} by step` });
  const caption = element("figcaption", {}, spec.title);
  const names = [spec.metric, hasData(spec.points) ? `○ ${spec.points}` : null].filter((name) => name && name !== spec.title);
  if (names.length > 0) caption.append(element("code", { title: names.join(", ") }, names.join(", ")));
  const drawn = { spec, svg, series: seriesOf(spec), scale: null };
  svg.addEventListener("pointermove", (event) => point(drawn, event));
  svg.addEventListener("pointerleave", () => { hideHint(); drawn.svg.querySelector(".cross")?.remove(); });
  charts.push(drawn);
  sizes.observe(svg);
  return element("figure", { class: "chart", "data-metric": spec.metric }, caption, svg);
}

const sizes = new ResizeObserver((changes) => {
  for (const change of changes) {
    const found = charts.find((drawn) => drawn.svg === change.target);
    if (found) draw(found);
  }
});

function seriesOf(spec) {
  return data.runs.flatMap((run, at) => [[spec.metric, false], [spec.points, true]].flatMap(([metric, isPoints]) => {
    const curve = metric === undefined ? undefined : run.curves[metric];
    return curve === undefined ? [] : [{ run: at, isPoints, steps: run.grids[curve.grid], ...curve }];
  }));
}

function hasData(metric) {
  return data.runs.some((run) => run.curves[metric] !== undefined);
}

// An exponential mean whose beginning is not drawn towards zero.
function smoothed(values, weight) {
  let sum = 0;
  let count = 0;
  return values.map((value) => {
    sum = weight * sum + (1 - weight) * value;
    count = weight * count + (1 - weight);
    return sum / count;
  });
}

function visible(drawn) {
  return drawn.series.filter((series) => !view.hidden.has(series.run));
}

function ranges(series) {
  // All charts have one axis, that of the runs, so that they can be read below each other.
  const last = Math.max(...series.map((one) => Math.max(data.runs[one.run].steps, one.steps[one.steps.length - 1])));
  let values = series.flatMap((one) => [...(one.low ?? one.mean), ...(one.high ?? [])]).sort((a, b) => a - b);
  if (view.ignoresOutliers && values.length > 20) {
    values = values.slice(Math.floor(values.length * 0.02), Math.ceil(values.length * 0.98));
  }
  let [low, high] = [values[0], values[values.length - 1]];
  // A curve that never moves still has a line to lie on.
  const room = high > low ? 0.06 * (high - low) : Math.abs(high) * 0.1 || 1;
  // Nothing that begins at zero is drawn below it.
  const bottom = low >= 0 && low - room < 0 ? 0 : low - room;
  return { steps: [0, last], values: [bottom, high + room] };
}

function ticks([low, high], most, isWhole) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  let width = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
  if (isWhole) width = Math.max(1, Math.ceil(width));
  if (!Number.isFinite(width) || width <= 0) return [low];
  const found = [];
  for (let at = Math.ceil(low / width); at * width <= high && found.length < 20; at += 1) found.push(at * width);
  return found;
}

function draw(drawn) {
  const { svg, spec } = drawn;
  const { width, height } = svg.getBoundingClientRect();
  svg.replaceChildren();
  drawn.scale = null;
  const series = visible(drawn);
  if (width === 0 || series.length === 0) return;
  const { steps, values } = ranges(series);
  const span = Math.max(1, steps[1] - steps[0]);
  const scale = {
    x: (step) => MARGIN.left + ((step - steps[0]) / span) * (width - MARGIN.left - MARGIN.right),
    y: (value) => height - MARGIN.bottom
      - ((value - values[0]) / (values[1] - values[0])) * (height - MARGIN.top - MARGIN.bottom),
    step: (x) => steps[0] + ((x - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * span,
    width, height,
  };
  drawn.scale = scale;
  axes(svg, scale, steps, values, spec);
  const inside = shape("svg", { x: MARGIN.left, y: MARGIN.top - 4, width: width - MARGIN.left,
    height: height - MARGIN.top - MARGIN.bottom + 8,
    viewBox: `${MARGIN.left} ${MARGIN.top - 4} ${width - MARGIN.left} ${height - MARGIN.top - MARGIN.bottom + 8}` });
  for (const one of series) inside.append(...lines(one, scale));
  svg.append(inside);
}

function axes(svg, scale, steps, values, spec) {
  const { width, height } = scale;
  for (const value of ticks(values, 5, false)) {
    const y = scale.y(value);
    svg.append(shape("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
      shape("text", { class: "tick", x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" },
        spec.isShare ? `${Number((100 * value).toPrecision(3))} %` : numeral(value)));
  }
  for (const step of ticks(steps, Math.max(2, Math.floor(width / 65)), true)) {
    // A number under the right edge stays inside the chart.
    const anchor = scale.x(step) > width - 30 ? "end" : "middle";
    const x = anchor === "end" ? width - 2 : scale.x(step);
    svg.append(shape("text", { class: "tick", x, y: height - 6, "text-anchor": anchor },
      step.toLocaleString("en")));
  }
}

function path(steps, values, scale) {
  return steps.map((step, at) => `${at === 0 ? "M" : "L"}${scale.x(step).toFixed(1)} ${scale.y(values[at]).toFixed(1)}`)
    .join("");
}

function lines(series, scale) {
  const { steps, mean, low, high, run, isPoints } = series;
  const line = (values, name) => colour(shape("path", { class: `curve ${name}`, d: path(steps, values, scale) }), run);
  if (isPoints) {
    const marks = steps.map((step, at) =>
      colour(shape("circle", { class: "point", r: 3, cx: scale.x(step), cy: scale.y(mean[at]) }), run));
    return [line(mean, "held"), ...marks];
  }
  const found = [];
  if (low) {
    const back = path([...steps].reverse(), [...low].reverse(), scale).replace("M", "L");
    found.push(colour(shape("path", { class: "band", d: `${path(steps, high, scale)}${back}Z` }), run));
  }
  if (view.smoothing > 0) found.push(line(mean, "raw"));
  found.push(line(smoothed(mean, view.smoothing), "main"));
  if (steps.length === 1) {
    found.push(colour(shape("circle", { class: "point", r: 3, cx: scale.x(steps[0]), cy: scale.y(mean[0]) }), run));
  }
  return found;
}

function nearest(steps, step) {
  let [from, to] = [0, steps.length - 1];
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (steps[middle] > step) to = middle; else from = middle;
  }
  return Math.abs(steps[from] - step) <= Math.abs(steps[to] - step) ? from : to;
}

function point(drawn, event) {
  const { svg, spec, scale } = drawn;
  if (scale === null) return;
  const box = svg.getBoundingClientRect();
  const step = scale.step(Math.min(scale.width - MARGIN.right, Math.max(MARGIN.left, event.clientX - box.left)));
  const text = spec.isShare ? percent : numeral;
  let at = null;
  const rows = visible(drawn).map((series) => {
    const place = nearest(series.steps, step);
    if (at === null || !series.isPoints) at = series.steps[place];
    const smooth = view.smoothing > 0 && !series.isPoints
      ? ` (smoothed ${text(smoothed(series.mean, view.smoothing)[place])})` : "";
    const span = series.low && series.high[place] > series.low[place]
      ? ` (${text(series.low[place])} to ${text(series.high[place])})` : "";
    const name = series.isPoints ? `held out, step ${series.steps[place]}`
      : data.runs.length > 1 ? data.runs[series.run].name : spec.title;
    return element("div", {}, element("span", {}, dot(series.run), name),
      element("span", {}, text(series.mean[place]) + span + smooth));
  });
  const x = scale.x(at);
  svg.querySelector(".cross")?.remove();
  svg.append(shape("line", { class: "cross", x1: x, x2: x, y1: MARGIN.top, y2: scale.height - MARGIN.bottom }));
  showHint(event.clientX, event.clientY, element("div", { class: "soft" }, `step ${at.toLocaleString("en")}`), ...rows);
}
