"use strict";
// The completions: filters over the columns, a page of the list, and the group of the one that is chosen.

const PER_PAGE = 25;
const FIELDS = [
  ["run", "Run", "choice"], ["step", "Step", "text"], ["problem", "Problem", "text"], ["passed", "Passed", "choice"],
  ["criterion", "Criterion", "choice"], ["status", "Status", "choice"], ["finish", "Ended by", "choice"],
  ["rewardMin", "Reward from", "number"], ["rewardMax", "to", "number"],
  ["lengthMin", "Tokens from", "number"], ["lengthMax", "to", "number"],
  ["shadow", "Stricter rubric", "choice"], ["text", "Text", "search"],
];
const SORTS = { file: "as written", reward: "reward", tokens: "tokens", advantage: "advantage" };
let FILTERS = {};
let SORT = { name: "file", down: false };
let MATCHES = new Int32Array(0);
let PAGE = 0;
let CHOSEN = -1;
let ASKED = 0; // number of the newest search: an older answer that comes late is dropped
let COLOURED = true;

function choicesOf(name) {
  if (name === "run") return HEAD.runs.map((run, number) => [String(number), run.name]);
  if (name === "passed") return [["1", "passed"], ["0", "not passed"], ["abstained", "unscorable"]];
  if (name === "criterion") return HEAD.criteria.map((each) => [each, each]);
  if (name === "shadow") return [["disagrees", "disagrees"], ["agrees", "agrees"]];
  return (TABLE.words[name] || []).map((each) => [each, each]);
}

function needed(name) {
  if (name === "run") return HEAD.runs.length > 1;
  if (name === "step") return HEAD.kind === "run";
  if (name === "criterion") return HEAD.criteria.length > 1;
  if (name === "shadow") return Boolean(column("shadow")) && column("shadow").some((value) => value !== null);
  return true;
}

function drawFilters() {
  const form = byId("filters");
  form.replaceChildren();
  for (const [name, label, kind] of FIELDS) {
    if (!needed(name)) continue;
    const change = { [kind === "choice" ? "onchange" : "oninput"]: (event) => setFilters({ [name]: event.target.value }, true) };
    let field;
    if (kind === "choice") {
      field = make("select", { id: `f-${name}`, ...change }, make("option", { value: "", text: "any" }));
      for (const [value, text] of choicesOf(name)) field.append(make("option", { value }, plain(text)));
    } else {
      const wide = name === "text" || name === "problem";
      const hint = name === "problem" ? "17, or its id" : name === "step" ? "80 or 70-90" : "";
      field = make("input", { id: `f-${name}`, type: kind === "number" ? "number" : kind === "search" ? "search" : "text", step: "any", size: wide ? 14 : 6, placeholder: hint, autocomplete: "off", ...change });
    }
    form.append(make("label", {}, label, field));
  }
  const sort = make("select", { id: "f-sort", onchange: (event) => { SORT = { name: event.target.value, down: SORT.down }; filterRows(); } });
  for (const [value, text] of Object.entries(SORTS)) if (value === "file" || column(value)) sort.append(make("option", { value, text }));
  const down = make("button", { type: "button", text: "↑↓", title: "turn the order round", onclick: () => { SORT.down = !SORT.down; filterRows(); } });
  const clear = make("button", { type: "button", text: "Clear", onclick: () => { FILTERS = {}; showFilters(); filterRows(); } });
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
  if (location.hash.startsWith("#?")) FILTERS = Object.fromEntries(new URLSearchParams(location.hash.slice(2)));
}

// The codes of the problems that a text means: its id, the last number of its id, or a part of it.
function findProblems(text) {
  const ids = TABLE.words.problem || [], wanted = new Set();
  const put = (fits) => ids.forEach((id, code) => { if (fits(id)) wanted.add(code); });
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
  const tests = [], of = (name) => column(name);
  const bound = (name, key, low) => {
    const value = Number(filters[key]), values = of(name);
    if (filters[key] !== undefined && values) tests.push(low ? (row) => values[row] >= value : (row) => values[row] <= value);
  };
  if (filters.run !== undefined) { const run = Number(filters.run), runs = of("run"); tests.push((row) => runs[row] === run); }
  if (filters.step !== undefined) {
    const [first, last] = readSteps(filters.step), steps = of("step");
    tests.push((row) => steps[row] >= first && steps[row] <= last);
  }
  if (filters.problem !== undefined) { const wanted = findProblems(filters.problem), codes = of("problem"); tests.push((row) => wanted.has(codes[row])); }
  if (filters.passed === "abstained") { const values = of("abstained"); tests.push((row) => values[row] === 1); }
  else if (filters.passed !== undefined) { const wanted = Number(filters.passed), values = of("passed"), out = of("abstained"); tests.push((row) => values[row] === wanted && !out[row]); }
  if (filters.status !== undefined) {
    const code = (TABLE.words.status || []).indexOf(filters.status);
    const names = filters.criterion !== undefined ? [filters.criterion] : HEAD.criteria;
    const columns = names.map((name) => of(`status ${name}`)).filter(Boolean);
    tests.push((row) => columns.some((values) => values[row] === code));
  }
  if (filters.finish !== undefined) { const code = (TABLE.words.finish || []).indexOf(filters.finish), values = of("finish"); tests.push((row) => values[row] === code); }
  bound("reward", "rewardMin", true);
  bound("reward", "rewardMax", false);
  bound("tokens", "lengthMin", true);
  bound("tokens", "lengthMax", false);
  if (filters.shadow !== undefined && of("shadow")) {
    const strict = of("shadow"), rewards = of("reward"), agrees = filters.shadow === "agrees";
    tests.push((row) => strict[row] !== null && (Math.abs(strict[row] - rewards[row]) < 1e-3) === agrees);
  }
  if (texts) tests.push((row) => texts[row] === 1);
  return tests;
}

async function filterRows() {
  if (!TABLE) return;
  const turn = ++ASKED, began = performance.now();
  const texts = FILTERS.text ? await searchText(FILTERS.text) : null;
  if (turn !== ASKED) return;
  const tests = makeTests(FILTERS, texts), found = new Int32Array(TABLE.count);
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

function statusCell(row) {
  if (column("abstained")[row]) return make("span", { class: "status unsure", text: "unscorable" });
  const first = HEAD.criteria[0], code = first ? column(`status ${first}`)[row] : -1;
  const said = word("status", code) || (column("passed")[row] ? "passed" : "not passed");
  return make("span", { class: `status ${column("passed")[row] ? "good" : "bad"}`, text: said });
}

async function drawList(turn = ASKED) {
  const shown = MATCHES.slice(PAGE * PER_PAGE, (PAGE + 1) * PER_PAGE);
  const texts = await Promise.all([...shown].map(readRow));
  if (turn !== ASKED) return;
  const several = HEAD.runs.length > 1, steps = HEAD.kind === "run", credited = Boolean(column("advantage"));
  const names = [several && "Run", steps && "Step", "Problem", "Reward", "Verdict", "Tokens", credited && "Advantage", "Completion"].filter(Boolean);
  const head = make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col", class: ["Advantage", "Tokens"].includes(name) ? "optional" : "", text: name }))));
  const body = make("tbody");
  shown.forEach((row, index) => {
    const line = make("tr", { tabindex: 0, class: row === CHOSEN ? "chosen" : "", "data-row": row, onclick: () => openRow(row), onkeydown: (event) => { if (event.key === "Enter") openRow(row); } });
    const number = (value, extra = "") => make("td", { class: `number ${extra}`, text: showNumber(value) });
    if (several) line.append(make("td", {}, plain(HEAD.runs[column("run")[row]].name)));
    if (steps) line.append(number(column("step")[row]));
    line.append(make("td", { class: "problem" }, plain(word("problem", column("problem")[row]))), number(column("reward")[row]), make("td", {}, statusCell(row)), number(column("tokens")[row], "optional"));
    if (credited) line.append(number(column("advantage")[row], "optional"));
    line.append(make("td", { class: "snippet" }, plain(shorten(texts[index].text, 160))));
    body.append(line);
  });
  byId("list").replaceChildren(head, body);
  byId("count").textContent = `${MATCHES.length.toLocaleString("en")} of ${TABLE.count.toLocaleString("en")} completions${explainNothing()}`;
  drawPager();
}

// Why a look-up finds nothing, where it can be said.
function explainNothing() {
  const partial = HEAD.rows.held < HEAD.rows.total ? " (this file does not hold all steps, see above)" : "";
  if (MATCHES.length || FILTERS.problem === undefined) return MATCHES.length ? "" : partial;
  const wanted = findProblems(FILTERS.problem);
  if (!wanted.size) return `: no problem's id has “${FILTERS.problem}”`;
  const codes = column("problem"), steps = column("step"), seen = new Set();
  for (let row = 0; row < TABLE.count; row++) if (wanted.has(codes[row])) seen.add(steps[row]);
  const listed = [...seen].sort((a, b) => a - b);
  return FILTERS.step === undefined ? "" : `: that problem was drawn at step ${listed.slice(0, 12).join(", ")}${listed.length > 12 ? ", …" : ""}${partial}`;
}

function drawPager() {
  const pages = Math.max(1, Math.ceil(MATCHES.length / PER_PAGE));
  const go = (page) => () => { PAGE = Math.max(0, Math.min(pages - 1, page)); drawList(); };
  byId("pager").replaceChildren(
    make("button", { type: "button", text: "‹ previous", disabled: PAGE === 0, onclick: go(PAGE - 1) }),
    make("span", { class: "dim", text: `page ${PAGE + 1} of ${pages.toLocaleString("en")}` }),
    make("button", { type: "button", text: "next ›", disabled: PAGE >= pages - 1, onclick: go(PAGE + 1) }),
  );
}

function turnPage(by) {
  const button = byId("pager").querySelectorAll("button")[by < 0 ? 0 : 1];
  if (button && !button.disabled) button.click();
}

// The completions of the same problem at the same step of the same run; of an evaluation, of every run.
function listGroup(row) {
  const [runs, steps, problems] = ["run", "step", "problem"].map(column), group = [];
  for (let other = 0; other < TABLE.count; other++) {
    if (problems[other] === problems[row] && steps[other] === steps[row] && (runs[other] === runs[row] || HEAD.kind !== "run")) group.push(other);
  }
  return group;
}

async function openRow(row) {
  CHOSEN = row;
  for (const line of byId("list").querySelectorAll("tbody tr")) line.classList.toggle("chosen", Number(line.dataset.row) === row);
  const group = listGroup(row), texts = await Promise.all(group.map(readRow));
  if (CHOSEN !== row) return;
  const first = texts[group.indexOf(row)], box = byId("detail");
  const where = [HEAD.kind === "run" ? `step ${column("step")[row]}` : "", HEAD.runs.length > 1 ? HEAD.runs[column("run")[row]].name : ""].filter(Boolean).join(", ");
  const colour = make("input", { type: "checkbox", onchange: (event) => { COLOURED = event.target.checked; openRow(row); } });
  colour.checked = COLOURED;
  box.replaceChildren(
    make("div", { class: "bar" }, make("h3", {}, plain(`${word("problem", column("problem")[row])}${where ? `, ${where}` : ""}`)), make("span", { class: "grow" }),
      make("label", {}, colour, "colour tokens by surprise"), make("button", { type: "button", text: "Close (Esc)", onclick: closeRow })),
    make("dl", { class: "facts" }, make("dt", { text: "prompt" }), make("dd", {}, make("div", { class: "text" }, plain(first.prompt))), make("dt", { text: "reference" }), make("dd", {}, plain(first.reference))),
    make("div", { class: "group" }, ...group.map((other, index) => drawCompletion(other, texts[index], other === row))),
  );
  box.hidden = false;
  const chosen = box.querySelector(".completion.chosen");
  if (chosen) chosen.scrollIntoView({ block: "nearest" });
}

function closeRow() {
  CHOSEN = -1;
  byId("detail").hidden = true;
  for (const line of byId("list").querySelectorAll("tr.chosen")) line.classList.remove("chosen");
}

function drawCompletion(row, said, chosen) {
  const facts = make("dl", { class: "facts" });
  const put = (name, ...values) => facts.append(make("dt", { text: name }), make("dd", {}, ...values));
  put("reward", showNumber(column("reward")[row], 4));
  if (column("advantage") && column("advantage")[row] !== null) put("advantage", showNumber(column("advantage")[row], 4));
  if (column("shadow") && column("shadow")[row] !== null) {
    const strict = column("shadow")[row], differs = Math.abs(strict - column("reward")[row]) > 1e-3;
    put("stricter rubric", make("span", { class: differs ? "status bad" : "", text: `${showNumber(strict)}${differs ? ": disagrees" : ""}` }));
  }
  put("tokens", `${column("tokens")[row]}, ended by ${word("finish", column("finish")[row])}`);
  const answers = [];
  for (const name of HEAD.criteria) {
    const verdict = said.verdicts[name], status = word("status", column(`status ${name}`)[row]);
    if (!verdict || !status) continue;
    if (verdict.answer !== null) answers.push(verdict.answer);
    const good = status === "correct" ? "good" : status === "error" || status === "partial" ? "unsure" : "bad";
    put(name, make("span", { class: `status ${good}`, text: status }), ` ${showNumber(column(`value ${name}`)[row])}`,
      verdict.answer === null ? "" : " read: ", plain(verdict.answer === null ? "" : verdict.answer), verdict.reason ? make("div", {}, plain(verdict.reason)) : "");
  }
  const box = make("article", { class: `completion ${chosen ? "chosen" : ""}`, "data-row": row });
  box.append(make("div", { class: "bar" }, statusCell(row), make("span", { class: "dim", text: `sample ${column("sample")[row]}` })));
  if (said.gone) box.append(make("p", { class: "note", text: "Its line is no longer in the file." }));
  if (said.reasoning) box.append(make("details", {}, make("summary", { text: "reasoning" }), make("div", { class: "text" }, plain(said.reasoning))));
  box.append(renderText(said, answers[0], COLOURED), facts);
  return box;
}

function moveChoice(by) {
  const lines = [...byId("list").querySelectorAll("tbody tr")];
  if (!lines.length) return;
  const now = lines.findIndex((line) => Number(line.dataset.row) === CHOSEN);
  const next = lines[Math.max(0, Math.min(lines.length - 1, now + by))];
  next.focus();
  openRow(Number(next.dataset.row));
}
