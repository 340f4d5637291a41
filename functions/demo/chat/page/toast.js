// Short news at the edge of the page: read out, seen for a moment, and gone.

import { $, avatar, element } from "./element.js";

const SHOWN = 7000;
const MAX_TOASTS = 3;

const toasts = $("toasts");

export function toast(who, text) {
  const made = element("p", "toast", avatar(who), element("span", "", text));
  toasts.append(made);
  while (toasts.childElementCount > MAX_TOASTS) toasts.firstChild.remove();
  setTimeout(() => made.remove(), SHOWN);
}
