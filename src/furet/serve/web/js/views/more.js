/** The menu for all else: a group, import and export, colours, help. */

import { newChat, openChat } from "../actions.js";
import { h } from "../dom.js";
import { shortened, state } from "../state.js";
import { avatar } from "./avatar.js";
import { dialog, menu } from "./dialog.js";
import { exportAll, importFile } from "./transfer.js";

const THEMES = { system: "as the system", light: "light", dark: "dark" };

/** @param {HTMLElement} button */
export function openMore(button) {
  const next = { system: "light", light: "dark", dark: "system" }[theme()];
  menu(button, [
    { label: "New chat", icon: "plus", act: () => openChat("") },
    { label: "New group…", icon: "group", act: newGroup },
    null,
    { label: "Import…", icon: "load", act: importFile },
    { label: "Export everything", icon: "save", act: exportAll },
    null,
    { label: `Colours: ${THEMES[theme()]}`, icon: "sun", act: () => setTheme(next) },
    { label: "Keys and help", icon: "keys", act: openHelp },
  ]);
}

const theme = () => localStorage.getItem("theme") ?? "system";

/** @param {string} name system, light or dark */
export function setTheme(name) {
  localStorage.setItem("theme", name);
  document.documentElement.dataset.theme = name;
}

export const restoreTheme = () => (document.documentElement.dataset.theme = theme());

/** Several models in one chat: who, and how often of each. */
export function newGroup() {
  dialog("New group", (close) => {
    const picked = []; // names of models, one may be there twice
    const list = h("ul.models", { "aria-label": "Members" });
    const start = h("button.button.main", { type: "button", disabled: true, onclick: () => (close(), newChat("", members(picked))) }, "Begin");
    const draw = () => {
      start.disabled = picked.length < 2;
      list.replaceChildren(...members(picked).map((member, place) =>
        h("li", {}, avatar(member.model, member.name), h("span.lines.name", {}, member.name),
          h("button.button.plain", { type: "button", "aria-label": `Take out ${member.name}`, onclick: () => (picked.splice(place, 1), draw()) }, "Take out"))));
    };
    const add = (name) => h("button.button", { type: "button", onclick: () => picked.length < 8 && (picked.push(name), draw()) }, avatar(name), `Add ${shortened(name)}`);
    return [
      h("p.lead", {}, "Each member answers in turn, and sees what the others said. The same model may take part twice."),
      h("div.buttons", {}, ...state.models.map((model) => add(model.name))), list, h("div.buttons", {}, start),
    ];
  });
}

/** Names that differ. @param {string[]} models */
function members(models) {
  const seen = new Map();
  return models.map((model) => {
    const name = shortened(model).slice(0, 50);
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return { name: seen.get(name) > 1 ? `${name}-${seen.get(name)}` : name, model };
  });
}

const KEYS = [
  [["Enter"], "Send"], [["Shift", "Enter"], "New line"], [["Esc"], "Stop the answer; close what is open"],
  [["↑"], "Edit your last message, in an empty field"], [["Ctrl", "K"], "Search"], [["Ctrl", "Shift", "O"], "New chat"],
  [["Ctrl", "."], "Settings of the chat"], [["?"], "This help"],
];

export function openHelp() {
  dialog("Keys and help", () => [
    h("dl.keys", {}, ...KEYS.flatMap(([keys, what]) => [h("dt", {}, ...keys.flatMap((key, place) => [place ? " " : "", h("kbd", {}, key)])), h("dd", {}, what)])),
    h("p.lead", { class: "foot" }, "On a Mac, Command takes the place of Ctrl. Chats are kept in a file on this machine; furet chat --resume goes on with them in the terminal."),
  ], { small: true });
}
