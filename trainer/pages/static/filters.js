"use strict";
// Filters over the columns of the completions, and their order.

const FIELDS = [
  ["run", "Run", "choice"],
  ["set", "Of", "choice"],
  ["step", "Step", "text"],
  ["problem", "Problem", "text"],
  ["passed", "Passed", "choice"],
  ["criterion", "Criterion", "choice"],
  ["status", "Status", "choice"],
  ["finish", "Ended by", "choice"],
  ["rewardMin", "Reward from", "number"],
  ["rewardMax", "to", "number"],
  ["lengthMin", "Tokens from", "number"],
  ["lengthMax", "to", "number"],
  ["shadow", "Stricter rubric", "choice"],
  ["text", "Text", "search"],
];
const SORTS = { file: "as written", reward: "reward", tokens: "tokens", advantage: "advantage" };
let FILTERS = {};
let SORT = { name: "file", down: false };
let MATCHES = new Int32Array(0);
let ASKED = 0; // number of the newest search: an older answer that comes late is dropped

function choicesOf(name) {
  if (name === "run") return HEAD.runs.map((run, number) => [String(number), run.name]);
  if (name === "set")
    return [
      ["training", "training"],
      ["held-out", "held-out problems"],
    ];
  if (name === "passed")
    return [
      ["1", "passed"],
      ["0", "not passed"],
      ["abstained", "unscorable"],
    ];
  if (name === "criterion") return HEAD.criteria.map((each) => [each, each]);
  if (name === "shadow")
    return [
      ["disagrees", "disagrees"],
      ["agrees", "agrees"],
    ];
  return (TABLE.words[name] || []).map((each) => [each, each]);
}

function needed(name) {
  if (name === "run") return HEAD.runs.length > 1;
  if (name === "step") return HEAD.kind === "run";
  if (name === "set") return HEAD.kind === "run" && Boolean(column("held_out")) && column("held_out").includes(1);
  if (name === "criterion") return HEAD.criteria.length > 1;
  if (name === "shadow") return Boolean(column("shadow")) && column("shadow").some((value) => value !== null);
  return true;
}

function drawFilters() {
  const form = byId("filters");
  form.replaceChildren();
  for (const [name, label, kind] of FIELDS) {
    if (!needed(name)) continue;
    const change = {
      [kind === "choice" ? "onchange" : "oninput"]: (event) =>
        setFilters({ [name]: event.target.value }, true),
    };
    let field;
    if (kind === "choice") {
      field = make("select", { id: `f-${name}`, ...change }, make("option", { value: "", text: "any" }));
      for (const [value, text] of choicesOf(name)) field.append(make("option", { value }, plain(text)));
    } else {
      const wide = name === "text" || name === "problem";
      const hint = name === "problem" ? "17, or its id" : name === "step" ? "80 or 70-90" : "";
      field = make("input", {
        id: `f-${name}`,
        type: kind === "number" ? "number" : kind === "search" ? "search" : "text",
        step: "any",
        size: wide ? 14 : 6,
        placeholder: hint,
        autocomplete: "off",
        ...change,
      });
    }
    form.append(make("label", {}, label, field));
  }
  const sort = make("select", {
    id: "f-sort",
    onchange: (event) => {
      SORT = { name: event.target.value, down: SORT.down };
      filterRows();
    },
  });
  for (const [value, text] of Object.entries(SORTS))
    if (value === "file" || column(value)) sort.append(make("option", { value, text }));
  const down = make("button", {
    type: "button",
    text: "↑↓",
    title: "turn the order round",
    onclick: () => {
      SORT.down = !SORT.down;
      filterRows();
    },
  });
  const clear = make("button", {
    type: "button",
    text: "Clear",
    onclick: () => {
      FILTERS = {};
      showFilters();
      filterRows();
    },
  });
  form.append(make("label", {}, "Sort", sort), down, clear);
  form.addEventListener("submit", (event) => event.preventDefault());
  showFilters();
}

function showFilters() {
  for (const [name] of FIELDS) {
    const field = byId(`f-${name}`);
    if (field && field.value !== (FILTERS[name] || "")) field.value = FILTERS[name] || "";
  }
}

// values: some of the filters; typed: by the person, whose other filters stay.
function setFilters(values, typed = false) {
  FILTERS = typed ? { ...FILTERS, ...values } : { ...values };
  for (const [name, value] of Object.entries(FILTERS)) if (value === "") delete FILTERS[name];
  if (!typed) showFilters();
  rememberFilters();
  return filterRows();
}

function rememberFilters() {
  const text = new URLSearchParams(FILTERS).toString();
  history.replaceState(null, "", text ? `#?${text}` : "#");
}

function recallFilters() {
  if (location.hash.startsWith("#?"))
    FILTERS = Object.fromEntries(new URLSearchParams(location.hash.slice(2)));
}

// The codes of the problems that a text means: its id, the last number of its id, or a part of it.
function findProblems(text) {
  const ids = TABLE.words.problem || [],
    wanted = new Set();
  const put = (fits) =>
    ids.forEach((id, code) => {
      if (fits(id)) wanted.add(code);
    });
  put((id) => id === text);
  if (!wanted.size && /^\d+$/.test(text)) put((id) => id.split(/[^0-9A-Za-z]+/).pop() === text);
  if (!wanted.size) put((id) => id.toLowerCase().includes(text.toLowerCase()));
  return wanted;
}

function readSteps(text) {
  const found = /^\s*(\d+)\s*(?:[-–]\s*(\d+)\s*)?$/.exec(text);
  return found ? [Number(found[1]), Number(found[2] || found[1])] : [NaN, NaN];
}

// A test of row numbers for each filter that is set.
function makeTests(filters, texts) {
  const tests = [],
    of = (name) => column(name);
  const bound = (name, key, low) => {
    const value = Number(filters[key]),
      values = of(name);
    if (filters[key] !== undefined && values)
      tests.push(low ? (row) => values[row] >= value : (row) => values[row] <= value);
  };
  if (filters.run !== undefined) {
    const run = Number(filters.run),
      runs = of("run");
    tests.push((row) => runs[row] === run);
  }
  if (filters.set !== undefined) {
    const wanted = filters.set === "held-out" ? 1 : 0,
      values = of("held_out");
    tests.push((row) => values[row] === wanted);
  }
  if (filters.step !== undefined) {
    const [first, last] = readSteps(filters.step),
      steps = of("step");
    tests.push((row) => steps[row] >= first && steps[row] <= last);
  }
  if (filters.problem !== undefined) {
    const wanted = findProblems(filters.problem),
      codes = of("problem");
    tests.push((row) => wanted.has(codes[row]));
  }
  if (filters.passed === "abstained") {
    const values = of("abstained");
    tests.push((row) => values[row] === 1);
  } else if (filters.passed !== undefined) {
    const wanted = Number(filters.passed),
      values = of("passed"),
      out = of("abstained");
    tests.push((row) => values[row] === wanted && !out[row]);
  }
  if (filters.status !== undefined) {
    const code = (TABLE.words.status || []).indexOf(filters.status);
    const names = filters.criterion !== undefined ? [filters.criterion] : HEAD.criteria;
    const columns = names.map((name) => of(`status ${name}`)).filter(Boolean);
    tests.push((row) => columns.some((values) => values[row] === code));
  }
  if (filters.finish !== undefined) {
    const code = (TABLE.words.finish || []).indexOf(filters.finish),
      values = of("finish");
    tests.push((row) => values[row] === code);
  }
  bound("reward", "rewardMin", true);
  bound("reward", "rewardMax", false);
  bound("tokens", "lengthMin", true);
  bound("tokens", "lengthMax", false);
  if (filters.shadow !== undefined && of("shadow")) {
    const strict = of("shadow"),
      rewards = of("reward"),
      agrees = filters.shadow === "agrees";
    tests.push((row) => strict[row] !== null && Math.abs(strict[row] - rewards[row]) < 1e-3 === agrees);
  }
  if (texts) tests.push((row) => texts[row] === 1);
  return tests;
}

async function filterRows() {
  if (!TABLE) return;
  const turn = ++ASKED,
    began = performance.now();
  const texts = FILTERS.text ? await searchText(FILTERS.text) : null;
  if (turn !== ASKED) return;
  const tests = makeTests(FILTERS, texts),
    found = new Int32Array(TABLE.count);
  let count = 0;
  for (let row = 0; row < TABLE.count; row++) {
    let fits = true;
    for (let i = 0; fits && i < tests.length; i++) fits = tests[i](row);
    if (fits) found[count++] = row;
  }
  MATCHES = found.slice(0, count);
  sortRows();
  PAGE = 0;
  await drawList(turn);
  byId("count").dataset.milliseconds = String(Math.round(performance.now() - began));
}

function sortRows() {
  const values = column(SORT.name);
  if (values) {
    const key = (row) => (values[row] === null ? -Infinity : values[row]);
    MATCHES.sort((a, b) => key(a) - key(b) || a - b);
  }
  if (SORT.down) MATCHES.reverse();
}
