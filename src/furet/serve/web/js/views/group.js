/** A new group: who takes part, under which name, and what each is told. */

import { newChat } from "../actions.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { shortened, state } from "../state.js";
import { avatar } from "./avatar.js";
import { dialog } from "./dialog.js";

const MOST = 8;
const LONGEST = 40; // characters of a name

export function newGroup() {
  dialog("New group", (close) => {
    const list = h("ul.models", { "aria-label": "Members" });
    const start = h("button.button.main", { type: "submit", disabled: true }, "Begin");
    const changed = () => (start.disabled = list.children.length < 2);
    const add = (model) => {
      if (list.children.length >= MOST) return;
      list.append(row(model, freeName(model, membersIn(list)), changed));
      changed();
    };
    const begin = async (event) => {
      event.preventDefault();
      const members = membersIn(list);
      const names = members.map((member) => member.name.toLowerCase());
      const twice = names.findIndex((name, place) => names.indexOf(name) !== place);
      const field = twice < 0 ? null : list.children[twice].querySelector("input");
      field?.setCustomValidity("There is another member of this name.");
      if (field?.reportValidity() === false) return;
      start.disabled = true;
      await newChat("", members, close);
      changed();
    };
    return [h("form", { onsubmit: begin },
      h("p.lead", {}, "Each member answers in turn, and sees what the others said. The same model may take part twice, under two names."),
      h("div.buttons", {}, ...state.models.map((model) => h("button.button", { type: "button", onclick: () => add(model.name) }, icon("plus"), `Add ${shortened(model.name)}`))),
      list, h("div.buttons", {}, start))];
  });
}

/** A member. @param {string} model @param {string} name @param {() => void} changed */
function row(model, name, changed) {
  const called = h("input.field", { value: name, maxlength: LONGEST, required: true, "aria-label": `Name of ${name}`, oninput: () => called.setCustomValidity("") });
  const told = h("input.field", { maxlength: 2000, placeholder: "What it is told, such as: You doubt everything.", "aria-label": `What ${name} is told` });
  const item = h("li.member", { "data-model": model }, avatar(model, name), h("div.lines", {}, called, told),
    h("button.icon", { type: "button", "aria-label": `Take out ${name}`, title: "Take out", onclick: () => (item.remove(), changed()) }, icon("close")));
  return item;
}

/** @param {Element} list @returns {import("../state.js").Member[]} */
function membersIn(list) {
  return [...list.children].map((item) => {
    const [name, system] = [...item.querySelectorAll("input")].map((field) => field.value.trim());
    return { name, model: item.dataset.model, system: system || null };
  });
}

/** The model's name, counted up where it is taken. @param {string} model @param {{name: string}[]} members */
function freeName(model, members) {
  const name = shortened(model).slice(0, LONGEST - 3);
  const taken = new Set(members.map((member) => member.name.toLowerCase()));
  for (let number = 1; ; number += 1) {
    const free = number > 1 ? `${name}-${number}` : name;
    if (!taken.has(free.toLowerCase())) return free;
  }
}
