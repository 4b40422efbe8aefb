"use strict";
// An episode as a conversation: what the policy and its world said, apart, turn by turn, and how it ended.

const TURN_TOP = 3000; // characters of a text that is cut: its beginning
const TURN_BOTTOM = 1000; // and its end
const MOST_TURNS = 60; // of policy and world, before those in the middle are left out

// What was said: the text of a single turn, or the turns of an episode. finish: how it ended.
function renderSaid(said, answer, coloured, finish) {
  if (!said.turns) return [renderText(said, answer, coloured)];
  const parts = said.turns.slice();
  const marked = answer
    ? parts.findLastIndex((turn) => turn.role === "policy" && turn.text.includes(answer))
    : -1;
  let number = 0;
  const numbers = parts.map((turn) => (turn.role === "policy" ? ++number : number));
  const render = (place) =>
    renderTurn(parts[place], numbers[place], place === marked ? answer : null, coloured);
  const box = make("div", { class: "turns" });
  const all = parts.map((_turn, place) => place);
  if (parts.length <= MOST_TURNS) {
    box.append(...all.map(render));
  } else {
    const half = MOST_TURNS / 2,
      left = parts.length - MOST_TURNS;
    box.append(
      ...all.slice(0, half).map(render),
      makeNote(`${left.toLocaleString("en")} turns left out`, "show all turns", () =>
        box.replaceChildren(...all.map(render)),
      ),
      ...all.slice(-half).map(render),
    );
  }
  return [box, ...renderEnd(said, finish)];
}

function renderTurn(turn, number, answer, coloured) {
  const voice = turn.voice ? ` (${shorten(turn.voice, 40)})` : "";
  const earned = Number.isFinite(turn.reward) ? `, earned ${Number(turn.reward.toPrecision(6))}` : "";
  const who = make("div", { class: "who" }, plain(`${turn.role}${voice}, turn ${number}${earned}`));
  const calls = (turn.calls || []).map(([name, given]) =>
    make(
      "div",
      { class: "call" },
      make("div", { class: "dim" }, plain(`calls ${shorten(name, 60)}`)),
      renderCut({ text: given }, null, false),
    ),
  );
  const kind = turn.role === "policy" ? "policy" : "world";
  return make("section", { class: `turn ${kind}` }, who, renderCut(turn, answer, coloured), ...calls);
}

// A text, of which the middle is left out where it is long; a button shows it whole.
function renderCut(said, answer, coloured) {
  const left = said.text.length - TURN_TOP - TURN_BOTTOM;
  if (left <= 0) return renderText(said, answer, coloured);
  const box = make("div");
  box.append(
    renderText({ text: said.text.slice(0, TURN_TOP) }, null, false),
    makeNote(`${left.toLocaleString("en")} characters left out`, "show all of it", () =>
      box.replaceChildren(renderText(said, answer, coloured)),
    ),
    renderText({ text: said.text.slice(-TURN_BOTTOM) }, null, false),
  );
  return box;
}

function makeNote(text, button, show) {
  return make(
    "p",
    { class: "note" },
    `${text} `,
    make("button", { type: "button", text: button, onclick: show }),
  );
}

function renderEnd(said, finish) {
  const known = HEAD.endings[finish];
  const end = make("p", { class: "ended" }, plain(`It ended (${shorten(finish, 60)})${known ? `: ${known}` : ""}.`));
  if (said.fault) end.append(" ", plain(shorten(said.fault, 1000)));
  if (!said.state) return [end];
  const state = make(
    "details",
    {},
    make("summary", { text: "state at the end" }),
    renderCut({ text: said.state }, null, false),
  );
  return [state, end];
}
