/** The beginning: what the page needs is asked for once, the views start, and the server's events are followed. */

import { get } from "./api.js";
import { byPlace, connect, focusTalk, inOrder, openChat, position, refresh, reloadChats, stop } from "./actions.js";
import { at, fill } from "./dom.js";
import { listen } from "./events.js";
import { icon } from "./icons.js";
import { state, update } from "./state.js";
import { look, startComposer } from "./views/composer.js";
import { startConversation, tellFrame, tellMessage } from "./views/conversation.js";
import { closeDrawer, openDrawer, startDrawer } from "./views/drawer.js";
import { openModels, startModels } from "./views/models.js";
import { openHelp, openMore, restoreTheme } from "./views/more.js";
import { startSearch } from "./views/search.js";
import { startSidebar } from "./views/sidebar.js";
import { attempt, toast } from "./views/toast.js";
import { startTop } from "./views/top.js";

const BUTTONS = { "new-chat": ["pen", () => openChat("")], "open-models": ["models", openModels], "open-more": ["more", (event) => openMore(event.currentTarget)], "open-side": ["menu", openSide], "open-settings": ["sliders", null], down: ["down", null] };

restoreTheme();
for (const [id, [name, act]] of Object.entries(BUTTONS)) {
  fill(at(id), icon(name));
  if (act) at(id).addEventListener("click", act);
}
at("veil").addEventListener("click", closeOver);
addEventListener("keydown", keys);
addEventListener("popstate", () => openChat(chatInAddress()));
if (/Mac|iPhone|iPad/.test(navigator.platform)) at("search-key").textContent = "⌘ K";

for (const start of [startTop, startSidebar, startConversation, startComposer, startDrawer, startModels, startSearch]) start();
begin();

async function begin() {
  const found = await attempt(() => get("/start"));
  if (!found) {
    setTimeout(begin, 2000);
    return;
  }
  update({ ...found, ready: true });
  connect(listen(position, tell, connected), tellMessage);
  if (chatInAddress()) await openChat(chatInAddress());
  else if (document.activeElement === document.body) focusTalk(); // somebody may have been quicker
}

const chatInAddress = () => /^#\/([\w-]+)$/.exec(location.hash)?.[1] ?? "";

/** What the server tells. */
function tell(kind, data) {
  if (data?.listed && kind !== "answering") state.listed = data.listed;
  if (kind === "message") inOrder(data.number, () => (tellMessage(data), data.notes?.length && toast(data.notes.join(" "))));
  else if (kind === "frame") inOrder(data.number, () => (tellFrame(data), look()));
  else if (kind === "chat") inOrder(data.number, () => tellChat(data));
  else if (kind === "answering") tellAnswering(data);
  else if (kind === "chats") reloadChats();
  else if (kind === "path") refresh();
  else if (kind === "models") update(data);
  else if (kind === "pulls") update({ pulls: data });
  else if (kind === "gone" || kind === "lost") {
    const id = data?.id ?? state.chat?.id;
    update({ chats: state.chats.filter((chat) => chat.id !== id) });
    if (state.chat?.id === id) openChat("");
  }
}

/** Who is answering now; and whether the list of chats has changed while nothing was told. */
function tellAnswering({ chats, listed }) {
  update({ chats: state.chats.map((chat) => ({ ...chat, answering: chats.includes(chat.id) })) });
  const known = state.listed;
  state.listed = listed;
  if (known !== listed) reloadChats();
}

/** A chat that is new, or has changed: it keeps its place unless something was said in it. */
function tellChat(chat) {
  const rest = state.chats.filter((each) => each.id !== chat.id);
  const known = rest.length < state.chats.length;
  const mine = state.contact === "" || (state.contact === "groups" ? chat.members.length > 0 : chat.model === state.contact);
  const chats = mine && !chat.archived ? [...rest, chat].sort(byPlace) : rest;
  if (!known && state.next && chats.at(-1) === chat) chats.pop(); // it is on a page that is still to come
  update(state.chat?.id === chat.id ? { chats, chat: { ...state.chat, ...chat }, messages: state.messages } : { chats });
}

let lost = false;

/** The stream of events came, or broke off. After a break, what is shown may be old. */
function connected(there) {
  if (there && lost) reloadChats(); // of the open chat the stream itself tells
  lost = !there;
  if (state.connected !== there) update({ connected: there });
}

function openSide() {
  document.body.classList.add("side-open");
  at("veil").hidden = false;
  at(matchMedia("(hover: none)").matches ? "new-chat" : "search").focus({ preventScroll: true }); // no keyboard over the list
}

function toSearch() {
  if (innerWidth <= 760) openSide();
  at("search").focus({ preventScroll: true });
}

/** Close what lies over the conversation on a small screen. */
function closeOver() {
  document.body.classList.remove("side-open");
  closeDrawer();
  at("veil").hidden = true;
}

function keys(event) {
  if (event.isComposing) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
  const act =
    control && key === "k" ? toSearch
    : control && event.shiftKey && key === "o" ? () => openChat("")
    : control && key === "." ? () => (at("drawer").hidden ? openDrawer() : closeDrawer())
    : event.key === "?" && (!typing || (document.activeElement === at("field") && !at("field").value)) && !document.querySelector("dialog[open]") ? openHelp
    : null;
  if (act) {
    event.preventDefault();
    act();
  } else if (event.key === "Escape" && !document.querySelector("dialog[open], .menu")) {
    if (document.body.classList.contains("side-open") || (!at("veil").hidden && !at("drawer").hidden)) closeOver();
    else if (state.chat?.answering && !event.defaultPrevented) stop();
  }
}
