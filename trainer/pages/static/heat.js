"use strict";
// Problems by step: how many of the completions of each visit passed.

const CELL = { height: 14, least: 4, most: 22 };

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
  const place = new Map(steps.map((step, index) => [step, index]));
  const room = Math.min(1240, document.documentElement.clientWidth - 60);
  const width = Math.max(CELL.least, Math.min(CELL.most, Math.floor(room / steps.length)));
  const canvas = make("canvas", { class: "heat", role: "img", tabindex: 0 });
  canvas.setAttribute(
    "aria-label",
    `${run.heat.length} problems by ${steps.length} steps; the form "Look up" above finds the same`,
  );
  canvas.width = width * steps.length;
  canvas.height = CELL.height * run.heat.length;
  const paint = canvas.getContext("2d"),
    low = themeColour("--heat-low").split(","),
    high = themeColour("--heat-high").split(",");
  paint.fillStyle = themeColour("--empty");
  paint.fillRect(0, 0, canvas.width, canvas.height);
  const cells = new Map();
  run.heat.forEach((item, line) => {
    for (const [step, passed, scored] of item.visits) {
      const share = scored ? passed / scored : 0;
      paint.fillStyle = scored
        ? `rgb(${low.map((value, i) => Math.round(+value + share * (+high[i] - +value))).join(",")})`
        : themeColour("--empty");
      paint.fillRect(place.get(step) * width, line * CELL.height, Math.max(1, width - 1), CELL.height - 1);
      cells.set(`${place.get(step)},${line}`, { item, step, passed, scored });
    }
  });
  const said = make("p", {
    class: "dim",
    role: "status",
    text: "Each row is a problem (or a level), each column a step; dark green: all passed. Point at a cell, click for its completions.",
  });
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return cells.get(
      `${Math.floor((event.clientX - box.left) / width)},${Math.floor((event.clientY - box.top) / CELL.height)}`,
    );
  };
  canvas.addEventListener("mousemove", (event) => {
    const cell = at(event);
    if (cell)
      said.replaceChildren(
        plain(`${cell.item.name}, step ${cell.step}: ${cell.passed} of ${cell.scored} passed`),
      );
  });
  canvas.addEventListener("click", (event) => {
    const cell = at(event);
    if (!cell) return;
    const level = cell.item.name.startsWith("level ");
    setFilters({ run: String(number), step: String(cell.step), problem: level ? "" : cell.item.name });
    byId("rollouts").scrollIntoView();
  });
  return make("div", {}, said, make("div", { class: "heat-scroll" }, canvas));
}
