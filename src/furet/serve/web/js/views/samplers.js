/** The control of one setting: a label, a sentence, a field. Empty means the default. */

import { calm, h } from "../dom.js";

/**
 * @param {any} setting as the server describes it
 * @param {any} value undefined: the default
 * @param {(value: any) => void} change
 */
export function control(setting, value, change) {
  const id = `set-${setting.name}`;
  const about = h("p.about", { id: `${id}-about` }, setting.about);
  const label = h("label", { for: id }, setting.label);
  const common = { id, "aria-describedby": `${id}-about` };
  if (setting.kind === "switch") {
    const box = h("input", { ...common, type: "checkbox", checked: value ?? setting.default, onchange: () => change(box.checked === setting.default ? undefined : box.checked) });
    label.prepend(box);
    return h("div.setting.check", {}, label, about);
  }
  if (setting.kind === "text" || setting.kind === "lines") return written(setting, value, change, { label, about, common });
  return number(setting, value, change, { label, about, common });
}

function written(setting, value, change, { label, about, common }) {
  const lines = setting.kind === "lines";
  const text = lines ? [value ?? []].flat().map(escaped).join("\n") : typeof value === "object" && value ? JSON.stringify(value) : (value ?? "");
  const save = calm(500, () => {
    const given = field.value;
    change(!given.trim() ? undefined : lines ? given.split("\n").filter(Boolean).map(unescaped) : given);
  });
  const field = h("textarea.field", { ...common, rows: 2, value: text, spellcheck: "false", oninput: save, placeholder: lines ? [setting.default ?? []].flat().map(escaped).join("  ") : "" });
  return h("div.setting", {}, label, about, field);
}

const escaped = (/** @type {string} */ text) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const unescaped = (/** @type {string} */ text) => text.replaceAll(/\\(n|\\)/g, (_, letter) => (letter === "n" ? "\n" : "\\"));

function number(setting, value, change, { label, about, common }) {
  const { least, most, step = setting.kind === "whole" ? 1 : "any" } = setting;
  const bounds = { min: least, max: most, step };
  const field = h("input.field", { ...common, ...bounds, type: "number", inputmode: "decimal", value: value ?? "", placeholder: setting.default ?? "none" });
  const wrong = h("span.wrong", { role: "alert" });
  const slider = setting.kind === "slider" && h("input", { ...bounds, type: "range", value: value ?? setting.default, tabindex: -1, "aria-hidden": "true" });
  const save = calm(300, () => change(field.value === "" ? undefined : Number(field.value)));
  field.addEventListener("input", () => {
    const fine = field.validity.valid || field.validity.stepMismatch;
    field.setAttribute("aria-invalid", String(!fine));
    wrong.textContent = fine ? "" : `From ${least ?? "any"} to ${most ?? "any"}.`;
    if (slider) slider.value = field.value === "" ? setting.default : field.value;
    if (fine) save();
  });
  slider?.addEventListener?.("input", () => {
    field.value = slider.value;
    field.dispatchEvent(new Event("input"));
  });
  return h("div.setting", {}, label, about, h("div.pair", {}, slider, field), wrong);
}
