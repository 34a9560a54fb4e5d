/** The settings of a chat: what the model is told, how it chooses words, and how full its context is. */

import { get, post, remove } from "../api.js";
import { changeChat } from "../actions.js";
import { at, calm, fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { shortened, state, update, watch } from "../state.js";
import { dialog } from "./dialog.js";
import { control } from "./samplers.js";
import { attempt, toast } from "./toast.js";

/** The chat whose settings are shown, as far as it is known. @type {{chat: import("../state.js").Chat | null}} */
let shown = { chat: null };

export function startDrawer() {
  at("open-settings").addEventListener("click", () => (at("drawer").hidden ? openDrawer() : closeDrawer()));
  at("drawer").addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), closeDrawer()));
  watch(["chat"], () => {
    if (!state.chat) closeDrawer();
    else if (state.chat.id === shown.chat?.id) shown.chat = state.chat;
    else if (!at("drawer").hidden) draw();
  });
  watch(["messages"], calm(400, () => at("drawer").hidden || showUse()));
}

export function openDrawer() {
  if (!state.chat) return;
  at("drawer").hidden = false;
  at("open-settings").setAttribute("aria-expanded", "true");
  if (matchMedia("(max-width: 1100px)").matches) at("veil").hidden = false;
  draw();
  at("drawer").querySelector("button")?.focus();
}

export function closeDrawer() {
  if (at("drawer").hidden) return;
  const inside = at("drawer").contains(document.activeElement);
  at("drawer").hidden = true;
  at("veil").hidden = true;
  at("open-settings").setAttribute("aria-expanded", "false");
  if (inside) at("open-settings").focus();
}

function draw() {
  const { chat } = state;
  const held = (shown = { chat }); // a control may tell of its change when another chat is shown
  const groups = Map.groupBy(state.samplers, (setting) => setting.group);
  const part = (name, settings, open) =>
    h(open ? "section.part" : "details.part", {}, h(open ? "h3" : "summary", {}, name), ...settings.map((setting) => control(setting, chat.settings[setting.name], (value) => set(held, setting.name, value))));
  fill(at("drawer"),
    h("header", {}, h("h2", {}, "Settings"), h("button.icon", { type: "button", "aria-label": "Close the settings", onclick: closeDrawer }, icon("close"))),
    use(), chat.members.length > 0 && turns(chat), system(chat), presets(chat), format(chat),
    part("The answer", groups.get("Answer"), true),
    part("Choice of words", groups.get("Choice"), false),
    part("Repetition", groups.get("Repetition"), false),
    part("Search and guidance", groups.get("Search"), false),
    part("Form of the answer", groups.get("Form"), false));
  showUse();
}

function use() {
  return h("section.part", { id: "use" }, h("h3", {}, "Context"), h("p.quiet", { id: "use-text" }, "…"), h("meter", { id: "use-meter", min: 0, max: 1, value: 0, hidden: true, "aria-label": "Context in use" }));
}

async function showUse() {
  const id = state.chat?.id;
  const found = id && (await attempt(() => get(`/chats/${id}/usage`)));
  const text = at("use-text");
  if (!found || !text || state.chat?.id !== id) return;
  const { tokens, context } = found;
  text.textContent = context ? `${tokens.toLocaleString("en-GB")} of ${context.toLocaleString("en-GB")} tokens. When it is full, the oldest turns are forgotten.` : "Known once the model is awake.";
  Object.assign(at("use-meter"), { hidden: !context, max: context ?? 1, high: 0.9 * (context ?? 1), optimum: 0, value: tokens ?? 0 });
}

/** One setting of a chat; undefined: as it is by default. What is refused is taken back: all others are sent with it. */
async function set(held, name, value) {
  const before = held.chat.settings[name];
  put(held, name, value);
  if (!(await changeChat(held.chat.id, { settings: held.chat.settings }))) put(held, name, before);
}

function put({ chat }, name, value) {
  const { [name]: _, ...others } = chat.settings;
  chat.settings = value === undefined ? others : { ...others, [name]: value };
}

function system(chat) {
  const save = calm(500, (id, system) => changeChat(id, { system }));
  return h("section.part", {}, h("h3", {}, h("label", { for: "system" }, "What it is told beforehand")),
    h("textarea.field", { id: "system", value: chat.system, maxlength: 100000, placeholder: "You are a patient teacher…", oninput: (event) => ((shown.chat.system = event.target.value), save(chat.id, event.target.value)) }));
}

function presets(chat) {
  const choose = async (event) => {
    const preset = state.presets.find((each) => each.id === event.target.value);
    if (!preset) return;
    const { system, settings, format } = preset;
    const changed = await changeChat(chat.id, { system, settings, format });
    if (changed && state.chat?.id === chat.id) (update({ chat: changed }), draw(), toast(`“${preset.name}” holds from the next answer on.`));
  };
  const own = state.presets.filter((each) => !each.built_in);
  const option = (each) => h("option", { value: each.id }, each.name);
  return h("section.part", {}, h("h3", {}, h("label", { for: "preset" }, "Preset")),
    h("select.field", { id: "preset", "data-key": "preset", onchange: choose }, h("option", { value: "" }, "Choose…"),
      own.length > 0 && h("optgroup", { label: "Your own" }, ...own.map(option)),
      h("optgroup", { label: "With furet" }, ...state.presets.filter((each) => each.built_in).map(option))),
    h("div.buttons", {},
      h("button.button", { type: "button", onclick: keep }, icon("save"), "Keep these as a preset"),
      own.length > 0 && h("button.button.plain", { type: "button", onclick: sort }, "Sort out…")));
}

/** A name for the settings as they are. */
function keep() {
  const { system, settings, format } = state.chat;
  dialog("Keep as a preset", (close) => {
    const name = h("input.field", { required: true, maxlength: 100, "aria-label": "Name", placeholder: "Name", autofocus: true });
    const save = async (event) => {
      event.preventDefault();
      if (!(await attempt(() => post("/presets", { name: name.value.trim(), system: system || null, settings, format })))) return;
      await reload();
      close();
    };
    return [h("form", { onsubmit: save }, h("p.lead", {}, "What it is told, the format and all settings, to be used in any chat."), name, h("div.buttons", {}, h("button.button.main", {}, "Keep")))];
  }, { small: true });
}

function sort() {
  dialog("Your presets", (close) => [
    h("ul.models", {}, ...state.presets.filter((each) => !each.built_in).map((each) =>
      h("li", {}, h("span.lines.name", {}, each.name), h("button.button.bad", { type: "button", onclick: async () => (await attempt(() => remove(`/presets/${each.id}`)), await reload(), close()) }, "Delete")))),
  ], { small: true });
}

async function reload() {
  const found = await attempt(() => get("/presets"));
  if (found) (update({ presets: found.presets }), draw());
}

/** In a group: who answers. */
function turns(chat) {
  const options = [["in_turn", "Everyone, in turn"], ["mention", "Only those called by @name"]];
  return h("section.part", {}, h("h3", {}, h("label", { for: "turns" }, "Who answers")),
    h("select.field", { id: "turns", onchange: (event) => changeChat(chat.id, { turns: event.target.value }) }, ...options.map(([value, label]) => h("option", { value, selected: chat.turns === value }, label))),
    h("ul.who", {}, ...chat.members.map((member) => h("li", {}, h("b", {}, `@${member.name}`), ` ${shortened(member.model)}`, member.system && h("span.about", {}, member.system)))));
}

function format(chat) {
  const options = [["", "By the model’s own template"], ...state.formats.map((each) => [each.name, `${each.name}: ${each.about}`])];
  return h("section.part", {}, h("h3", {}, h("label", { for: "format" }, "Prompt format")),
    h("select.field", { id: "format", onchange: (event) => changeChat(chat.id, { format: event.target.value || null }) }, ...options.map(([value, label]) => h("option", { value, selected: (chat.format ?? "") === value }, label))),
    !chat.members.length && h("div.setting", {}, h("label", { for: "with" }, "Model"),
      h("select.field", { id: "with", onchange: (event) => changeChat(chat.id, { model: event.target.value }) },
        ...[...new Set([chat.model, ...state.models.map((model) => model.name)])].map((name) => h("option", { value: name, selected: name === chat.model }, shortened(name))))));
}
