"use strict";
// Where completions come from: blocks in this file, or the server that it came from.

let HEAD = null;
let TABLE = null; // {count, chunk, columns, words}
const CHUNKS = new Map();
const KEPT_CHUNKS = 400;
let LOWERED = null; // the texts in lower case, for the search

function serverMode() {
  return HEAD.rows.mode !== "file";
}

async function unpack(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
}

function readHead() {
  HEAD = JSON.parse(byId("head").textContent);
}

async function readColumns() {
  TABLE = serverMode() ? await ask("columns") : await unpack(byId("columns").textContent);
}

// Texts and verdicts of a row, with the shared texts put in their places.
async function readRow(row) {
  const number = Math.floor(row / TABLE.chunk);
  const chunk = await readChunk(number);
  const values = chunk.rows[row % TABLE.chunk];
  if (!values) return { text: "", gone: true, verdicts: {} };
  const said = (code) => (code === null || code === undefined ? null : chunk.shared[code]);
  const verdicts = {};
  for (const [name, [answer, reason]] of Object.entries(values.verdicts || {})) {
    verdicts[name] = { answer: said(answer), reason: said(reason) };
  }
  const prompt = said(values.prompt) || "",
    reference = said(values.reference) || "",
    rendered = said(values.rendered) || "";
  return { ...values, prompt, reference, rendered, verdicts };
}

function readChunk(number) {
  let found = CHUNKS.get(number);
  if (!found) {
    found = serverMode() ? ask(`chunk/${number}`) : unpack(byId(`chunk-${number}`).textContent);
    CHUNKS.set(number, found);
    if (serverMode() && CHUNKS.size > KEPT_CHUNKS) CHUNKS.delete(CHUNKS.keys().next().value);
  }
  return found;
}

// In a file all texts are unpacked once the page stands, so that a search has them.
async function lowerTexts() {
  if (LOWERED || serverMode() || !TABLE) return;
  const texts = [];
  for (let number = 0; number < HEAD.rows.chunks; number++) {
    const known = CHUNKS.has(number);
    const chunk = await readChunk(number);
    for (const row of chunk.rows) texts.push((row.turns ? row.turns.map((turn) => turn.text).join("\n") : row.text).toLowerCase());
    if (!known && number > KEPT_CHUNKS) CHUNKS.delete(number);
  }
  LOWERED = texts;
}

// A byte for each row, 1 where its completion holds the text; null for no text.
async function searchText(text) {
  const wanted = text.toLowerCase();
  if (!wanted) return null;
  const found = new Uint8Array(TABLE.count);
  if (serverMode()) {
    const answer = await ask(
      `search?text=${encodeURIComponent(wanted.toWellFormed ? wanted.toWellFormed() : wanted)}`,
    );
    for (const row of answer.rows) if (row < found.length) found[row] = 1;
    return found;
  }
  await lowerTexts();
  for (let row = 0; row < found.length; row++) if (LOWERED[row].includes(wanted)) found[row] = 1;
  return found;
}

function column(name) {
  return TABLE.columns[name] || null;
}

function word(name, code) {
  const words = TABLE.words[name];
  return words && code >= 0 ? words[code] : "";
}
