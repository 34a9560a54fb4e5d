/** One message, and what can be done with it. */

import { again, edit, focusTalk, onward, removeMessage, select } from "../actions.js";
import { h } from "../dom.js";
import { showBlocks } from "../html.js";
import { icon } from "../icons.js";
import { shortened, state } from "../state.js";
import { count, sentence } from "../words.js";
import { avatar } from "./avatar.js";
import { confirm } from "./dialog.js";
import { speak, toast } from "./toast.js";

/** @typedef {import("../state.js").Message} Message */

/** Who listens instead of looking goes from message to message by their names, and by headings. */
const SAYS = { complete: "said", streaming: "is writing", stopped: "said, and was stopped", failed: "failed" };

/** @param {Message} message @param {boolean} last */
export function messageView(message, last) {
  const mine = message.role === "user";
  const model = message.model ?? state.chat?.model ?? null; // imported answers do not name one each
  const tool = message.role === "tool";
  const name = mine ? "You" : tool ? "Tool" : message.speaker || shortened(model);
  const view = h("article.message", { class: `${mine ? "user" : "answer"}${last ? " last" : ""}`, "data-message": message.id, "aria-label": `${name} ${mine ? "said" : SAYS[message.state]}` });
  if (mine) view.append(h("h2.unseen", {}, name), h("div.text", { dir: "auto" }, message.text));
  else view.append(h("div.who", { role: "heading", "aria-level": 2, "aria-label": name }, !tool && avatar(model, message.speaker ?? ""), name), body(message));
  if (message.state === "failed") view.append(failure(message));
  if (message.state !== "streaming") view.append(actions(message, last, view));
  return view;
}

/** The text of an answer. @param {Message} message */
function body(message) {
  const element = h("div.body", { dir: "auto", class: message.state === "streaming" ? "writing" : "", "aria-busy": message.state === "streaming" ? "true" : undefined });
  showBlocks(element, 0, message.blocks);
  for (const text of message.role === "tool" ? [message.text] : message.calls) element.append(h("div.rendered", {}, h("pre", {}, text)));
  if (message.state === "streaming" && !message.blocks.length) element.append(waiting(message));
  if (message.state === "stopped" && !message.text) element.append(h("p.quiet", {}, "Stopped before the first word."));
  return element;
}

function waiting(message) {
  const awake = state.models.some((model) => model.name === message.model && model.awake);
  return h("span.waiting", {}, h("i"), h("i"), h("i"), awake ? "reading" : "waking up");
}

/** Show what has come of an answer. @param {Element} view @param {{first: number, blocks: string[]}} frame */
export function showFrame(view, frame) {
  const element = view.querySelector(".body");
  if (frame.first + frame.blocks.length) element.querySelector(".waiting")?.remove();
  showBlocks(element, frame.first, frame.blocks);
}

function failure(message) {
  const [what, hint] = (message.error || "The answer failed.").split("\n");
  const again_ = () => (message.text ? onward(message.id) : again(message.id));
  return h("div.failure", { role: "alert" },
    h("p", {}, sentence(what), hint && h("span.hint", {}, ` ${sentence(hint)}`)),
    h("button.button", { type: "button", onclick: () => again(message.id) }, icon("again"), "Try again"),
    message.text && last(message) && h("button.button", { type: "button", onclick: again_ }, "Go on from here"));
}

const last = (message) => state.messages.at(-1)?.id === message.id;

function actions(message, isLast, view) {
  const mine = message.role === "user";
  const answer = message.role === "assistant";
  const button = (name, label, act) => h("button.icon", { type: "button", "data-key": `${name} ${message.id}`, "aria-label": label, title: label, onclick: act }, icon(name));
  const busy = state.chat?.answering;
  return h("div.actions", { role: "group", "aria-label": mine ? "What to do with your message" : "What to do with this answer" },
    branches(message),
    message.text && button("copy", "Copy", () => copy(message.text)),
    !busy && button("edit", mine ? "Edit, as another branch" : "Edit this answer, as another branch", () => editor(message, view)),
    !busy && answer && button("again", "Answer again", () => again(message.id)),
    !busy && answer && isLast && message.text && !message.calls.length && button("go", "Go on writing", () => onward(message.id)),
    !busy && button("bin", "Delete this and all that follows", () => ask(message)),
    !mine && h("span.facts", {}, facts(message)));
}

/** How fast it was, and why it ended where that is not plain. */
function facts(message) {
  const parts = [];
  if (message.rate) parts.push(`${message.rate.toFixed(message.rate < 10 ? 1 : 0)} tokens/s`);
  if (message.tokens) parts.push(count(message.tokens, "token"));
  if (message.state === "stopped") parts.push("stopped");
  if (message.reason === "length") parts.push("cut at the limit");
  return parts.join(" · ");
}

function branches(message) {
  if (message.siblings.length < 2) return null;
  const place = message.siblings.indexOf(message.id);
  const step = (by, name, label) =>
    h("button.icon", { type: "button", "data-key": `${name} ${message.siblings.join()}`, "aria-label": label, disabled: !message.siblings[place + by] || state.chat?.answering, onclick: () => select(message.siblings[place + by]) }, icon(name));
  return h("span.branches", { role: "group", "aria-label": "Branches" },
    step(-1, "left", "Earlier branch"), h("span", { "aria-label": `Branch ${place + 1} of ${message.siblings.length}` }, `${place + 1}/${message.siblings.length}`), step(1, "right", "Later branch"));
}

export async function copy(text) {
  const written = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  if (written || copyOld(text)) speak("Copied.");
  else toast("This browser lets nothing be copied from here. Mark the text and copy it by hand.");
}

/** Browsers have no clipboard for pages that come over http from another machine; this they still have. */
function copyOld(text) {
  const focused = document.activeElement;
  const field = h("textarea.unseen", { value: text });
  document.body.append(field);
  field.focus({ preventScroll: true });
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return done;
}

async function ask(message) {
  const sure = await confirm("Delete this message?", "It will be gone for good, and with it all that follows it on this branch.", "Delete");
  if (sure) removeMessage(message.id);
}

/** Put a field in the message's place. @param {Message} message @param {Element} view */
export function editor(message, view) {
  const field = h("textarea", { "aria-label": "New wording", "data-key": "edit", value: message.text, maxlength: 200000 });
  const fit = () => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  const done = () => {
    view.replaceWith(messageView(message, last(message)));
    focusTalk();
  };
  const save = async () => {
    if (field.value.trim() && (await edit(message.id, field.value))) return;
    field.focus();
  };
  const form = h("form.edit", { onsubmit: (event) => (event.preventDefault(), save()) }, field,
    h("div.row", {},
      h("button.button.plain", { type: "button", onclick: done }, "Cancel"),
      h("button.button.main", { type: "submit" }, message.role === "user" ? "Send" : "Save")));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") (event.stopPropagation(), done());
    if (event.key === "Enter" && !event.shiftKey && message.role === "user" && !event.isComposing) (event.preventDefault(), save());
  });
  field.addEventListener("input", fit);
  view.replaceChildren(form);
  fit();
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}
