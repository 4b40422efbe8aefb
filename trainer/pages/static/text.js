"use strict";
// Elements are built, never parsed: what a model wrote becomes text nodes and nothing else.

// As verifiers/display.py has it: what acts, reorders or can't be seen, and marks piled on one letter.
const ACTING =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{10ffff}]|(?<=\p{M}{5})\p{M}/gu;

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.append(String(value));
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function byId(name) {
  return document.getElementById(name);
}

// A text with the characters that act, hide or reorder shown by their numbers.
function appendText(parent, text) {
  let place = 0;
  for (const found of text.matchAll(ACTING)) {
    if (found.index > place) parent.append(text.slice(place, found.index));
    const number = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parent.append(
      make("span", { class: "odd", title: "a character that is not shown as itself", text: `U+${number}` }),
    );
    place = found.index + found[0].length;
  }
  if (place < text.length) parent.append(text.slice(place));
  return parent;
}

function plain(text, options = {}) {
  return appendText(make("span", options), String(text));
}

function shorten(text, length) {
  const line = text.replace(/\s+/g, " ");
  return line.length > length ? `${line.slice(0, length)}…` : line;
}

// Where the answer that was read stands in the text: its last place, whole words before parts of words.
function findAnswer(text, answer) {
  if (!answer) return null;
  for (
    let place = text.lastIndexOf(answer);
    place >= 0;
    place = place ? text.lastIndexOf(answer, place - 1) : -1
  ) {
    const before = text[place - 1] || " ",
      after = text[place + answer.length] || " ";
    if (!/[\p{L}\p{N}]/u.test(before) && !/[\p{L}\p{N}]/u.test(after)) return [place, place + answer.length];
  }
  const place = text.lastIndexOf(answer);
  return place < 0 ? null : [place, place + answer.length];
}

// The text of a completion, its tokens coloured by how unlikely each was, its answer marked.
function renderText(row, answer, coloured) {
  const text = row.text,
    box = make("div", { class: "text" });
  const marked = findAnswer(text, answer);
  const spans = [];
  if (coloured && row.logprobs && row.lengths !== null) {
    let place = 0;
    row.logprobs.forEach((value, index) => {
      const length = row.lengths ? row.lengths[index] : 1;
      const end = Math.min(text.length, place + (length || 0));
      if (end > place) spans.push({ start: place, end, logprob: value / 100 });
      place = end;
    });
    if (place < text.length) spans.push({ start: place, end: text.length });
  } else {
    spans.push({ start: 0, end: text.length });
  }
  const mark = marked ? make("mark", { title: "the answer that was read" }) : null;
  for (const span of spans) {
    for (const [start, end, inside] of cutSpan(span, marked)) {
      const piece = appendText(make("span"), text.slice(start, end));
      if (span.logprob !== undefined) {
        piece.className = "token";
        piece.title = `${(100 * Math.exp(span.logprob)).toPrecision(3)} %, ${span.logprob} nats`;
        piece.style.setProperty("--amount", Math.min(0.85, -span.logprob / 4).toFixed(3));
      }
      if (inside && !mark.parentNode) box.append(mark);
      (inside ? mark : box).append(piece);
    }
  }
  return box;
}

function cutSpan(span, marked) {
  if (!marked) return [[span.start, span.end, false]];
  const [low, high] = marked;
  return [
    [span.start, Math.min(span.end, low), false],
    [Math.max(span.start, low), Math.min(span.end, high), true],
    [Math.max(span.start, high), span.end, false],
  ].filter(([start, end]) => end > start);
}

function showNumber(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? String(value) : Number(value.toPrecision(digits)).toString();
}
