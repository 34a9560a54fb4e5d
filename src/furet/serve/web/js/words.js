/** Numbers, times and messages as people read them. */

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(bytes < 1e10 ? 1 : 0)} GB`;
}

/** A message of the server as a sentence; a name that it begins with keeps its letters. @param {string} text */
export function sentence(text) {
  const whole = text.replaceAll(/; (\w)/g, (_, letter) => `. ${letter.toUpperCase()}`);
  const begun = /^[a-z]+([ ,]|$)/.test(whole) ? whole[0].toUpperCase() + whole.slice(1) : whole;
  return begun + (/[.?]$/.test(begun) ? "" : ".");
}

/** A moment in the list of chats: the hour today, else the day. @param {number} seconds */
export function when(seconds) {
  const date = new Date(seconds * 1000);
  if (age(seconds) < 1) return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (age(seconds) < 7) return date.toLocaleDateString("en-GB", { weekday: "short" });
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
}

/** The heading under which a chat of that moment stands. @param {number} seconds */
export function period(seconds) {
  const days = age(seconds);
  if (days < 1) return "Today";
  if (days < 2) return "Yesterday";
  if (days < 7) return "This week";
  return new Date(seconds * 1000).toLocaleDateString("en-GB", { month: "long", year: "numeric" });
}

/** Whole days since midnight of that day, by the calendar. */
function age(seconds) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  return Math.max(0, Math.ceil((midnight - seconds * 1000) / 86_400_000));
}

export const count = (/** @type {number} */ number, /** @type {string} */ one) => `${number.toLocaleString("en-GB")} ${one}${number === 1 ? "" : "s"}`;
