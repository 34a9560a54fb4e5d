/** What the page knows. Views read it and are told when a part of it changed; `update` is the only way to change it. */

/**
 * @typedef {{name: string, model: string, system: string | null}} Member
 * @typedef {{id: string, title: string, model: string | null, members: Member[], turns: string, system: string,
 *   format: string | null, settings: Record<string, any>, pinned: boolean, archived: boolean, preview: string,
 *   updated: number, answering: boolean}} Chat
 * @typedef {{id: string, parent: string | null, role: string, speaker: string | null, model: string | null,
 *   text: string, calls: string[], blocks: string[], state: "complete" | "streaming" | "stopped" | "failed", error: string | null,
 *   siblings: string[], tokens: number, prompt: number, rate: number, reason: string | null, final?: number}} Message
 * @typedef {{name: string, ref: string, bytes: number, awake: boolean, planned: number}} Model
 */

export const state = {
  /** @type {Model[]} */ models: [],
  /** @type {{used: number, budget: number}} */ memory: { used: 0, budget: 0 },
  /** @type {any[]} */ pulls: [],
  /** the model for those who have none */ suggested: "",
  /** @type {any[]} */ samplers: [],
  /** @type {any[]} */ formats: [],
  /** @type {any[]} */ presets: [],
  /** @type {Chat[]} */ chats: [],
  /** where the next page of chats begins @type {string | null} */ next: null,
  /** only chats with this model, or "" @type {string} */ contact: "",
  /** the chat on screen, or null on the first screen @type {Chat | null} */ chat: null,
  /** of the open chat, from the oldest that is shown on @type {Message[]} */ messages: [],
  /** older messages are on the server @type {boolean} */ earlier: false,
  /** @type {{query: string, hits: any[]} | null} */ found: null,
  /** @type {boolean} */ connected: true,
  /** how often the list of chats has changed, as far as is known */ listed: 0,
  /** @type {boolean} */ ready: false,
};

/** @type {[Set<string>, () => void][]} */
const watchers = [];

/** @param {Partial<typeof state>} changes */
export function update(changes) {
  Object.assign(state, changes);
  const names = Object.keys(changes);
  for (const [wanted, act] of watchers) if (names.some((name) => wanted.has(name))) act();
}

/** Run a view now and whenever one of these parts changes. @param {(keyof typeof state)[]} names @param {() => void} act */
export function watch(names, act) {
  watchers.push([new Set(names), act]);
  act();
}

/** The answer that is being written in the open chat. */
export const writing = () => state.messages.find((message) => message.state === "streaming");

/** What people call a model: a path or an address is cut to its end. @param {string | null} name */
export const shortened = (name) => (name ?? "").split("/").pop().replace(/\.gguf$/i, "") || "No model";

/** Who takes part in a chat, as people call them. @param {Chat} chat @returns {string[]} */
export const namesOf = (chat) => (chat.members.length ? chat.members.map((member) => member.name) : [shortened(chat.model)]);

/** The models that take part in a chat. @param {Chat} chat @returns {string[]} */
export const modelsOf = (chat) => (chat.members.length ? chat.members.map((member) => member.model) : [chat.model ?? ""]);
