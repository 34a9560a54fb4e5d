/** The one place where HTML is inserted: blocks that the server has rendered and sanitised, into `div.rendered`. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

// Browsers that know Trusted Types refuse HTML from anywhere but this policy, which nothing else can reach.
const policy = window.trustedTypes?.createPolicy("furet", { createHTML: (html) => html });

/**
 * Replace the blocks of a text from `first` on.
 * @param {Element} parent whose `div.rendered` are the blocks
 * @param {number} first @param {string[]} blocks
 */
export function showBlocks(parent, first, blocks) {
  const there = parent.querySelectorAll(":scope > .rendered");
  for (let index = first + blocks.length; index < there.length; index += 1) there[index].remove();
  blocks.forEach((html, offset) => {
    const old = there[first + offset];
    const block = h("div.rendered");
    block.innerHTML = policy ? policy.createHTML(html) : html;
    for (const figure of block.querySelectorAll("figure")) figure.append(copyButton());
    const [was, now] = [old, block].map((each) => each?.querySelector(":scope > details"));
    if (was && now) goOn(was, now);
    else if (old) old.replaceWith(block);
    else parent.append(block);
  });
}

/** Put what is in a fold into one that is shown: it stays open, and its title focused. @param {Element} shown @param {Element} now */
function goOn(shown, now) {
  const [title, ...rest] = now.childNodes;
  shown.firstChild.textContent = title.textContent;
  while (shown.childNodes.length > 1) shown.lastChild.remove();
  shown.append(...rest);
}

function copyButton() {
  return h("button.icon", { type: "button", "data-copy": true, "aria-label": "Copy the code", title: "Copy" }, icon("copy"));
}
