/**
 * What happens on the server, as it happens. One stream for each tab: it tells of all chats, and of the open one in
 * full. A stream that is opened again says what the page has, so nothing is missed and nothing comes twice. While the
 * page is hidden there is none, for a browser grants a server only six connections.
 */

import { Failure, stream } from "./api.js";

/** @typedef {{chat: string, last: string, have: number}} Position the open chat, its last message that is shown, and where
 *  that is being written, how many of its blocks are final */

/**
 * @param {() => Position} position asked for whenever the stream is opened
 * @param {(kind: string, data: any) => void} tell
 * @param {(there: boolean) => void} connected
 */
export function listen(position, tell, connected) {
  let current = new AbortController();
  let wake = () => {};

  async function follow() {
    for (let failures = 0; ; ) {
      if (document.hidden) await new Promise((go) => (wake = go));
      current = new AbortController();
      const { signal } = current;
      try {
        const words = new URLSearchParams(Object.entries(position()).map(([key, value]) => [key, String(value)]));
        const source = await stream(`/events?${words}`, signal);
        connected(true);
        failures = 0;
        for await (const [kind, data] of parsed(source)) if (!signal.aborted) tell(kind, data);
      } catch (error) {
        if (!signal.aborted && error instanceof Failure && error.status === 404) tell("lost", null);
      }
      if (signal.aborted) continue; // reopened on purpose
      failures += 1;
      connected(false);
      await new Promise((go) => setTimeout((wake = go), Math.min(8000, 300 * 2 ** failures)));
    }
  }

  const reopen = () => {
    current.abort();
    wake();
  };
  document.addEventListener("visibilitychange", reopen);
  follow();
  return reopen;
}

/** The events in a stream of text. @param {ReadableStream<string>} source */
async function* parsed(source) {
  const reader = source.getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const match = /^event: (\w+)\ndata: (.*)$/s.exec(part); // "s": U+2028 is a line's end to JavaScript
        if (match) yield [match[1], JSON.parse(match[2])];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
