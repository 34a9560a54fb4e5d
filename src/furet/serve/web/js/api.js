/** Talking to the server. Every failure becomes a `Failure` with a sentence for people. */

import { sentence } from "./words.js";

const ROOT = "/ui/api";

export class Failure extends Error {
  /** @param {string} message @param {number} status 0 when there was no answer */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** @param {string} path @param {Record<string, any>} [query] what is undefined or empty is left out */
export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const words = new URLSearchParams(given.map(([key, value]) => [key, String(value)]));
  return ask("GET", words.size ? `${path}?${words}` : path);
}
export const post = (path, body = {}) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);
export const remove = (path, body = undefined) => ask("DELETE", path, body);

/** The bytes of an export, and the name it should have. @param {string} path @returns {Promise<[Blob, string]>} */
export async function download(path) {
  const answer = await reached("GET", path);
  const bytes = await came(answer.blob());
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1];
  return [bytes, name ?? "furet.json"];
}

/** A stream of events; ends when the server or the signal ends it. @param {string} path @param {AbortSignal} signal */
export async function stream(path, signal) {
  return (await reached("GET", path, undefined, signal)).body.pipeThrough(new TextDecoderStream());
}

async function ask(method, path, body) {
  const answer = await reached(method, path, body);
  return answer.status === 204 ? null : came(answer.json());
}

/** What a connection brings; that it broke off is a failure like that there was none. @template T @param {Promise<T>} promise */
function came(promise, signal = undefined) {
  return promise.catch((error) => {
    if (signal?.aborted) throw error;
    throw new Failure("furet does not answer. Is `furet serve` still running?", 0);
  });
}

async function reached(method, path, body, signal) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await came(fetch(ROOT + path, { method, headers, body: body && JSON.stringify(body), signal }), signal);
  if (answer.ok) return answer;
  if (answer.status === 401) location.assign("/"); // the guard's page asks for the token
  const told = await answer.json().catch(() => null);
  const message = told?.error?.message;
  throw new Failure(message ? sentence(message) : `The server said ${answer.status}.`, answer.status);
}
