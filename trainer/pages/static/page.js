"use strict";
// The page from top to bottom, its keys and its theme, and what a live run has written since.

const POLL_MS = 4000;
let AXIS = "step";
let EXTRA = "";

function drawAnswers() {
  const parent = byId("answers"),
    several = HEAD.runs.length > 1;
  parent.replaceChildren();
  if (HEAD.answers.length) parent.append(make("div", { class: "cards" }, ...HEAD.answers.map(drawCard)));
  HEAD.runs.forEach((run) => {
    if (several) parent.append(make("h2", {}, plain(run.name)));
    parent.append(make("div", { class: "cards" }, ...run.answers.map(drawCard)));
    if (run.damaged.length) {
      const more = run.damaged.length > 5 ? ` and ${run.damaged.length - 5} more` : "";
      parent.append(
        make("p", {
          class: "note",
          text: `Left out as damaged: ${run.damaged.slice(0, 5).join("; ")}${more}.`,
        }),
      );
    }
  });
}

function drawCard(answer) {
  const card = make(
    "div",
    { class: `card ${answer.verdict}` },
    make("h3", {}, plain(answer.question)),
    make("p", { class: "said" }, plain(answer.headline)),
  );
  if (answer.details.length)
    card.append(make("ul", {}, ...answer.details.map((text) => make("li", {}, plain(text)))));
  return card;
}

function drawLookup() {
  if (!TABLE || !TABLE.count) return;
  const problem = make("input", {
    id: "look-problem",
    type: "text",
    size: 14,
    placeholder: "17, or its id",
    autocomplete: "off",
  });
  const step =
    HEAD.kind === "run"
      ? make("input", { id: "look-step", type: "text", size: 6, placeholder: "80", autocomplete: "off" })
      : null;
  const form = make(
    "form",
    { class: "controls" },
    make("strong", { text: "Look up" }),
    make("label", {}, "problem", problem),
    step && make("label", {}, "at step", step),
    make("button", { type: "submit", text: "Show what it said" }),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await setFilters({ problem: problem.value.trim(), step: step ? step.value.trim() : "" });
    if (MATCHES.length) await openRow(MATCHES[0]);
    byId(MATCHES.length ? "detail" : "rollouts").scrollIntoView({ block: "start" });
  });
  byId("lookup").replaceChildren(form);
}

function drawCurveControls() {
  const axis = make("select", {
    id: "axis",
    onchange: (event) => {
      AXIS = event.target.value;
      drawCurves(AXIS, EXTRA);
    },
  });
  for (const [value, text] of Object.entries(AXES)) axis.append(make("option", { value, text }));
  const extra = make(
    "select",
    {
      id: "extra",
      onchange: (event) => {
        EXTRA = event.target.value;
        drawCurves(AXIS, EXTRA);
      },
    },
    make("option", { value: "", text: "none" }),
  );
  const names = [...new Set(HEAD.runs.flatMap((run) => Object.keys(run.lines)))].sort();
  for (const name of names) extra.append(make("option", { value: name }, plain(name)));
  byId("curve-controls").replaceChildren(
    make("label", {}, "over", axis),
    make("label", {}, "another measure", extra),
    make("span", {
      class: "dim",
      text: "Drag over a chart to zoom, double-click to go back; click a name in a legend to hide its curve.",
    }),
  );
}

function drawHead() {
  document.title = `${HEAD.title}: palaestra report`;
  byId("title").replaceChildren(plain(HEAD.title));
  byId("made").textContent = `palaestra ${HEAD.version}, made ${HEAD.made}`;
  const held = byId("held"),
    rows = HEAD.rows,
    notes = [];
  if (rows.held < rows.total)
    notes.push(
      `This file holds ${rows.held.toLocaleString("en")} of ${rows.total.toLocaleString("en")} completions, of steps evenly spread; the curves are of all. “palaestra report … --serve” shows every one.`,
    );
  if (rows.mode === "file" && rows.with_tokens < rows.chunks)
    notes.push(
      `Log-probabilities of tokens are in this file for ${Math.round((100 * rows.with_tokens) / rows.chunks)} % of them, the last and the first; with --serve, for all.`,
    );
  held.replaceChildren(...notes.map((text) => make("p", { text })));
  held.hidden = !notes.length;
}

function drawNav() {
  const links = [
    ["answers", "At a glance"],
    ["compared", "Differences"],
    ["curves", "Curves"],
    ["problems", "Problems"],
    ["rollouts", "Completions"],
    ["samples", "Before and after"],
    ["settings", "Settings"],
  ];
  const jump = (id) => (event) => {
    event.preventDefault();
    byId(id).scrollIntoView();
  };
  byId("nav").replaceChildren(
    ...links
      .filter(([id]) => !byId(id).hidden)
      .map(([id, text]) => make("a", { href: `#${id}`, text, onclick: jump(id) })),
  );
}

function drawAll() {
  drawHead();
  drawAnswers();
  drawComparison();
  const curves = HEAD.kind === "run" ? HEAD.runs.some((run) => run.axes.step.length) : HEAD.runs.length > 0;
  byId("curves").hidden = !curves;
  dropPlots();
  if (curves) HEAD.kind === "run" ? drawCurves(AXIS, EXTRA) : drawEvaluations();
  drawHeat();
  drawSettings();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("palaestra-theme", theme);
  } catch {
    /* a browser may keep nothing for a file */
  }
}

function startTheme() {
  let theme = "";
  try {
    theme = localStorage.getItem("palaestra-theme") || "";
  } catch {
    /* as above */
  }
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
    if (
      /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey
    )
      return undefined;
    const keys = {
      "/": () => {
        event.preventDefault();
        byId("f-text").focus();
      },
      j: () => moveChoice(1),
      k: () => moveChoice(-1),
      n: () => turnPage(1),
      p: () => turnPage(-1),
      t: turnTheme,
    };
    return keys[event.key] ? keys[event.key]() : undefined;
  });
}

// What a newer head is told apart by.
function describeState(head) {
  return JSON.stringify([
    head.rows.total,
    head.generation,
    head.runs.map((run) => [run.axes.step.length, run.evaluations.length, run.answers]),
  ]);
}

async function followRun() {
  const pill = byId("live");
  pill.hidden = false;
  pill.textContent = "live";
  for (;;) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    try {
      const head = await ask("head");
      pill.textContent = "live";
      if (describeState(head) !== describeState(HEAD)) await takeIn(head);
    } catch (failure) {
      pill.textContent = failure instanceof TypeError ? "the server is gone" : failure.message;
    }
  }
}

// Draw what is new; filters, page and what is open stay.
async function takeIn(head) {
  const page = PAGE,
    before = TABLE.count;
  HEAD = head;
  CHUNKS.clear();
  await readColumns();
  drawAll();
  if (!before) drawCompletions();
  await filterRows();
  PAGE = page;
  await drawList();
}

function drawCompletions() {
  byId("rollouts").hidden = !TABLE.count;
  if (HEAD.kind === "run") drawCurveControls();
  if (!TABLE.count) return;
  recallFilters();
  drawFilters();
  drawLookup();
}

async function start() {
  startTheme();
  readHead();
  drawHead();
  drawAnswers();
  await readColumns();
  drawAll();
  drawCompletions();
  if (TABLE.count) await filterRows();
  await drawSamples();
  drawNav();
  listenForKeys();
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(resizePlots, 100);
  });
  document.documentElement.dataset.ready = "1";
  if (HEAD.rows.mode === "live") followRun();
  else setTimeout(lowerTexts, 500);
}

start().catch((failure) => {
  byId("answers").prepend(
    make("p", { class: "note", role: "alert" }, `This page could not be drawn: ${failure.message}`),
  );
  throw failure;
});
