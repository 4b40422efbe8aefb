"use strict";
// Parts of the page that only some pages have, and its end.

// An evaluation's pass@k and maj@k, and how often each problem was solved.
function drawEvaluations() {
  const parent = byId("charts");
  parent.replaceChildren();
  for (const [title, read] of [
    ["pass@k", (run) => run.summary.pass_at],
    ["maj@k", (run) => (run.summary.breakdown || {}).majority],
  ]) {
    const curves = HEAD.runs
      .map((run, number) => {
        const found = Object.entries(read(run) || {})
          .map(([k, each]) => [Number(k), each])
          .sort((a, b) => a[0] - b[0]);
        const values = (end) => found.map(([, each]) => each[end]);
        return {
          label: run.name,
          x: found.map(([k]) => k),
          y: values("value"),
          low: values("low"),
          high: values("high"),
          colour: colour(number),
          points: true,
        };
      })
      .filter((curve) => curve.x.length);
    if (curves.length) drawChart(parent, title, curves, { axis: "k", unit: true, sync: false });
  }
  const spread = HEAD.runs
    .map((run, number) => ({ label: run.name, colour: colour(number), points: true, ...spreadOf(number) }))
    .filter((curve) => curve.x.length);
  if (spread.length)
    drawChart(parent, "Problems by the share of completions that passed", spread, {
      axis: "share that passed",
      zero: true,
      sync: false,
    });
}

function spreadOf(run) {
  const passed = new Map();
  for (let row = 0; TABLE && row < TABLE.count; row++) {
    if (column("run")[row] !== run || column("abstained")[row]) continue;
    const code = column("problem")[row],
      count = passed.get(code) || [0, 0];
    passed.set(code, [count[0] + column("passed")[row], count[1] + 1]);
  }
  const bins = new Array(11).fill(0);
  for (const [right, all] of passed.values()) bins[Math.round((10 * right) / all)] += 1;
  return passed.size ? { x: bins.map((_count, index) => index / 10), y: bins } : { x: [], y: [] };
}

function drawComparison() {
  const record = HEAD.comparison,
    part = byId("compared");
  if (!record.pairs) return;
  const rows = record.pairs.flatMap((pair) =>
    pair.estimates.map((each) => {
      const points = (value) => (100 * value).toFixed(1),
        found = each.difference;
      return make(
        "tr",
        {},
        ...[
          pair.first,
          pair.second,
          `pass@${each.k}`,
          `${points(each.rates.first)} %`,
          `${points(each.rates.second)} %`,
          `${points(found.value)} [${points(found.low)}, ${points(found.high)}]`,
          showNumber(each.p_value),
          showNumber(each.corrected ?? each.p_value),
          String(found.problems),
        ].map((text) => make("td", {}, plain(text))),
      );
    }),
  );
  const head = make(
    "thead",
    {},
    make(
      "tr",
      {},
      ...[
        "First",
        "Second",
        "Measure",
        "first",
        "second",
        "difference (points), 95 %",
        "p",
        "p, corrected",
        "problems",
      ].map((text) => make("th", { scope: "col", text })),
    ),
  );
  const flips = (record.flips || []).slice(0, 400).map((flip) => {
    const side = (name, row) =>
      make(
        "article",
        { class: "completion" },
        make(
          "div",
          { class: "bar" },
          make("h3", {}, plain(name)),
          make("span", {
            class: `status ${row.passed ? "good" : "bad"}`,
            text: row.status || (row.passed ? "passed" : "not passed"),
          }),
        ),
        ...renderSaid({ ...row, text: row.text || "" }, row.answer, false, row.finish_reason || ""),
        make("p", { class: "dim" }, plain(row.reason || "")),
      );
    return make(
      "details",
      {},
      make(
        "summary",
        {},
        make("span", {
          class: `status ${flip.gained ? "good" : "bad"}`,
          text: flip.gained ? "gained " : "lost ",
        }),
        plain(flip.problem),
      ),
      make("div", { class: "text" }, plain(flip.prompt)),
      make(
        "p",
        { class: "dim" },
        "reference: ",
        plain(typeof flip.reference === "string" ? flip.reference : JSON.stringify(flip.reference)),
      ),
      make("div", { class: "group" }, side(flip.first_name, flip.first), side(flip.second_name, flip.second)),
    );
  });
  part.hidden = false;
  part.replaceChildren(
    make("h2", { text: "Differences" }),
    make("div", { class: "scroll" }, make("table", {}, head, make("tbody", {}, ...rows))),
    make("h2", { text: `Problems that flipped (${(record.flips || []).length})` }),
    ...flips,
  );
}

// Completions of the first and the last step, of the same problem where one came back.
async function drawSamples() {
  if (HEAD.kind !== "run" || !TABLE || !TABLE.count) return;
  const parent = byId("pairs"),
    made = [];
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
  return make(
    "div",
    {},
    make("h3", {}, plain(title)),
    make("div", { class: "text" }, plain(said.prompt)),
    drawCompletion(row, said, false),
  );
}

function findEnds(run) {
  const runs = column("run"),
    steps = column("step"),
    codes = column("problem");
  const first = new Map(),
    last = new Map(); // the first row of the last step that drew a problem
  let low = Infinity,
    high = -Infinity;
  for (let row = 0; row < TABLE.count; row++) {
    if (runs[row] !== run) continue;
    low = Math.min(low, steps[row]);
    high = Math.max(high, steps[row]);
    if (!first.has(codes[row])) first.set(codes[row], row);
    const known = last.get(codes[row]);
    if (known === undefined || steps[row] !== steps[known]) last.set(codes[row], row);
  }
  if (low >= high) return null;
  const back = [...last]
    .filter(([code, row]) => steps[row] > steps[first.get(code)])
    .map(([code, row]) => [first.get(code), row]);
  if (back.length)
    return back.sort((a, b) => steps[b[1]] - steps[b[0]] - (steps[a[1]] - steps[a[0]])).slice(0, 3);
  const at = (step) => [...first.values()].filter((row) => steps[row] === step).slice(0, 3);
  const [old, now] = [at(low), at(high)];
  return old.map((row, index) => [row, now[index]]).filter(([, row]) => row !== undefined);
}

function drawSettings() {
  const part = byId("settings"),
    blocks = [part.querySelector("h2")];
  HEAD.runs.forEach((run) => {
    blocks.push(
      make("h3", {}, plain(run.name)),
      make("p", { class: "dim" }, plain(run.folder)),
      ...(run.repeat ? [make("pre", {}, plain(run.repeat))] : []),
    );
    for (const [title, values] of [
      ["Settings", run.settings],
      ["Facts: versions, machine, code", run.facts],
      ["Summary", run.summary],
    ]) {
      if (values && Object.keys(values).length)
        blocks.push(
          make(
            "details",
            {},
            make("summary", { text: title }),
            make("pre", {}, plain(JSON.stringify(values, null, 1))),
          ),
        );
    }
  });
  part.replaceChildren(...blocks);
}
