/** Dialogs and menus. The browser keeps the focus inside, and gives it back where it came from. */

import { at, h } from "../dom.js";
import { icon } from "../icons.js";

let opened = 0; // dialogs, one may lie over another

/**
 * @param {string} title @param {(close: () => void) => Node[]} make the body
 * @param {{small?: boolean, closed?: () => void}} [options]
 */
export function dialog(title, make, { small = false, closed } = {}) {
  const id = `dialog-${(opened += 1)}`;
  const box = h("dialog", { class: small ? "small" : "", "aria-labelledby": id });
  const close = () => box.close();
  box.append(
    h("header", {}, h("h2", { id }, title), h("button.icon", { type: "button", "aria-label": "Close", onclick: close }, icon("close"))),
    h("div.body", {}, ...make(close)),
  );
  box.addEventListener("click", (event) => event.target === box && close());
  box.addEventListener("close", () => (box.remove(), closed?.()));
  document.body.append(box);
  box.showModal();
  return box;
}

/** A question with two answers. @param {string} title @param {string} text @param {string} yes @returns {Promise<boolean>} */
export function confirm(title, text, yes) {
  return new Promise((answer) => {
    let sure = false;
    const make = (close) => [
      h("p.lead", {}, text),
      h("div.buttons", {},
        h("button.button.bad", { type: "button", onclick: () => ((sure = true), close()) }, yes),
        h("button.button", { type: "button", autofocus: true, onclick: close }, "Cancel")),
    ];
    dialog(title, make, { small: true, closed: () => answer(sure) });
  });
}

/**
 * A menu below a button. Arrows go through it, Escape leaves it.
 * @param {HTMLElement} button @param {({label: string, icon: any, act: () => void, bad?: boolean} | null)[]} items
 */
export function menu(button, items) {
  at("menu")?.remove();
  const entry = (item) =>
    item
      ? h("button", { type: "button", role: "menuitem", class: item.bad ? "bad" : "", onclick: () => (list.hidePopover(), item.act()) }, icon(item.icon), item.label)
      : h("hr");
  const list = h("div.menu", { id: "menu", role: "menu", popover: "auto" }, ...items.map(entry));
  list.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    all.at((all.indexOf(document.activeElement) + step) % all.length)?.focus();
  });
  list.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    button.setAttribute("aria-expanded", "false");
    if (list.contains(document.activeElement)) button.focus();
    list.remove();
  });
  (button.closest("dialog") ?? document.body).append(list); // what lies outside of a dialog cannot be used
  button.setAttribute("aria-expanded", "true");
  list.showPopover();
  const place = button.getBoundingClientRect();
  const left = Math.min(place.left, innerWidth - list.offsetWidth - 8);
  const top = place.bottom + list.offsetHeight + 8 > innerHeight ? place.top - list.offsetHeight - 4 : place.bottom + 4;
  list.style.left = `${Math.max(8, left)}px`;
  list.style.top = `${Math.max(8, top)}px`;
  list.querySelector("button")?.focus();
}
