// Who is here: asked once when online, and told by every join and leave from then on.
//
// What counts is connections, and somebody with two tabs has two of them: a name is
// here until its last connection has left.

import { $, avatar, element, when } from "./element.js";

const MAX_SHOWN = 100;
const MAX_GONE = 1000;

const [list, count, more] = [$("people"), $("people-count"), $("people-more")];
const here = new Map(); // user by client
// Who has left. A client never comes back under its id, so that whatever order news arrives in, the end is the same.
const gone = new Set();
let me = "";
let onWave = () => {};

/** Says who looks at the list, and what a press of Wave does, which is told the name. */
export function setUp(user, wave) {
  me = user;
  onWave = wave;
}

/** Forgets who was here before the connection was lost. Whoever joins meanwhile is kept by welcome. */
export function forget() {
  here.clear();
}

/** Adds all who were here when asked: a presence, client by id. */
export function welcome(presence) {
  Object.values(presence).forEach(arrive);
  show();
}

/** Takes a push with an event. */
export function hear({ event, client }) {
  if (event === "join") arrive(client);
  if (event === "leave") depart(client);
  show();
}

function arrive({ client, user }) {
  if (user && !gone.has(client)) here.set(client, user);
}

function depart({ client }) {
  here.delete(client);
  gone.add(client);
  if (gone.size > MAX_GONE) gone.delete(gone.values().next().value);
}

function show() {
  const names = [...new Set(here.values())].sort((a, b) => (b === me) - (a === me) || a.localeCompare(b));
  const shown = names.slice(0, MAX_SHOWN);
  // Those who stay keep their element: it may have the focus.
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
  if (name === me) {
    item.append(element("span", "you", "you"));
    return item;
  }
  const wave = element("button", "quiet", "Wave");
  wave.type = "button";
  wave.setAttribute("aria-label", `Wave at ${name}`);
  when(wave, "click", $("people-problem"), () => onWave(name));
  item.append(wave);
  return item;
}
