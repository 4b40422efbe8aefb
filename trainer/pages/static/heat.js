"use strict";
// Problems by step: how many of the completions of each visit passed.

const CELL = { height: 14, least: 4, most: 22 };
const MOST_COLUMNS = 2000; // a browser draws nothing on a canvas beyond some 16,000 pixels

function drawHeat() {
  const parent = byId("heat");
  parent.replaceChildren();
  let any = false;
  HEAD.runs.forEach((run, number) => {
    if (!run.heat.length || run.kind === "eval") return;
    any = true;
    if (HEAD.runs.length > 1) parent.append(make("h3", { text: run.name }));
    parent.append(drawHeatOf(run, number));
  });
  byId("problems").hidden = !any;
  return any;
}

function drawHeatOf(run, number) {
  const steps = [...new Set(run.heat.flatMap((item) => item.visits.map((visit) => visit[0])))].sort(
    (a, b) => a - b,
  );
  const together = Math.ceil(steps.length / MOST_COLUMNS); // steps in a column
  const columns = Math.ceil(steps.length / together);
  const place = new Map(steps.map((step, index) => [step, Math.floor(index / together)]));
  const room = Math.min(1240, document.documentElement.clientWidth - 60);
  const width = Math.max(CELL.least, Math.min(CELL.most, Math.floor(room / columns)));
  const canvas = make("canvas", { class: "heat", role: "img", tabindex: 0 });
  canvas.setAttribute(
    "aria-label",
    `${run.heat.length} problems by ${steps.length} steps; the form "Look up" above finds the same`,
  );
  canvas.width = width * columns;
  canvas.height = CELL.height * run.heat.length;
  const paint = canvas.getContext("2d"),
    low = themeColour("--heat-low").split(","),
    high = themeColour("--heat-high").split(",");
  paint.fillStyle = themeColour("--empty");
  paint.fillRect(0, 0, canvas.width, canvas.height);
  const cells = new Map();
  run.heat.forEach((item, line) => {
    for (const [step, passed, scored] of item.visits) {
      const key = `${place.get(step)},${line}`;
      const cell = cells.get(key) || { item, line, step, last: step, passed: 0, scored: 0 };
      cell.step = Math.min(cell.step, step);
      cell.last = Math.max(cell.last, step);
      cell.passed += passed;
      cell.scored += scored;
      cells.set(key, cell);
    }
  });
  for (const { line, step, passed, scored } of cells.values()) {
    const share = scored ? passed / scored : 0;
    paint.fillStyle = scored
      ? `rgb(${low.map((value, i) => Math.round(+value + share * (+high[i] - +value))).join(",")})`
      : themeColour("--empty");
    paint.fillRect(place.get(step) * width, line * CELL.height, Math.max(1, width - 1), CELL.height - 1);
  }
  const wide = together > 1 ? `${together} steps` : "a step";
  const said = make("p", {
    class: "dim",
    role: "status",
    text: `Each row is a problem (or a level), each column ${wide}; dark green: all passed. Point at a cell, click for its completions.`,
  });
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return cells.get(
      `${Math.floor((event.clientX - box.left) / width)},${Math.floor((event.clientY - box.top) / CELL.height)}`,
    );
  };
  const span = (cell) => (cell.last > cell.step ? `${cell.step}-${cell.last}` : String(cell.step));
  canvas.addEventListener("mousemove", (event) => {
    const cell = at(event);
    if (cell)
      said.replaceChildren(
        plain(`${cell.item.name}, step ${span(cell)}: ${cell.passed} of ${cell.scored} passed`),
      );
  });
  canvas.addEventListener("click", (event) => {
    const cell = at(event);
    if (!cell) return;
    const level = cell.item.name.startsWith("level ");
    setFilters({ run: String(number), step: span(cell), problem: level ? "" : cell.item.name });
    byId("rollouts").scrollIntoView();
  });
  return make("div", {}, said, make("div", { class: "heat-scroll" }, canvas));
}
