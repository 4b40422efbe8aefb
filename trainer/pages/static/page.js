"use strict";
// The page from top to bottom, its keys and its theme, and what a live run has written since.

const POLL_MS = 4000;
let AXIS = "step";
let EXTRA = "";

function drawAnswers() {
  const parent = byId("answers"), several = HEAD.runs.length > 1;
  parent.replaceChildren();
  if (HEAD.answers.length) parent.append(make("div", { class: "cards" }, ...HEAD.answers.map(drawCard)));
  HEAD.runs.forEach((run) => {
    if (several) parent.append(make("h2", {}, plain(run.name)));
    parent.append(make("div", { class: "cards" }, ...run.answers.map(drawCard)));
    if (run.damaged.length) {
      const more = run.damaged.length > 5 ? ` and ${run.damaged.length - 5} more` : "";
      parent.append(make("p", { class: "note", text: `Left out as damaged: ${run.damaged.slice(0, 5).join("; ")}${more}.` }));
    }
  });
}

function drawCard(answer) {
  const card = make("div", { class: `card ${answer.verdict}` }, make("h3", {}, plain(answer.question)), make("p", { class: "said" }, plain(answer.headline)));
  if (answer.details.length) card.append(make("ul", {}, ...answer.details.map((text) => make("li", {}, plain(text)))));
  return card;
}

function drawLookup() {
  if (!TABLE || !TABLE.count) return;
  const problem = make("input", { id: "look-problem", type: "text", size: 14, placeholder: "17, or its id", autocomplete: "off" });
  const step = HEAD.kind === "run" ? make("input", { id: "look-step", type: "text", size: 6, placeholder: "80", autocomplete: "off" }) : null;
  const form = make("form", { class: "controls" }, make("strong", { text: "Look up" }), make("label", {}, "problem", problem), step && make("label", {}, "at step", step), make("button", { type: "submit", text: "Show what it said" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await setFilters({ problem: problem.value.trim(), step: step ? step.value.trim() : "" });
    if (MATCHES.length) await openRow(MATCHES[0]);
    byId(MATCHES.length ? "detail" : "rollouts").scrollIntoView({ block: "start" });
  });
  byId("lookup").replaceChildren(form);
}

function drawCurveControls() {
  const axis = make("select", { id: "axis", onchange: (event) => { AXIS = event.target.value; drawCurves(AXIS, EXTRA); } });
  for (const [value, text] of Object.entries(AXES)) axis.append(make("option", { value, text }));
  const extra = make("select", { id: "extra", onchange: (event) => { EXTRA = event.target.value; drawCurves(AXIS, EXTRA); } }, make("option", { value: "", text: "none" }));
  const names = [...new Set(HEAD.runs.flatMap((run) => Object.keys(run.lines)))].sort();
  for (const name of names) extra.append(make("option", { value: name }, plain(name)));
  byId("curve-controls").replaceChildren(make("label", {}, "over", axis), make("label", {}, "another measure", extra), make("span", { class: "dim", text: "Drag over a chart to zoom, double-click to go back; click a name in a legend to hide its curve." }));
}

// An evaluation's pass@k and maj@k, and how often each problem was solved.
function drawEvaluations() {
  const parent = byId("charts");
  parent.replaceChildren();
  for (const [title, read] of [["pass@k", (run) => run.summary.pass_at], ["maj@k", (run) => (run.summary.breakdown || {}).majority]]) {
    const curves = HEAD.runs.map((run, number) => {
      const found = Object.entries(read(run) || {}).map(([k, each]) => [Number(k), each]).sort((a, b) => a[0] - b[0]);
      const values = (end) => found.map(([, each]) => each[end]);
      return { label: run.name, x: found.map(([k]) => k), y: values("value"), low: values("low"), high: values("high"), colour: colour(number), points: true };
    }).filter((curve) => curve.x.length);
    if (curves.length) drawChart(parent, title, curves, { axis: "k", unit: true, sync: false });
  }
  const spread = HEAD.runs.map((run, number) => ({ label: run.name, colour: colour(number), points: true, ...spreadOf(number) })).filter((curve) => curve.x.length);
  if (spread.length) drawChart(parent, "Problems by the share of completions that passed", spread, { axis: "share that passed", zero: true, sync: false });
}

function spreadOf(run) {
  const passed = new Map();
  for (let row = 0; TABLE && row < TABLE.count; row++) {
    if (column("run")[row] !== run || column("abstained")[row]) continue;
    const code = column("problem")[row], count = passed.get(code) || [0, 0];
    passed.set(code, [count[0] + column("passed")[row], count[1] + 1]);
  }
  const bins = new Array(11).fill(0);
  for (const [right, all] of passed.values()) bins[Math.round((10 * right) / all)] += 1;
  return passed.size ? { x: bins.map((_count, index) => index / 10), y: bins } : { x: [], y: [] };
}

function drawComparison() {
  const record = HEAD.comparison, part = byId("compared");
  if (!record.pairs) return;
  const rows = record.pairs.flatMap((pair) => pair.estimates.map((each) => {
    const points = (value) => (100 * value).toFixed(1), found = each.difference;
    return make("tr", {}, ...[pair.first, pair.second, `pass@${each.k}`, `${points(each.rates.first)} %`, `${points(each.rates.second)} %`, `${points(found.value)} [${points(found.low)}, ${points(found.high)}]`, showNumber(each.p_value), showNumber(each.corrected ?? each.p_value), String(found.problems)].map((text) => make("td", {}, plain(text))));
  }));
  const head = make("thead", {}, make("tr", {}, ...["First", "Second", "Measure", "first", "second", "difference (points), 95 %", "p", "p, corrected", "problems"].map((text) => make("th", { scope: "col", text }))));
  const flips = (record.flips || []).slice(0, 400).map((flip) => {
    const side = (name, row) => make("article", { class: "completion" }, make("div", { class: "bar" }, make("h3", {}, plain(name)), make("span", { class: `status ${row.passed ? "good" : "bad"}`, text: row.status || (row.passed ? "passed" : "not passed") })), renderText({ text: row.text || "" }, row.answer, false), make("p", { class: "dim" }, plain(row.reason || "")));
    return make("details", {}, make("summary", {}, make("span", { class: `status ${flip.gained ? "good" : "bad"}`, text: flip.gained ? "gained " : "lost " }), plain(flip.problem)), make("div", { class: "text" }, plain(flip.prompt)), make("p", { class: "dim" }, "reference: ", plain(typeof flip.reference === "string" ? flip.reference : JSON.stringify(flip.reference))), make("div", { class: "group" }, side(flip.first_name, flip.first), side(flip.second_name, flip.second)));
  });
  part.hidden = false;
  part.replaceChildren(make("h2", { text: "Differences" }), make("div", { class: "scroll" }, make("table", {}, head, make("tbody", {}, ...rows))), make("h2", { text: `Problems that flipped (${(record.flips || []).length})` }), ...flips);
}

// Completions of the first and the last step, of the same problem where one came back.
async function drawSamples() {
  if (HEAD.kind !== "run" || !TABLE || !TABLE.count) return;
  const parent = byId("pairs"), made = [];
  for (let run = 0; run < HEAD.runs.length; run++) {
    const ends = findEnds(run);
    if (!ends) continue;
    if (HEAD.runs.length > 1) made.push(make("h3", {}, plain(HEAD.runs[run].name)));
    for (const [before, after] of ends) {
      const [old, now] = await Promise.all([readRow(before), readRow(after)]);
      made.push(make("div", { class: "columns" }, drawSample(before, old), drawSample(after, now)));
    }
  }
  parent.replaceChildren(...made);
  byId("samples").hidden = !made.length;
}

function drawSample(row, said) {
  const title = `step ${column("step")[row]}: ${word("problem", column("problem")[row])}`;
  return make("div", {}, make("h3", {}, plain(title)), make("div", { class: "text" }, plain(said.prompt)), drawCompletion(row, said, false));
}

function findEnds(run) {
  const runs = column("run"), steps = column("step"), codes = column("problem");
  const first = new Map(), last = new Map(), groups = new Map();
  let low = Infinity, high = -Infinity;
  for (let row = 0; row < TABLE.count; row++) {
    if (runs[row] !== run) continue;
    low = Math.min(low, steps[row]);
    high = Math.max(high, steps[row]);
    if (!first.has(codes[row])) first.set(codes[row], row);
    if (!groups.has(`${codes[row]},${steps[row]}`)) { groups.set(`${codes[row]},${steps[row]}`, row); last.set(codes[row], row); }
  }
  if (low >= high) return null;
  const back = [...last].filter(([code, row]) => steps[row] > steps[first.get(code)]).map(([code, row]) => [first.get(code), row]);
  if (back.length) return back.sort((a, b) => steps[b[1]] - steps[b[0]] - (steps[a[1]] - steps[a[0]])).slice(0, 3);
  const at = (step) => [...first.values()].filter((row) => steps[row] === step).slice(0, 3);
  const [old, now] = [at(low), at(high)];
  return old.map((row, index) => [row, now[index]]).filter(([, row]) => row !== undefined);
}

function drawSettings() {
  const part = byId("settings"), blocks = [part.querySelector("h2")];
  HEAD.runs.forEach((run) => {
    blocks.push(make("h3", {}, plain(run.name)), make("p", { class: "dim" }, plain(run.folder)), make("pre", {}, plain(run.repeat)));
    for (const [title, values] of [["Settings", run.settings], ["Facts: versions, machine, code", run.facts], ["Summary", run.summary]]) {
      if (values && Object.keys(values).length) blocks.push(make("details", {}, make("summary", { text: title }), make("pre", {}, plain(JSON.stringify(values, null, 1)))));
    }
  });
  part.replaceChildren(...blocks);
}

function drawHead() {
  document.title = `${HEAD.title}: palaestra report`;
  byId("title").replaceChildren(plain(HEAD.title));
  byId("made").textContent = `palaestra ${HEAD.version}, made ${HEAD.made}`;
  const held = byId("held"), rows = HEAD.rows, notes = [];
  if (rows.held < rows.total) notes.push(`This file holds ${rows.held.toLocaleString("en")} of ${rows.total.toLocaleString("en")} completions, of steps evenly spread; the curves are of all. “palaestra report … --serve” shows every one.`);
  if (rows.mode === "file" && rows.with_tokens < rows.chunks) notes.push(`Log-probabilities of tokens are in this file for ${Math.round((100 * rows.with_tokens) / rows.chunks)} % of them, the last and the first; with --serve, for all.`);
  held.replaceChildren(...notes.map((text) => make("p", { text })));
  held.hidden = !notes.length;
}

function drawNav() {
  const links = [["answers", "At a glance"], ["compared", "Differences"], ["curves", "Curves"], ["problems", "Problems"], ["rollouts", "Completions"], ["samples", "Before and after"], ["settings", "Settings"]];
  const jump = (id) => (event) => { event.preventDefault(); byId(id).scrollIntoView(); };
  byId("nav").replaceChildren(...links.filter(([id]) => !byId(id).hidden).map(([id, text]) => make("a", { href: `#${id}`, text, onclick: jump(id) })));
}

function drawAll() {
  drawHead();
  drawAnswers();
  drawComparison();
  const curves = HEAD.kind === "run" ? HEAD.runs.some((run) => run.axes.step.length) : true;
  byId("curves").hidden = !curves;
  dropPlots();
  if (curves) HEAD.kind === "run" ? drawCurves(AXIS, EXTRA) : drawEvaluations();
  drawHeat();
  drawSettings();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("palaestra-theme", theme); } catch { /* a browser may keep nothing for a file */ }
}

function startTheme() {
  let theme = "";
  try { theme = localStorage.getItem("palaestra-theme") || ""; } catch { /* as above */ }
  setTheme(theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  byId("theme").addEventListener("click", turnTheme);
}

function turnTheme() {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  drawAll();
}

function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return closeRow();
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return undefined;
    const keys = {
      "/": () => { event.preventDefault(); byId("f-text").focus(); },
      j: () => moveChoice(1), k: () => moveChoice(-1), n: () => turnPage(1), p: () => turnPage(-1), t: turnTheme,
    };
    return keys[event.key] ? keys[event.key]() : undefined;
  });
}

async function followRun() {
  const pill = byId("live");
  pill.hidden = false;
  pill.textContent = "live";
  let seen = "";
  for (;;) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    try {
      const head = await ask("head"), now = JSON.stringify([head.rows.total, head.runs.map((run) => [run.axes.step.length, run.evaluations.length, run.answers])]);
      pill.textContent = "live";
      if (now === seen) continue;
      if (seen) {
        HEAD = head;
        CHUNKS.clear();
        await readColumns();
        const page = PAGE;
        drawAll();
        await filterRows();
        PAGE = page;
        await drawList();
      }
      seen = now;
    } catch {
      pill.textContent = "the server is gone";
    }
  }
}

async function start() {
  startTheme();
  readHead();
  drawHead();
  drawAnswers();
  await readColumns();
  drawAll();
  if (TABLE.count) {
    if (HEAD.kind === "run") drawCurveControls();
    recallFilters();
    drawFilters();
    drawLookup();
    await filterRows();
    await drawSamples();
  } else {
    byId("rollouts").hidden = true;
    if (HEAD.kind === "run") drawCurveControls();
  }
  drawNav();
  listenForKeys();
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(resizePlots, 100); });
  document.documentElement.dataset.ready = "1";
  if (HEAD.rows.mode === "live") followRun();
  else setTimeout(lowerTexts, 500);
}

start().catch((failure) => {
  byId("answers").prepend(make("p", { class: "note", role: "alert" }, `This page could not be drawn: ${failure.message}`));
  throw failure;
});
