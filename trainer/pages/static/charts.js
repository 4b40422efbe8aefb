"use strict";
// Curves by uPlot: one chart for each measure, a colour for each run.

// What is drawn, in this order: title, names of the lines, how it is read.
const MEASURES = [
  [
    "Reward",
    ["reward"],
    { unit: true, help: "mean over the step's completions; the band is 95 % over its problems" },
  ],
  ["Pass-rate in training", ["pass_rate"], { unit: true, help: "the correctness criterion alone" }],
  [
    "Reward beside a stricter rubric's",
    ["shadow/reward", "shadow/shadow_reward"],
    { unit: true, help: "on the same completions; a growing gap is the sign of a gamed reward" },
  ],
  [
    "Length (tokens)",
    ["tokens", "tokens_ended"],
    { zero: true, help: "of all completions, and of those that ended by themselves" },
  ],
  ["Entropy (nats)", ["entropy"], { zero: true }],
  ["KL to the sampling policy (nats)", ["approx_kl"], {}],
  ["KL to the reference (nats)", ["kl_k3", "kl_per_completion", "kl"], {}],
  ["Clipped share of tokens", ["clip_low", "clip_high"], { zero: true }],
  [
    "Groups without a signal",
    ["dead_groups"],
    { unit: true, help: "all completions have one reward: nothing to learn from" },
  ],
  [
    "Cut, unread, unscorable",
    ["truncated", "extracted", "abstained"],
    { unit: true, help: "shares: cut at the limit; an answer was read; the verifier could not tell" },
  ],
  [
    "Log-probability, sampler against update (nats)",
    ["logprob_difference_mean", "logprob_difference_max"],
    { log: true },
  ],
  ["Gradient norm", ["grad_norm"], { zero: true }],
  ["Learning rate", ["learning_rate"], { zero: true }],
  ["Seconds of a step", ["seconds/sample", "seconds/update"], { zero: true }],
  ["Peak memory (MiB)", ["peak_memory_mib"], { zero: true }],
];
const AXES = { step: "steps", tokens: "million tokens", hours: "hours" };
const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];
let PLOTS = [];

function colour(number) {
  return getComputedStyle(document.documentElement)
    .getPropertyValue(`--series-${number % 8}`)
    .trim();
}

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function faint(hex, amount) {
  const [r, g, b] = [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${amount})`;
}

// curves: [{label, x, y, low, high, colour, dash, points}] of one chart; low and high may be missing.
function drawChart(parent, title, curves, options = {}) {
  const box = make("div", { class: "chart" }, make("h3", { text: title, title: options.help || title }));
  const place = make("div", { role: "img", "aria-label": describeCurves(title, curves) });
  box.append(place);
  parent.append(box);
  const tables = [],
    series = [{ label: options.axis || "steps" }],
    bands = [];
  for (const curve of curves) {
    const columns = [curve.x, curve.y];
    series.push({
      label: curve.label,
      stroke: curve.colour,
      width: 1.6,
      dash: curve.dash,
      spanGaps: true,
      points: { show: Boolean(curve.points), size: 6, fill: curve.colour },
      value: (_plot, value) => showNumber(value, 4),
    });
    if (curve.low) {
      columns.push(curve.high, curve.low);
      const hidden = { label: "", stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
      series.push({ ...hidden, class: "band" }, { ...hidden, class: "band" });
      bands.push({ series: [series.length - 2, series.length - 1], fill: faint(curve.colour, 0.18) });
    }
    tables.push(columns);
  }
  const data = tables.length > 1 ? uPlot.join(tables) : tables[0];
  const axis = {
    stroke: themeColour("--dim"),
    grid: { stroke: themeColour("--line"), width: 1 },
    ticks: { stroke: themeColour("--line"), width: 1 },
    font: "12px system-ui",
  };
  const plot = new uPlot(
    {
      width: Math.max(200, place.clientWidth),
      height: 210,
      series,
      bands,
      legend: { live: true },
      cursor: options.sync === false ? {} : { sync: { key: "x" } },
      scales: { x: { time: false }, y: scaleOf(options) },
      axes: [
        axis,
        {
          ...axis,
          size: 58,
          values: (_plot, values) => values.map((value) => (value === null ? "" : showNumber(value, 4))),
        },
      ],
    },
    data,
    place,
  );
  for (const [index, row] of [...place.querySelectorAll(".u-legend .u-series")].entries()) {
    if (series[index] && series[index].class === "band") row.classList.add("hidden-row");
  }
  PLOTS.push({ plot, place });
  return box;
}

function scaleOf(options) {
  if (options.log) return { distr: 3, log: 10 };
  if (options.unit) return { range: (_plot, low, high) => [Math.min(0, low ?? 0), Math.max(1, high ?? 1)] };
  if (options.zero) return { range: (_plot, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.05] };
  return {};
}

function describeCurves(title, curves) {
  const known = (values) => values.filter((value) => value !== null && value !== undefined);
  const parts = curves.map((curve) => {
    const values = known(curve.y);
    return `${curve.label} from ${showNumber(values[0])} to ${showNumber(values[values.length - 1])}`;
  });
  return `${title}: ${parts.join("; ")}`;
}

function lineOf(run, name, axis, label, tone, dash) {
  const values = run.lines[name];
  const known = values && values.some((value) => value !== null);
  if (!known) return null;
  const band = run.bands[name];
  return {
    label,
    x: run.axes[axis],
    y: values,
    low: band && band.low,
    high: band && band.high,
    colour: tone,
    dash,
  };
}

function curvesOf(names, axis) {
  const several = HEAD.runs.length > 1,
    curves = [];
  HEAD.runs.forEach((run, number) => {
    const known = names.filter((name) => run.lines[name] && run.lines[name].some((value) => value !== null));
    known.forEach((name, place) => {
      const label = [several ? run.name : "", known.length > 1 || !several ? name : ""]
        .filter(Boolean)
        .join(" · ");
      curves.push(
        lineOf(run, name, axis, label, colour(several ? number : place), several ? DASHES[place % 4] : []),
      );
    });
  });
  return curves.filter(Boolean);
}

function heldOutCurves(axis) {
  const several = HEAD.runs.length > 1,
    curves = [];
  HEAD.runs.forEach((run, number) => {
    const names = [...new Set(run.evaluations.flatMap((each) => Object.keys(each.values)))];
    const shown = names.filter((name) => name.endsWith("pass@1"));
    (shown.length ? shown : names.filter((name) => name.endsWith("reward"))).forEach((name, place) => {
      const found = run.evaluations.filter((each) => each.values[name]);
      const values = (end) => found.map((each) => each.values[name][end]);
      curves.push({
        label: several ? `${run.name} · ${name}` : name,
        x: found.map((each) => each.at[axis]),
        y: values(0),
        low: values(1),
        high: values(2),
        points: true,
        colour: colour(several ? number : place),
        dash: several ? DASHES[place % 4] : [],
      });
    });
  });
  return curves;
}

function drawCurves(axis, extra) {
  dropPlots();
  const parent = byId("charts"),
    options = { axis: AXES[axis] };
  parent.replaceChildren();
  const heldOut = heldOutCurves(axis);
  if (heldOut.length)
    drawChart(parent, "Held-out problems", heldOut, {
      ...options,
      unit: true,
      help: "95 % intervals over problems",
    });
  const criteria = [...new Set(HEAD.runs.flatMap((run) => Object.keys(run.lines)))]
    .filter((name) => /^criteria\/.*\/mean$/.test(name))
    .map((name) => [`Criterion ${name.split("/")[1]}`, [name], { unit: true }]);
  const shown = [...MEASURES.slice(0, 2), ...criteria, ...MEASURES.slice(2)];
  if (extra) shown.unshift([extra, [extra], {}]);
  for (const [title, names, how] of shown) {
    const curves = curvesOf(names, axis);
    if (curves.length) drawChart(parent, title, curves, { ...options, ...how });
  }
}

function dropPlots() {
  for (const { plot } of PLOTS) plot.destroy();
  PLOTS = [];
}

function resizePlots() {
  for (const { plot, place } of PLOTS) {
    if (place.clientWidth > 0 && plot.width !== place.clientWidth)
      plot.setSize({ width: place.clientWidth, height: 210 });
  }
}
