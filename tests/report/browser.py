#!/usr/bin/env python3
"""Opens a report of `wgrpo report` in headless Chromium and tries it.

    tests/report/browser.py REPORT [--screenshots FOLDER]

A copy of the page gets a script that uses it as a person would: it looks at the curves, filters, turns
pages, hides a run. Fails on any message to the console, any error, anything loaded, a curve without a
path, or a filter without effect. Needs `chromium` and nothing of Python's but its own library.
"""

import argparse
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Stands before the page's own script, so that nothing is missed.
LISTEN = """<script>
window.failures = [];
const fail = (text) => window.failures.push(String(text));
addEventListener("error", (event) => fail("error: " + event.message));
addEventListener("unhandledrejection", (event) => fail("rejection: " + event.reason));
addEventListener("securitypolicyviolation", (event) => fail("policy: " + event.violatedDirective));
for (const name of ["error", "warn", "log"]) console[name] = (...what) => fail("console: " + what.join(" "));
</script>"""

TRY = """<script>
setTimeout(async () => {
  const check = (holds, what) => { if (!holds) failures.push(what); };
  const pause = () => new Promise((done) => setTimeout(done, 100));
  const all = (query) => [...document.querySelectorAll(query)];
  const data = JSON.parse(document.getElementById("data").textContent);
  const seen = { curves: 0, rows: 0 };
  try {
    for (const more of all("#curves details")) more.open = true;
    await pause();
    const charts = all("figure.chart");
    const metrics = new Set(data.runs.flatMap((run) => Object.keys(run.curves)));
    check(metrics.size === 0 || charts.length > 0, "no chart");
    for (const chart of charts) {
      const paths = [...chart.querySelectorAll("path.curve")].map((path) => path.getAttribute("d"));
      const name = chart.dataset.metric;
      check(paths.length > 0, name + " has no curve");
      check(paths.every((d) => d.startsWith("M") && !/NaN|Infinity|undefined/.test(d)), name + " has a bad path");
      seen.curves += paths.length;
    }
    check(new Set(charts.map((chart) => chart.dataset.metric)).size >= metrics.size - 1, "a metric has no chart");

    const main = () => all("figure.chart path.main").map((path) => path.getAttribute("d")).join();
    const slider = document.getElementById("smoothing");
    if (slider && data.runs.some((run) => run.grids.some((grid) => grid.length > 10))) {
      const before = main();
      slider.value = 0.9;
      slider.dispatchEvent(new Event("input"));
      check(main() !== before, "smoothing changes no curve");
    }
    const chip = document.querySelector(".chip");
    if (chip) {
      const before = all("figure.chart path.main").length;
      chip.click();
      check(all("figure.chart path.main").length < before, "hiding a run hides no curve");
      chip.click();
      check(all("figure.chart path.main").length === before, "showing a run again does not");
    }
    const hint = document.getElementById("hint");
    const over = (node, kind) => {
      const box = node.getBoundingClientRect();
      const place = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true };
      node.dispatchEvent(new PointerEvent(kind, place));
    };
    if (charts.length > 0) {
      over(charts[0].querySelector("svg"), "pointermove");
      check(!hint.hidden && /step/.test(hint.textContent), "hovering shows no values");
    }

    const rows = () => all("table.completions tbody tr");
    const text = () => rows().map((row) => row.textContent).join("|");
    const form = document.getElementById("filter");
    if (form) {
      const count = () => Number(document.getElementById("count").textContent.replace(/,/g, "").match(/^[0-9]+/)[0]);
      const set = async (name, value) => {
        form.elements[name].value = value;
        form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
        await pause();
      };
      const clear = async () => { form.querySelector("button[type=reset]").click(); await pause(); };
      const [total, first] = [count(), text()];
      seen.rows = total;
      check(rows().length > 0 && rows().length <= 25, rows().length + " rows on a page");
      await set("text", "no completion says this \\u2603");
      check(rows().length === 0 && count() === 0, "the filter by text changes nothing");
      await clear();
      check(count() === total && text() === first, "clearing the filter does not bring all rows back");
      const steps = data.runs.flatMap((run) => run.samples.rows.map((row) => row.step));
      const step = steps[Math.floor(steps.length / 2)];
      await set("step-from", step);
      await set("step-to", step);
      check(count() === steps.filter((one) => one === step).length, "the filter by step is wrong");
      await clear();
      const rewards = data.runs.flatMap((run) => run.samples.rows.map((row) => row.reward));
      await set("reward-from", 0.7);
      check(count() === rewards.filter((one) => one !== null && one >= 0.7).length, "the filter by reward is wrong");
      await clear();
      const problem = data.runs.find((run) => run.samples.rows.length > 0).samples.rows[0].problem;
      await set("problem", problem);
      check(count() > 0 && rows().every((row) => row.textContent.includes(problem)), "the filter by problem is wrong");
      await clear();
      if (total > 25) {
        document.querySelectorAll(".pager button")[1].click();
        check(text() !== first && rows().length <= 25, "the next page shows the same");
      }
      const token = document.querySelector(".token[data-logp]:not([data-logp=''])");
      if (token) {
        over(token, "pointerover");
        check(/log-probability/.test(hint.textContent), "hovering over a token shows no number");
      }
    }
    check(all("main script, main img, main iframe, main b, main a").length === 0, "text of a run became an element");
    check(performance.getEntriesByType("resource").length === 0, "something was loaded");
    check(document.documentElement.scrollWidth <= innerWidth + 1, "the page is wider than the window");
  } catch (error) {
    failures.push("the trial ended: " + error.stack);
  }
  const told = document.createElement("pre");
  told.id = "trial";
  told.textContent = JSON.stringify({ ...seen, failures });
  document.body.append(told);
}, 300);
</script>"""

SCREENS = {
    "light-wide": (1280, 2400, 1),
    "dark-wide": (1280, 2400, 0),
    "light-narrow": (500, 3200, 1),
    "dark-narrow": (500, 3200, 0),
}


def chromium(*arguments):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.exit("chromium is not installed: apt-get install -y chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--enable-logging=stderr", f"--user-data-dir={profile}", "--virtual-time-budget=15000", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def console(ended):
    """What was written to the console, errors of loading among them."""
    return [line for line in ended.stderr.splitlines() if ":CONSOLE" in line]


def tried(page, width):
    """What the trial of a page says in a window so wide."""
    text = page.read_text(encoding="utf-8")
    text = text.replace("<title>", LISTEN + "<title>", 1).replace("</body>", TRY + "</body>", 1)
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "report.html")
        copy.write_text(text, encoding="utf-8")
        ended = chromium(f"--window-size={width},900", "--dump-dom", copy.as_uri())
    found = re.search(r'<pre id="trial">(.*?)</pre>', ended.stdout, re.DOTALL)
    if found is None:
        sys.exit("the page did not come to its end\n" + ended.stderr)
    told = json.loads(html.unescape(found[1]))
    told["failures"] += console(ended)
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="FOLDER")
    arguments = parser.parse_args()
    page = arguments.report.resolve()

    failures = [f"console: {line}" for line in console(chromium("--dump-dom", page.as_uri()))]
    for width in (1280, 500):
        told = tried(page, width)
        print(f"{width} wide: {told['curves']} curves, {told['rows']} completions")
        failures += told["failures"]
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
        for name, (width, height, scheme) in SCREENS.items():
            target = arguments.screenshots.resolve() / f"{name}.png"
            chromium(f"--window-size={width},{height}", f"--blink-settings=preferredColorScheme={scheme}",
                     f"--screenshot={target}", page.as_uri())
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
