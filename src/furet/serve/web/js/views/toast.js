/** Passing notes: failures, and what was just done. */

import { at, h } from "../dom.js";
import { Failure } from "../api.js";

/** @param {string} text */
export function toast(text) {
  const note = h("div.toast", {}, text);
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
