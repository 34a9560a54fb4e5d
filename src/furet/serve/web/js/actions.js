/** What a person can do to chats and messages. Each asks the server; what comes of it is seen in the state. */

import { get, patch, post, remove } from "./api.js";
import { at } from "./dom.js";
import { state, update, writing } from "./state.js";
import { attempt, speak, toast } from "./views/toast.js";
import { count } from "./words.js";

export let reopen = () => {};
let added = (/** @type {any} */ _message) => {};

/** @param {() => void} again opens the stream of events anew @param {(message: any) => void} add shows a message */
export function connect(again, add) {
  reopen = again;
  added = add;
}

let loading = 0;
/** What the server told while a chat was loaded: it may be newer than that. @type {{number: number, act: () => void}[]} */
let later = [];

/** Do what an event tells, after the chat that is being loaded has come. @param {number} number @param {() => void} act */
export function inOrder(number, act) {
  if (loading) later.push({ number, act });
  else act();
}

/**
 * Ask for a chat with its messages and show it, if it is still wanted.
 * @param {() => Promise<any>} ask @param {(id: string) => boolean} wanted
 */
async function load(ask, wanted) {
  loading += 1;
  const found = await attempt(ask).finally(() => (loading -= 1));
  const waiting = loading ? [] : later.splice(0);
  const shown = found && wanted(found.chat.id);
  if (shown) update({ chat: found.chat, messages: found.messages, earlier: found.earlier });
  for (const { number, act } of waiting) if (!shown || number > found.number) act();
  return found;
}

let wanted = ""; // the chat that was asked for last: one that comes after it is not shown

/** Show a chat, or with "" the first screen. @param {string} id @param {string} [message] to bring into view */
export async function openChat(id, message = "") {
  wanted = id;
  document.body.classList.remove("side-open");
  at("veil").hidden = true;
  if (!id) {
    update({ chat: null, messages: [], earlier: false });
    visit("");
    reopen();
    return focusTalk();
  }
  const found = await load(() => get(`/chats/${id}`), () => wanted === id);
  if (wanted !== id) return;
  if (!found) return openChat("");
  visit(`#/${id}`);
  reopen();
  if (state.messages.length) speak(`${state.chat.title}: ${count(state.messages.length, "message")}${state.earlier ? " and earlier ones" : ""}.`);
  if (message) await bringUp(id, message);
  else focusTalk();
}

/** Go to the field; where that would bring up a keyboard over what is to be read, to the messages. */
export function focusTalk() {
  const read = state.messages.length && matchMedia("(hover: none)").matches;
  at(read ? "messages" : "field").focus({ preventScroll: true });
}

/** Have the address say what is shown, so that it can be gone back to. @param {string} hash */
function visit(hash) {
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
}

/** Load the open chat again, as its path may have changed. */
export async function refresh() {
  const id = state.chat?.id;
  if (id) await load(() => get(`/chats/${id}`), (loaded) => state.chat?.id === loaded);
}

/** Messages before those that are shown; whether the server gave any. */
export async function loadEarlier() {
  const [first] = state.messages;
  const chat = state.chat?.id;
  const found = first && (await attempt(() => get(`/chats/${chat}/messages`, { before: first.id })));
  if (found && state.chat?.id === chat && state.messages[0] === first) {
    update({ messages: [...found.messages, ...state.messages], earlier: found.earlier });
  }
  return Boolean(found);
}

/** Bring a message into view that a search has found, on whichever branch it is. */
async function bringUp(chat, message) {
  const missing = () => state.chat?.id === chat && !state.messages.some((each) => each.id === message);
  if (missing() && !(await select(message))) return;
  while (missing() && state.earlier) if (!(await loadEarlier())) return;
  const element = document.querySelector(`[data-message="${CSS.escape(message)}"]`);
  element?.scrollIntoView({ block: "center" });
  element?.querySelector("button")?.focus({ preventScroll: true });
}

/**
 * Say something in the open chat, or in a new one with the contact that is chosen.
 * @param {string} text @param {(id: string) => void} [begun] told of the new chat before it is shown
 */
export async function say(text, begun) {
  const chat = state.chat ?? (await newChat(contactForNew(), [], begun));
  const said = chat && (await attempt(() => post(`/chats/${chat.id}/say`, { text })));
  if (said && state.chat?.id === chat.id) added(said.message);
  return Boolean(said);
}

/** The model that a new chat is with: the chosen contact, else the last one talked to, else any. */
export function contactForNew() {
  if (state.contact && state.contact !== "groups") return state.contact;
  const last = state.chats.find((chat) => chat.model && state.models.some((model) => model.name === chat.model))?.model;
  const suggested = state.models.find((model) => model.name === state.suggested);
  return last ?? (suggested ?? state.models[0])?.name ?? state.suggested;
}

/** @param {string} model @param {any[]} [members] @param {(id: string) => void} [begun] told of it before it is shown */
export async function newChat(model, members = [], begun = () => {}) {
  const chat = await attempt(() => post("/chats", members.length ? { members } : { model }));
  if (!chat) return undefined;
  begun(chat.id);
  await openChat(chat.id);
  return chat;
}

export const stop = () => state.chat && attempt(() => post(`/chats/${state.chat.id}/stop`));
export const again = (/** @type {string} */ message) => attempt(() => post(`/messages/${message}/again`));
export const onward = (/** @type {string} */ message) => attempt(() => post(`/messages/${message}/onward`));
export const edit = (message, text) => shown(() => post(`/messages/${message}/edit`, { text }));
export const select = (/** @type {string} */ message) => shown(() => post(`/messages/${message}/select`));
export const removeMessage = (/** @type {string} */ message) => shown(() => remove(`/messages/${message}`));

/** Do what gives the open chat on another path, and show that. */
const shown = (act) => load(act, (loaded) => state.chat?.id === loaded);

/** @param {string} id @param {Record<string, any>} changes */
export const changeChat = (id, changes) => attempt(() => patch(`/chats/${id}`, changes));

/** @param {string} id */
export async function deleteChat(id) {
  if ((await attempt(() => remove(`/chats/${id}`))) === undefined) return;
  update({ chats: state.chats.filter((chat) => chat.id !== id) });
  if (state.chat?.id === id) await openChat("");
  toast("The chat is deleted.");
}

/** The first chats of a contact, or of all. @param {string} contact */
export async function chooseContact(contact) {
  update({ contact });
  await reloadChats();
}

/** The first chats anew; again where the list was changed meanwhile, for then what comes is older than what is shown. */
export async function reloadChats() {
  const { listed, contact } = state;
  const found = await attempt(() => get("/chats", asked()));
  if (state.listed !== listed || state.contact !== contact) return reloadChats();
  if (found) update({ chats: found.chats, next: found.next });
}

let asking = ""; // where the page of chats begins that is asked for now

export async function moreChats() {
  const after = state.next;
  if (!after || after === asking) return;
  asking = after;
  const found = await attempt(() => get("/chats", { ...asked(), after })).finally(() => (asking = ""));
  const known = new Set(state.chats.map((chat) => chat.id));
  const more = found?.chats.filter((chat) => !known.has(chat.id));
  if (found && state.next === after) update({ chats: [...state.chats, ...more].sort(byPlace), next: found.next });
}

/** The order of the list, as the server has it. */
export const byPlace = (one, other) => Number(other.pinned) - Number(one.pinned) || other.updated - one.updated;

const asked = () => (state.contact === "groups" ? { groups: true } : { model: state.contact });

/** Where the page is, for the stream of events. */
export function position() {
  return { chat: state.chat?.id ?? "", last: state.messages.at(-1)?.id ?? "", have: writing()?.final ?? 0 };
}
