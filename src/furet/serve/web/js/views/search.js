/** Search in all chats: as one types, with the places that were found. */

import { get } from "../api.js";
import { openChat } from "../actions.js";
import { at, calm, h } from "../dom.js";
import { state, update } from "../state.js";
import { count, when } from "../words.js";
import { attempt, speak } from "./toast.js";

export function startSearch() {
  const field = at("search");
  field.addEventListener("input", calm(120, look));
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") (event.preventDefault(), leave());
    if (event.key === "ArrowDown") at("chats").querySelector("a")?.focus();
    if (event.key === "Enter") at("chats").querySelector("a")?.click();
  });
  at("chats").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const all = [...at("chats").querySelectorAll("a")];
    const next = all.indexOf(document.activeElement) + step;
    event.preventDefault();
    (next < 0 ? field : all[next])?.focus();
  });
}

async function look() {
  const query = at("search").value.trim();
  if (!query) return update({ found: null });
  const found = await attempt(() => get("/search", { q: at("search").value.trimStart() }));
  if (!found || at("search").value.trim() !== query) return;
  update({ found: { query, hits: found.hits } });
  speak(`${count(found.hits.length, "place")} found.`);
}

function leave() {
  at("search").value = "";
  update({ found: null });
  at("field").focus();
}

/** The places that were found. */
export function results() {
  const { hits, query } = state.found;
  if (!hits.length) return [h("p.empty", {}, h("b", {}, "Nothing found"), `No title and no message holds “${query}”.`)];
  const row = (hit) =>
    h("li.chat", {},
      h("a", { href: `#/${hit.chat}`, onclick: (event) => (event.preventDefault(), openChat(hit.chat, hit.message ?? "")) },
        h("span.lines", {},
          h("span.line", {}, h("span.name", {}, hit.title || "New chat"), h("time", {}, when(hit.created))),
          h("span.said", {}, ...marked(hit.snippet, hit.marks)))));
  return [h("h2", {}, count(hits.length, "place")), h("ul", { "aria-label": "Found" }, ...hits.map(row))];
}

/** A text with what was found in it marked; places are counted in characters. @param {string} text @param {number[][]} marks */
function marked(text, marks) {
  const letters = [...text];
  const start = (marks[0]?.[0] ?? 0) > 22 ? marks[0][0] - 14 : 0; // what was found is to be in sight
  const nodes = start ? ["…"] : [];
  let done = start;
  for (const [begin, end] of marks) {
    nodes.push(letters.slice(done, begin).join(""), h("mark", {}, letters.slice(begin, end).join("")));
    done = end;
  }
  return [...nodes, letters.slice(done).join("")];
}
