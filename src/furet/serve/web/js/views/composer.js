/** The field that messages are written in, and what an answer's speed is. */

import { say, stop } from "../actions.js";
import { at, fill } from "../dom.js";
import { icon } from "../icons.js";
import { namesOf, state, watch, writing } from "../state.js";
import { editor } from "./message.js";

const drafts = new Map(); // what was written and not sent, by chat
let shown = "";

export function startComposer() {
  const field = at("field");
  field.addEventListener("input", () => (fit(), look()));
  field.addEventListener("keydown", keys);
  at("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (state.chat?.answering) stop();
    else send();
  });
  watch(["chat"], () => {
    const now = state.chat?.id ?? "";
    if (now !== shown) {
      drafts.set(shown, field.value);
      field.value = drafts.get(now) ?? "";
      shown = now;
      fit();
    }
    field.placeholder = state.chat ? `Write to ${state.chat.members.length ? "the group" : namesOf(state.chat)[0]}` : "Write a message";
  });
  watch(["chat", "messages", "models", "connected"], look);
}

/** The button sends, or stops; the line below tells how fast the answer comes. */
export function look() {
  const busy = Boolean(state.chat?.answering);
  const send = at("send");
  send.classList.toggle("stop", busy);
  const focused = document.activeElement === send;
  send.disabled = !busy && (!at("field").value.trim() || !state.models.length || !state.connected);
  if (focused && send.disabled && !coarse()) at("field").focus(); // a button that can do nothing loses the focus to nowhere
  if (send.dataset.busy !== String(busy)) {
    send.dataset.busy = String(busy);
    fill(send, icon(busy ? "stop" : "send"));
    send.setAttribute("aria-label", busy ? "Stop the answer" : "Send");
    send.title = busy ? "Stop (Escape)" : "Send (Enter)";
  }
  at("pace").textContent = pace(busy);
}

function pace(busy) {
  if (!state.connected) return "Not connected; trying again";
  const message = writing();
  if (!message?.tokens) return busy ? "Reading…" : "";
  const rate = message.rate ? `${message.rate.toFixed(message.rate < 10 ? 1 : 0)} tokens/s, ` : ""; // not yet, of one alone
  return `${rate}${message.tokens} so far`;
}

async function send() {
  const field = at("field");
  const text = field.value;
  if (!text.trim() || at("send").disabled) return;
  let chat = shown;
  write("");
  if (!(await say(text, (id) => (move(chat, id), (chat = id))))) giveBack(chat, text);
}

/** What was written on the first screen belongs to the chat that began there. */
function move(from, to) {
  if (shown === from) shown = to;
  else drafts.set(to, drafts.get(from));
  drafts.delete(from);
}

/** Nothing that was written is lost: what could not be sent stands again where it was written. */
function giveBack(chat, text) {
  const whole = (since) => [text, since].filter(Boolean).join("\n");
  if (chat === shown) write(whole(at("field").value));
  else drafts.set(chat, whole(drafts.get(chat)));
}

function write(text) {
  at("field").value = text;
  fit();
  look();
}

function keys(event) {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey && !coarse()) {
    event.preventDefault();
    if (!state.chat?.answering) send();
  } else if (event.key === "ArrowUp" && !event.target.value) {
    const mine = state.messages.findLast((message) => message.role === "user");
    const view = mine && document.querySelector(`[data-message="${CSS.escape(mine.id)}"]`);
    if (view && !state.chat?.answering) (event.preventDefault(), editor(mine, view));
  }
}

/** Where Enter is the only way to a new line, and a field that is focused brings up a keyboard. */
function coarse() {
  return matchMedia("(hover: none)").matches;
}

function fit() {
  const field = at("field");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
