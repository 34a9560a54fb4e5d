/** The left column: contacts, and the chats with them. */

import { chooseContact, moreChats, openChat, changeChat, deleteChat } from "../actions.js";
import { at, fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { namesOf, shortened, state, watch } from "../state.js";
import { period, when } from "../words.js";
import { avatar, avatarOf } from "./avatar.js";
import { confirm, menu } from "./dialog.js";
import { exportChat } from "./transfer.js";
import { results } from "./search.js";

export function startSidebar() {
  watch(["models", "contact", "chats"], () => fill(at("contacts"), ...contacts()));
  const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && moreChats());
  watch(["chats", "chat", "found", "models", "ready"], () => {
    fill(at("chats"), ...(state.found ? results() : chats()));
    seen.disconnect();
    const end = at("chats").querySelector(".more");
    if (end) seen.observe(end);
  });
}

function contacts() {
  const groups = state.contact === "groups" || state.chats.some((chat) => chat.members.length);
  return [
    contact("", "All", h("span.avatar.sign", { "aria-hidden": "true" }, icon("talk"))),
    ...state.models.map((model) => contact(model.name, shortened(model.name), avatar(model.name), model.awake)),
    groups && contact("groups", "Groups", h("span.avatar.sign", { "aria-hidden": "true" }, icon("group"))),
  ].filter(Boolean);
}

function contact(value, name, picture, awake = false) {
  const label = awake ? `${name}, loaded` : name;
  const choose = () => chooseContact(state.contact === value ? "" : value);
  return h("button.contact", { type: "button", "data-key": `contact ${value}`, "aria-pressed": state.contact === value, "aria-label": label, title: value || name, onclick: choose },
    picture, h("span.name", {}, name));
}

function chats() {
  if (!state.ready) return [4, 7, 5].map(() => h("div.empty", { "aria-hidden": "true" }, h("div.skeleton")));
  if (!state.chats.length) return [h("p.empty", {}, h("b", {}, state.contact ? "No chats with this contact yet" : "No chats yet"), "Write a message, and it is kept here.")];
  const nodes = [];
  let heading = "";
  let list = h("ul");
  for (const chat of state.chats) {
    const under = chat.pinned ? "Pinned" : period(chat.updated);
    if (under !== heading) {
      heading = under;
      list = h("ul", { "aria-label": under });
      nodes.push(h("h2", {}, under), list);
    }
    list.append(entry(chat));
  }
  if (state.next) nodes.push(h("button.button.plain.more", { type: "button", "data-key": "more", onclick: moreChats }, "More chats"));
  return nodes;
}

/** @param {import("../state.js").Chat} chat */
function entry(chat) {
  const open = state.chat?.id === chat.id;
  const title = chat.title || "New chat";
  const said = chat.answering ? h("span.said.busy", {}, "writing…") : h("span.said", {}, chat.preview || namesOf(chat).join(", "));
  return h("li.chat", { class: open ? "open" : "" },
    h("a", { href: `#/${chat.id}`, "data-key": chat.id, "aria-current": open ? "page" : undefined, onclick: (event) => (event.preventDefault(), openChat(chat.id)) },
      avatarOf(chat),
      h("span.lines", {},
        h("span.line", {}, h("span.name", {}, title), h("time", {}, when(chat.updated))),
        said)),
    h("button.icon", { type: "button", "aria-label": `More for ${title}`, "aria-haspopup": "menu", "data-key": `more ${chat.id}`, onclick: (event) => options(event.currentTarget, chat) }, icon("more")));
}

/** What can be done with a chat. @param {HTMLElement} button @param {import("../state.js").Chat} chat */
export function options(button, chat) {
  menu(button, [
    { label: chat.pinned ? "Unpin" : "Pin to the top", icon: "pin", act: () => changeChat(chat.id, { pinned: !chat.pinned }) },
    { label: "Export as Markdown", icon: "save", act: () => exportChat(chat.id, "markdown") },
    { label: "Export as JSON", icon: "save", act: () => exportChat(chat.id, "json") },
    null,
    { label: "Delete…", icon: "bin", bad: true, act: () => ask(chat) },
  ]);
}

async function ask(chat) {
  if (await confirm("Delete this chat?", `“${chat.title || "New chat"}” and all its messages will be gone for good.`, "Delete")) deleteChat(chat.id);
}
