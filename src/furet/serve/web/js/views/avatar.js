/** The coat of a model: two letters and a colour by its name. */

import { h } from "../dom.js";
import { shortened, state } from "../state.js";

/** @param {string | null} model @param {string} [called] its name in a group */
export function avatar(model, called = "") {
  const name = called || shortened(model);
  const words = name.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words[1][0] : (words[0] ?? "?").slice(0, 2);
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  const awake = state.models.some((each) => each.name === model && each.awake);
  return h("span.avatar", { class: `coat${sum % 6}${awake ? " awake" : ""}`, "aria-hidden": "true" }, letters);
}

/** Of a chat: its model's, or the first two of a group. @param {import("../state.js").Chat} chat */
export function avatarOf(chat) {
  if (!chat.members.length) return avatar(chat.model);
  return h("span.pile", {}, ...chat.members.slice(0, 2).map((member) => avatar(member.model, member.name)));
}
