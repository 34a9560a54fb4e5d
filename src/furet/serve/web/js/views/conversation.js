/** The messages of the open chat: drawn when the path changes, and touched only at its end while an answer grows. */

import { focusTalk, loadEarlier, refresh, reopen } from "../actions.js";
import { at, fill, h } from "../dom.js";
import { state, update, watch } from "../state.js";
import { copy, messageView, showFrame } from "./message.js";
import { speak } from "./toast.js";
import { progressed, welcome } from "./welcome.js";

const NEAR = 90; // pixels from the end at which the view follows what is written
let drawn = { chat: "", first: "" };
/** What each view was drawn from. @type {WeakMap<Element, {message: any, last: boolean, busy: boolean}>} */
const sources = new WeakMap();

export function startConversation() {
  watch(["chat", "messages"], draw);
  watch(["models", "ready", "chats"], () => state.chat || drawWelcome());
  watch(["pulls"], () => state.chat || progressed(at("welcome")) || drawWelcome());
  const scroll = at("scroll");
  scroll.addEventListener("scroll", () => {
    at("talk").classList.toggle("scrolled", scroll.scrollTop > 4);
    lookBelow();
  }, { passive: true });
  at("down").addEventListener("click", () => toEnd());
  at("messages").addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button.closest("figure").querySelector("pre").textContent);
  });
  const older = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && loadEarlier(), { root: scroll, rootMargin: "400px" });
  watch(["chat", "messages", "earlier"], () => {
    older.disconnect();
    const mark = at("messages").querySelector(".older");
    if (mark) older.observe(mark);
  });
}

function draw() {
  const within = at("messages").contains(document.activeElement);
  drawMessages();
  lookBelow(); // what became shorter has not scrolled
  if (within && document.activeElement === document.body) focusTalk(); // what had the focus is gone
}

function drawMessages() {
  at("welcome").hidden = Boolean(state.chat && state.messages.length);
  at("messages").hidden = !at("welcome").hidden;
  if (!state.messages.length) {
    drawn = { chat: "", first: "" };
    drawWelcome();
    fill(at("messages"));
    return;
  }
  const chat = state.chat.id;
  const first = state.messages[0].id;
  const follow = chat !== drawn.chat || atEnd(NEAR);
  const fromEnd = at("scroll").scrollHeight - at("scroll").scrollTop;
  const older = chat === drawn.chat && first !== drawn.first;
  const there = new Map([...at("messages").querySelectorAll("[data-message]")].map((view) => [view.dataset.message, view]));
  const views = state.messages.map((message, place) => viewOf(message, place === state.messages.length - 1, there.get(message.id)));
  if (state.earlier) views.unshift(h("button.older.quiet", { type: "button", "data-key": "older", onclick: loadEarlier }, "Earlier messages"));
  fill(at("messages"), ...views);
  drawn = { chat, first };
  if (older) at("scroll").scrollTop = at("scroll").scrollHeight - fromEnd; // what is read stays where it is
  else if (follow) toEnd();
}

/** What was drawn before, where nothing has changed or somebody is editing it. */
function viewOf(message, last, old) {
  const now = { message, last, busy: Boolean(state.chat.answering) };
  const then = old && sources.get(old);
  if (then && (old.querySelector(".edit") || (then.message === now.message && then.last === last && then.busy === now.busy))) return old;
  const view = messageView(message, last);
  const [was, fold] = [old, view].map((each) => each?.querySelector(".rendered > details > summary"));
  if (was && fold) {
    fold.parentElement.open = was.parentElement.open;
    fold.dataset.key = was.dataset.key = `thought ${message.id}`; // the focus goes from one to the other
  }
  sources.set(view, now);
  return view;
}

function drawWelcome() {
  if (state.messages.length) return;
  fill(at("welcome"), ...welcome());
}

const atEnd = (near) => at("scroll").scrollHeight - at("scroll").scrollTop - at("scroll").clientHeight < near;

/** The way down is shown where there is one. */
function lookBelow() {
  at("down").hidden = atEnd(400);
}

export function toEnd() {
  at("scroll").scrollTop = at("scroll").scrollHeight;
}

/** A message that is new or has changed. @param {import("../state.js").Message & {notes?: string[]}} message */
export function tellMessage(message) {
  const messages = [...state.messages];
  const place = messages.findIndex((each) => each.id === message.id);
  const before = messages[place];
  if (place >= 0) {
    if (message.state === "streaming") message = { ...message, blocks: messages[place].blocks, final: messages[place].final };
    messages[place] = message;
  } else {
    const parent = messages.findIndex((each) => each.id === message.parent);
    if (parent < 0 && message.parent !== null) return refresh(); // it follows one that is not shown here
    messages.splice(parent + 1, Infinity, message);
  }
  update({ messages });
  if (message.role === "user") toEnd();
  if (message.role === "assistant" && message.state !== "streaming" && (!before || before.state === "streaming")) {
    speak(message.state === "failed" ? "The answer failed." : said(message.id).slice(0, 600));
  }
}

/** What an answer says, without what was thought. @param {string} message */
function said(message) {
  const blocks = [...document.querySelectorAll(`[data-message="${CSS.escape(message)}"] .rendered`)];
  return blocks.filter((block) => !block.querySelector(":scope > details")).map((block) => block.textContent).join("");
}

/** More of an answer. @param {{message: string, first: number, blocks: string[], final: number, tokens: number, rate: number}} frame */
export function tellFrame(frame) {
  const message = state.messages.find((each) => each.id === frame.message);
  const view = document.querySelector(`[data-message="${CSS.escape(frame.message)}"]`);
  if (!message || !view || message.state !== "streaming" || frame.tokens < message.tokens) return; // of before a reload
  if (frame.first > message.blocks.length) {
    reopen(); // something is missing: ask for all from what is final here
    return;
  }
  message.blocks.splice(frame.first, Infinity, ...frame.blocks);
  Object.assign(message, { final: frame.final, tokens: frame.tokens, rate: frame.rate });
  const follow = atEnd(NEAR);
  showFrame(view, frame);
  if (follow) toEnd();
}
