// The list of present users: loaded once when online, then updated by joins and leaves.
//
// Presence counts connections. A user with two tabs has two of them and is present
// until the last one has left.

import { $, avatar, element, on } from "./element.js";

const MAX_SHOWN = 100;
const MAX_LEFT = 1000;

const [list, count, more] = [$("people"), $("people-count"), $("people-more")];
const present = new Map(); // client id to user
// Clients that have left. A client id is never used again, so joins, leaves and the
// loaded presence may arrive in any order.
const left = new Set();
let ownUser = "";
let onWave = () => {};

/** Sets the user of this page and the function that the Wave buttons call with a name. */
export function init(user, wave) {
  ownUser = user;
  onWave = wave;
}

/** Removes all clients, before the presence is loaded again. */
export function clear() {
  present.clear();
}

/** Adds the clients of a loaded presence, client id to client. */
export function addAll(presence) {
  Object.values(presence).forEach(add);
  show();
}

/** Adds a client that has joined. */
export function join(client) {
  add(client);
  show();
}

/** Removes a client that has left. */
export function leave(client) {
  remove(client);
  show();
}

function add({ client, user }) {
  if (user && !left.has(client)) present.set(client, user);
}

function remove({ client }) {
  present.delete(client);
  left.add(client);
  if (left.size > MAX_LEFT) left.delete(left.values().next().value);
}

function show() {
  const names = [...new Set(present.values())].sort((a, b) => (b === ownUser) - (a === ownUser) || a.localeCompare(b));
  const shown = names.slice(0, MAX_SHOWN);
  // Elements of users who are still present are kept, because they may have the focus.
  const items = new Map([...list.children].map((item) => [item.dataset.name, item]));
  for (const [name, item] of items) {
    if (!shown.includes(name)) item.remove();
  }
  shown.forEach((name, i) => {
    const item = items.get(name) ?? person(name);
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
  count.textContent = names.length;
  more.hidden = names.length <= MAX_SHOWN;
  more.textContent = `and ${names.length - MAX_SHOWN} more`;
}

function person(name) {
  const item = element("li", "person", avatar(name), element("span", "name", name));
  item.dataset.name = name;
  if (name === ownUser) {
    item.append(element("span", "you", "you"));
    return item;
  }
  const wave = element("button", "plain", "Wave");
  wave.type = "button";
  wave.setAttribute("aria-label", `Wave at ${name}`);
  on(wave, "click", $("people-problem"), () => onWave(name));
  item.append(wave);
  return item;
}
