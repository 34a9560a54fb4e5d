/** Conversations out of furet and into it. */

import { download, post } from "../api.js";
import { openChat, reloadChats } from "../actions.js";
import { h } from "../dom.js";
import { count } from "../words.js";
import { attempt, toast } from "./toast.js";

const LARGEST = 22e6; // bytes, which base64 makes a third more

/** @param {string} chat @param {"json" | "markdown"} format */
export const exportChat = (chat, format) => save(`/chats/${chat}/export?format=${format}`);
export const exportAll = () => save("/export");

async function save(path) {
  const found = await attempt(() => download(path));
  if (!found) return;
  const [bytes, name] = found;
  const address = URL.createObjectURL(bytes);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Ask for a file and read it in. */
export function importFile() {
  const field = h("input", { type: "file", accept: ".json,.zip,application/json,application/zip", "aria-label": "File to import", id: "import-file", hidden: true });
  document.body.append(field);
  field.addEventListener("change", async () => {
    const [file] = field.files;
    field.remove();
    if (file) await read(file);
  });
  field.addEventListener("cancel", () => field.remove());
  field.click();
}

/** @param {File} file */
async function read(file) {
  if (file.size > LARGEST) {
    toast("This file is larger than 22 MB, more than the page can read. `furet chat --import FILE` in a terminal reads up to 256 MB.");
    return;
  }
  const found = await attempt(async () => post("/import", { name: file.name, data: await inBase64(file) }));
  if (!found) return;
  await reloadChats();
  if (found.count === 1) await openChat(found.chats[0].id);
  toast(`${count(found.count, "chat")} with ${count(found.messages, "message")} imported.`);
}

/** @param {File} file @returns {Promise<string>} */
function inBase64(file) {
  return new Promise((give, fail) => {
    const reader = new FileReader();
    reader.onload = () => give(String(reader.result).split(",")[1] ?? "");
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(file);
  });
}
