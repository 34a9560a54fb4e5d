/** The line above the conversation: its title, and the memory of the models. */

import { changeChat } from "../actions.js";
import { at, fill, h } from "../dom.js";
import { modelsOf, namesOf, state, watch } from "../state.js";
import { size } from "../words.js";
import { openModels } from "./models.js";

export function startTop() {
  watch(["chat"], () => renaming() || fill(at("title"), ...title()));
  watch(["models"], () => at("title").querySelector(".with")?.replaceWith(company()));
  watch(["memory"], () => fill(at("gauge"), gauge()));
}

function title() {
  document.title = state.chat?.title ? `${state.chat.title} · furet` : "furet";
  at("open-settings").hidden = !state.chat;
  if (!state.chat) return [h("span.with", {})];
  const name = state.chat.title || "New chat";
  return [h("div", { role: "heading", "aria-level": 1, "aria-label": name }, h("button.name", { type: "button", title: "Rename", "aria-label": `Rename: ${name}`, onclick: rename }, name)), company()];
}

function company() {
  if (!state.chat) return h("span.with", {});
  const awake = modelsOf(state.chat).every((name) => state.models.some((model) => model.name === name && model.awake));
  const gone = !modelsOf(state.chat).every((name) => state.models.some((model) => model.name === name));
  return h("div.with", {}, `${namesOf(state.chat).join(", ")} · ${gone ? "not on this machine" : awake ? "awake" : "asleep, wakes when written to"}`);
}

const renaming = () => state.chat && at("title").querySelector("input")?.dataset.chat === state.chat.id;

function rename() {
  const { id, title: old } = state.chat;
  const field = h("input.name", { value: old, maxlength: 200, "aria-label": "Title", "data-chat": id });
  let kept = true;
  const end = () => {
    if (kept && field.value.trim() && field.value !== old) changeChat(id, { title: field.value.trim() });
    fill(at("title"), ...title());
  };
  field.addEventListener("blur", end, { once: true });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") kept = false;
    if (event.key === "Enter" || event.key === "Escape") (event.stopPropagation(), field.blur());
  });
  at("title").querySelector(".name").replaceWith(field);
  field.select();
}

function gauge() {
  const { used, budget } = state.memory;
  const label = `Memory: ${size(used)} of ${size(budget)}`;
  return h("button.gauge", { type: "button", title: "Memory that the loaded models may take, of what they all may", "aria-label": `${label}. Show the models`, "data-key": "gauge", onclick: openModels },
    h("span.row", {}, h("span.long", {}, "Memory"), h("span", {}, used ? size(used) : "0", h("span.long", {}, ` of ${size(budget)}`))),
    h("meter", { min: 0, max: budget || 1, value: used, high: 0.9 * budget, optimum: 0, "aria-hidden": "true" }));
}
