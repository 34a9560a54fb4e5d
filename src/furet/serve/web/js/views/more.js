/** The menu for all else: a group, import and export, colours, help. */

import { openChat } from "../actions.js";
import { h } from "../dom.js";
import { dialog, menu } from "./dialog.js";
import { newGroup } from "./group.js";
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
