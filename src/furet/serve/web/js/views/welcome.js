/** The first screen: who is here, what it needs, and one thing to do. */

import { post } from "../api.js";
import { contactForNew, say } from "../actions.js";
import { h } from "../dom.js";
import { namesOf, shortened, state } from "../state.js";
import { size } from "../words.js";
import { avatar } from "./avatar.js";
import { openModels } from "./models.js";
import { attempt } from "./toast.js";

const STARTS = [
  ["Explain something", "Explain in three sentences why the sky is blue."],
  ["Write a letter", "Write a short, friendly note that thanks a neighbour for watering the plants."],
  ["A little code", "Write a Python function that tells whether a text is a palindrome."],
  ["Compare", "Compare tea and coffee in a small table."],
];

const plans = new Map(); // what a model needs, by its name, once it was asked for

export function welcome() {
  if (!state.ready) return [h("div.hello", { "aria-busy": "true" }, h("div.skeleton"), h("div.skeleton"))];
  const here = state.models.length > 0;
  return [
    h("span.peek", { "aria-hidden": "true" }, h("img", { src: "/ui/peek.svg", alt: "" })),
    h("div.hello", {}, ...(state.chat ? beginning(state.chat) : greeting(here)), ...(state.chat ? [] : [suggestion(here)])),
    here && h("div.starts", { role: "group", "aria-label": "To begin with" }, ...STARTS.map(([label, text]) => h("button.start", { type: "button", "data-key": label, title: text, onclick: () => say(text) }, label))),
  ].filter(Boolean);
}

function greeting(here) {
  const back = state.chats.length > 0;
  return [
    h("h1", {}, back ? "What shall we talk about?" : "Hello. Nice to have you here."),
    h("p.lead", {}, back
      ? "A new chat begins with your first line. Everything stays on this machine."
      : here
        ? "This is a model of your own: it runs on this machine, keeps your words here, and needs no account. Just write below."
        : "Models run on this machine and keep your words here. There is none yet; a small one is soon fetched."),
  ];
}

/** @param {import("../state.js").Chat} chat */
function beginning(chat) {
  const names = namesOf(chat);
  const [last, ...before] = names.map((name) => name.replaceAll("-", "\u2011")).reverse(); // no line ends within a name
  const title = before.length ? `${before.reverse().join(", ")} and ${last} are listening.` : `A new chat with ${last}.`;
  const lead = names.length > 1 ? "Each answers in turn. Call one by name, as in @" + names[0] + ", and only that one does." : chat.system || "Write below. Its settings are at the top right.";
  return [h("h1", {}, title), h("p.lead", {}, lead)];
}

const suggested = () => (state.models.length ? contactForNew() : state.suggested);
const pullOf = (name) => state.pulls.find((each) => each.ref === name && !each.error);

/** Show how far the download has come; false where that takes another card. @param {Element} shown what `welcome` made */
export function progressed(shown) {
  const bar = shown.querySelector("progress");
  const pull = pullOf(suggested());
  if (bar && pull) bar.replaceWith(progress(pull));
  return Boolean(bar) === Boolean(pull);
}

const progress = (pull) => h("progress", { max: pull.total ?? 1, value: pull.total ? pull.done : undefined, "aria-label": "Download" });

function suggestion(here) {
  const name = suggested();
  const model = state.models.find((each) => each.name === name);
  const pull = pullOf(name);
  return h("div.default", {},
    avatar(name),
    h("div.lines", {}, h("div.name", {}, shortened(name)), h("div.quiet", {}, needs(name, model))),
    pull
      ? progress(pull)
      : here
        ? h("button.button.main", { type: "button", "data-key": "main", onclick: () => say("Hello") }, "Say hello")
        : h("button.button.main", { type: "button", "data-key": "main", onclick: () => attempt(() => post("/models/pull", { ref: name })) }, "Fetch it"),
    h("button.button.plain", { type: "button", "data-key": "others", onclick: openModels }, here ? "Other models" : "Others"));
}

/** What it takes on the disk and in memory. */
function needs(name, model) {
  const disk = model ? `${size(model.bytes)} on this disk` : "98 MB to fetch";
  if (model?.awake) return `${disk}, loaded with ${size(model.planned)} of memory`;
  const line = h("span", {}, disk);
  const show = (plan) => plan?.total && (line.textContent = `${disk}, needs ${size(plan.total)} of memory`);
  if (model) {
    if (!plans.has(name)) plans.set(name, post("/models/plan", { ref: name }).catch(() => null));
    plans.get(name).then(show);
  }
  return line;
}
