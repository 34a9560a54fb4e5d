/** The models: those that are here, what they take, and how others come. */

import { post, remove } from "../api.js";
import { newChat } from "../actions.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { shortened, state, watch } from "../state.js";
import { size } from "../words.js";
import { avatar } from "./avatar.js";
import { confirm, dialog, menu } from "./dialog.js";
import { attempt } from "./toast.js";

let list = null; // of the dialog while it is open
let close = () => {};

export function startModels() {
  watch(["models", "pulls", "memory"], () => list && show());
}

/** Of rows that are there already only the lines change: a button that is being pressed must not be taken away. */
function show() {
  const now = rows();
  const there = [...list.children];
  if (now.length !== there.length || now.some((row, place) => row.dataset.row !== there[place].dataset.row)) return fill(list, ...now);
  now.forEach((row, place) => there[place].querySelector(".lines")?.replaceWith(row.querySelector(".lines")));
}

export function openModels() {
  dialog("Models", (shut) => {
    close = shut;
    list = h("ul.models", {}, ...rows());
    return [h("p.lead", {}, `The loaded ones may take ${size(state.memory.budget)} of memory together.`), list, ...pulling()];
  }, { closed: () => (list = null) });
}

function rows() {
  const failed = new Set(state.models.map((model) => model.name));
  const pulls = state.pulls.filter((pull) => !failed.has(pull.ref) || pull.error);
  const none = !state.models.length && !pulls.length && h("li.quiet", {}, "No model is here yet. A good first one is smollm2, 98 MB.");
  return [none, ...pulls.map(pullRow), ...state.models.map(modelRow)].filter(Boolean);
}

/** @param {import("../state.js").Model} model */
function modelRow(model) {
  const facts = model.awake ? `${size(model.bytes)} · awake, may take ${size(model.planned)}` : `${size(model.bytes)} · asleep`;
  const name = shortened(model.name);
  return h("li", { "data-row": `${model.name} ${model.awake} ${model.bytes}` }, avatar(model.name), h("div.lines", {}, h("div.name", {}, name), h("div.facts", {}, model.ref === model.name ? facts : `${facts} · ${model.ref}`)),
    h("button.button", { type: "button", "data-key": `chat ${model.name}`, "aria-label": `Chat with ${name}`, onclick: () => (close(), newChat(model.name)) }, "Chat"),
    h("button.icon", { type: "button", "data-key": `more ${model.name}`, "aria-label": `More for ${name}`, "aria-haspopup": "menu", onclick: (event) => menu(event.currentTarget, [
      model.awake ? { label: "Put to sleep", icon: "down", act: () => send("/models/unload", model.name) } : { label: "Wake up", icon: "sun", act: () => send("/models/load", model.name) },
      null,
      { label: "Delete the file…", icon: "bin", bad: true, act: () => ask(model) },
    ]) }, icon("more")));
}

const send = (path, ref) => attempt(() => post(path, { ref }));

async function ask(model) {
  const text = `${size(model.bytes)} of disk are freed. Chats with it stay, and it can be fetched again.`;
  if (await confirm(`Delete ${shortened(model.name)}?`, text, "Delete")) await attempt(() => remove("/models", { ref: model.name }));
}

function pullRow(pull) {
  const told = pull.error?.split("\n").join(". ") ?? (pull.total ? `${size(pull.done)} of ${size(pull.total)}` : "asking for it");
  return h("li", { "data-row": `${pull.ref} ${pull.error ? "failed" : "comes"}` }, avatar(pull.ref), h("div.lines", {}, h("div.name", {}, shortened(pull.ref)), h("div.facts", { role: pull.error ? "alert" : undefined }, told),
    !pull.error && h("progress", { max: pull.total ?? 1, value: pull.total ? pull.done : undefined, "aria-label": `Download of ${pull.ref}` })),
    pull.error && h("button.button", { type: "button", "data-key": `again ${pull.ref}`, onclick: () => send("/models/pull", pull.ref) }, "Try again"),
    h("button.icon", { type: "button", "data-key": `stop ${pull.ref}`, "aria-label": pull.error ? `Dismiss ${pull.ref}` : `Stop fetching ${pull.ref}`, onclick: () => send("/models/pull/stop", pull.ref) }, icon("close")));
}

/** How another model comes here: a look at what it takes first. */
function pulling() {
  const field = h("input.field", { "aria-label": "Model to fetch", placeholder: "smollm2, or hf:owner/name:Q4_K_M", maxlength: 512, spellcheck: "false", required: true });
  const shown = h("div", { "aria-live": "polite" });
  const fetch_ = async () => {
    if (await send("/models/pull", field.value.trim())) ((field.value = ""), shown.replaceChildren());
  };
  const plan = async (event) => {
    event.preventDefault();
    shown.replaceChildren(h("p.quiet", {}, "Reading its header…"));
    const found = await attempt(() => post("/models/plan", { ref: field.value.trim() }));
    shown.replaceChildren(...(found ? [planned(found, fetch_)] : []));
  };
  return [h("form.ask", { onsubmit: plan }, field, h("button.button", {}, "Plan"), h("button.button.main", { type: "button", onclick: () => field.reportValidity() && fetch_() }, "Fetch")), shown];
}

/** The memory that a model would take, row by row. */
function planned(plan, fetch_) {
  const row = ([name, bytes]) => h("tr", {}, h("td", {}, name), h("td", {}, size(bytes)));
  const here = state.models.some((model) => model.name === plan.model || model.ref === plan.model);
  const fits = plan.fits ?? plan.total <= state.memory.budget;
  return h("div.plan", {},
    h("table", {}, h("caption.unseen", {}, "Memory it would take"), ...plan.rows.map(row), h("tr.sum", {}, h("td", {}, `In all, with ${plan.context?.toLocaleString("en-GB")} tokens of context`), h("td", {}, size(plan.total)))),
    h("p", {}, fits ? "It fits." : `It does not fit into ${size(plan.budget ?? state.memory.budget)}.`),
    here ? h("p.quiet", {}, "It is on this machine already.") : h("div.buttons", {}, h("button.button.main", { type: "button", onclick: fetch_ }, "Fetch it")));
}
