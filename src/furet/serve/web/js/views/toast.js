/** Passing notes: failures, and what was just done where it can be undone. */

import { at, h } from "../dom.js";
import { Failure } from "../api.js";

/** @param {string} text @param {{label: string, act: () => void}} [offer] */
export function toast(text, offer) {
  const note = h("div.toast", {}, h("span", {}, text));
  if (offer) note.append(h("button.button", { type: "button", onclick: () => (note.remove(), offer.act()) }, offer.label));
  at("toasts").replaceChildren(note);
  setTimeout(() => note.remove(), 7000);
}

/** Do something; a failure becomes a note. @template T @param {() => Promise<T>} act @returns {Promise<T | undefined>} */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    toast(error.message);
    return undefined;
  }
}

/** Said to those who listen to the page instead of looking at it. @param {string} text */
export function speak(text) {
  at("spoken").textContent = text;
}
