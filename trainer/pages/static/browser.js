"use strict";
// A page of the list of completions, and the group of the one that is chosen.

const PER_PAGE = 25;
let PAGE = 0;
let CHOSEN = -1;
let COLOURED = true;

function statusCell(row) {
  if (column("abstained")[row]) return make("span", { class: "status unsure", text: "unscorable" });
  const first = HEAD.criteria[0],
    code = first ? column(`status ${first}`)[row] : -1;
  const said = word("status", code) || (column("passed")[row] ? "passed" : "not passed");
  return make("span", { class: `status ${column("passed")[row] ? "good" : "bad"}`, text: said });
}

async function drawList(turn = ASKED) {
  const shown = MATCHES.slice(PAGE * PER_PAGE, (PAGE + 1) * PER_PAGE);
  const texts = await Promise.all([...shown].map(readRow));
  if (turn !== ASKED) return;
  const several = HEAD.runs.length > 1,
    steps = HEAD.kind === "run",
    credited = Boolean(column("advantage"));
  const names = [
    several && "Run",
    steps && "Step",
    "Problem",
    "Reward",
    "Verdict",
    "Tokens",
    credited && "Advantage",
    "Completion",
  ].filter(Boolean);
  const head = make(
    "thead",
    {},
    make(
      "tr",
      {},
      ...names.map((name) =>
        make("th", {
          scope: "col",
          class: ["Advantage", "Tokens"].includes(name) ? "optional" : "",
          text: name,
        }),
      ),
    ),
  );
  const body = make("tbody");
  shown.forEach((row, index) => {
    const line = make("tr", {
      tabindex: 0,
      class: row === CHOSEN ? "chosen" : "",
      "data-row": row,
      onclick: () => openRow(row),
      onkeydown: (event) => {
        if (event.key === "Enter") openRow(row);
      },
    });
    const number = (value, extra = "") => make("td", { class: `number ${extra}`, text: showNumber(value) });
    if (several) line.append(make("td", {}, plain(HEAD.runs[column("run")[row]].name)));
    if (steps) line.append(number(column("step")[row]));
    line.append(
      make("td", { class: "problem" }, plain(word("problem", column("problem")[row]))),
      number(column("reward")[row]),
      make("td", {}, statusCell(row)),
      number(column("tokens")[row], "optional"),
    );
    if (credited) line.append(number(column("advantage")[row], "optional"));
    line.append(make("td", { class: "snippet" }, plain(shorten(texts[index].text, 160))));
    body.append(line);
  });
  byId("list").replaceChildren(head, body);
  byId("count").textContent =
    `${MATCHES.length.toLocaleString("en")} of ${TABLE.count.toLocaleString("en")} completions${explainNothing()}`;
  drawPager();
}

// Why a look-up finds nothing, where it can be said.
function explainNothing() {
  const partial = HEAD.rows.held < HEAD.rows.total ? " (this file does not hold all steps, see above)" : "";
  if (MATCHES.length || FILTERS.problem === undefined) return MATCHES.length ? "" : partial;
  const wanted = findProblems(FILTERS.problem);
  if (!wanted.size) return `: no problem's id has “${FILTERS.problem}”`;
  const codes = column("problem"),
    steps = column("step"),
    seen = new Set();
  for (let row = 0; row < TABLE.count; row++) if (wanted.has(codes[row])) seen.add(steps[row]);
  const listed = [...seen].sort((a, b) => a - b);
  return FILTERS.step === undefined
    ? ""
    : `: that problem was drawn at step ${listed.slice(0, 12).join(", ")}${listed.length > 12 ? ", …" : ""}${partial}`;
}

function drawPager() {
  const pages = Math.max(1, Math.ceil(MATCHES.length / PER_PAGE));
  const go = (page) => () => {
    PAGE = Math.max(0, Math.min(pages - 1, page));
    drawList();
  };
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
  const [runs, steps, problems] = ["run", "step", "problem"].map(column),
    group = [];
  for (let other = 0; other < TABLE.count; other++) {
    if (
      problems[other] === problems[row] &&
      steps[other] === steps[row] &&
      (runs[other] === runs[row] || HEAD.kind !== "run")
    )
      group.push(other);
  }
  return group;
}

async function openRow(row) {
  CHOSEN = row;
  for (const line of byId("list").querySelectorAll("tbody tr"))
    line.classList.toggle("chosen", Number(line.dataset.row) === row);
  const group = listGroup(row),
    texts = await Promise.all(group.map(readRow));
  if (CHOSEN !== row) return;
  const first = texts[group.indexOf(row)],
    box = byId("detail");
  const where = [
    HEAD.kind === "run" ? `${column("held_out")[row] ? "held out, " : ""}step ${column("step")[row]}` : "",
    HEAD.runs.length > 1 ? HEAD.runs[column("run")[row]].name : "",
  ]
    .filter(Boolean)
    .join(", ");
  const colour = make("input", {
    type: "checkbox",
    onchange: (event) => {
      COLOURED = event.target.checked;
      openRow(row);
    },
  });
  colour.checked = COLOURED;
  box.replaceChildren(
    make(
      "div",
      { class: "bar" },
      make("h3", {}, plain(`${word("problem", column("problem")[row])}${where ? `, ${where}` : ""}`)),
      make("span", { class: "grow" }),
      make("label", {}, colour, "colour tokens by surprise"),
      make("button", { type: "button", text: "Close (Esc)", onclick: closeRow }),
    ),
    make(
      "dl",
      { class: "facts" },
      make("dt", { text: "prompt" }),
      make("dd", {}, make("div", { class: "text" }, plain(first.prompt)), ...drawRendered(texts)),
      make("dt", { text: "reference" }),
      make("dd", {}, plain(first.reference)),
    ),
    make(
      "div",
      { class: "group" },
      ...group.map((other, index) => drawCompletion(other, texts[index], other === row)),
    ),
  );
  box.hidden = false;
  const chosen = box.querySelector(".completion.chosen");
  if (chosen) chosen.scrollIntoView({ block: "nearest" });
}

// The prompt with its template and instruction, as the model read it; one completion of a group carries it.
function drawRendered(texts) {
  const rendered = texts.map((said) => said.rendered).find(Boolean);
  if (!rendered) return [];
  return [
    make(
      "details",
      { class: "rendered" },
      make("summary", { text: "as the model read it" }),
      make("div", { class: "text" }, plain(rendered)),
    ),
  ];
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
  if (column("advantage") && column("advantage")[row] !== null)
    put("advantage", showNumber(column("advantage")[row], 4));
  if (column("shadow") && column("shadow")[row] !== null) {
    const strict = column("shadow")[row],
      differs = Math.abs(strict - column("reward")[row]) > 1e-3;
    put(
      "stricter rubric",
      make("span", {
        class: differs ? "status bad" : "",
        text: `${showNumber(strict)}${differs ? ": disagrees" : ""}`,
      }),
    );
  }
  put("tokens", `${column("tokens")[row]}, ended by ${word("finish", column("finish")[row])}`);
  const answers = [];
  for (const name of HEAD.criteria) {
    const verdict = said.verdicts[name],
      status = word("status", column(`status ${name}`)[row]);
    if (!verdict || !status) continue;
    if (verdict.answer !== null) answers.push(verdict.answer);
    const good =
      status === "correct" ? "good" : status === "error" || status === "partial" ? "unsure" : "bad";
    put(
      name,
      make("span", { class: `status ${good}`, text: status }),
      ` ${showNumber(column(`value ${name}`)[row])}`,
      verdict.answer === null ? "" : " read: ",
      plain(verdict.answer === null ? "" : verdict.answer),
      verdict.reason ? make("div", {}, plain(verdict.reason)) : "",
    );
  }
  const box = make("article", { class: `completion ${chosen ? "chosen" : ""}`, "data-row": row });
  box.append(
    make(
      "div",
      { class: "bar" },
      statusCell(row),
      make("span", { class: "dim", text: `sample ${column("sample")[row]}` }),
    ),
  );
  if (said.gone) box.append(make("p", { class: "note", text: "Its line is no longer in the file." }));
  if (said.reasoning)
    box.append(
      make(
        "details",
        {},
        make("summary", { text: "reasoning" }),
        make("div", { class: "text" }, plain(said.reasoning)),
      ),
    );
  box.append(...renderSaid(said, answers[0], COLOURED, word("finish", column("finish")[row])), facts);
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
