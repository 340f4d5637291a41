// Short notifications at the edge of the page. Screen readers read them aloud.

import { $, avatar, element } from "./element.js";

const DURATION = 7000;
const MAX_TOASTS = 3;

const toasts = $("toasts");

export function toast(name, text) {
  const created = element("p", "toast", avatar(name), element("span", "", text));
  toasts.append(created);
  while (toasts.childElementCount > MAX_TOASTS) toasts.firstChild.remove();
  setTimeout(() => created.remove(), DURATION);
}
