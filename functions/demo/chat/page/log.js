// What was said, announced, and noted.

import { $, avatar, element } from "./element.js";

const MAX_ENTRIES = 300;

const [log, entries] = [$("log"), $("entries")];
let lastSpeaker = "";
let atEnd = true; // the log is scrolled to its end

/** Shows a message in the lobby; mine tells that this tab sent it. */
export function say(speaker, text, mine) {
  const entry = element("li", "entry", avatar(speaker), element("b", "who", speaker), element("p", "text", text), clock());
  const key = `${mine} ${speaker}`;
  entry.classList.toggle("mine", mine);
  entry.classList.toggle("more", key === lastSpeaker);
  append(entry, mine);
  lastSpeaker = key;
}

export function announce(text) {
  append(element("li", "entry news", element("span", "label", "Announcement"), element("p", "text", text), clock()), false);
}

export function note(text) {
  append(element("li", "entry note", text), true);
}

export function clear() {
  lastSpeaker = "";
  entries.replaceChildren();
}

function append(entry, always) {
  lastSpeaker = "";
  if (always) atEnd = true;
  entries.append(entry);
  while (entries.childElementCount > MAX_ENTRIES) entries.firstChild.remove();
  follow();
}

// Keeps the newest in view, unless the visitor has scrolled back to read.
function follow() {
  if (atEnd) log.scrollTop = log.scrollHeight;
}

log.addEventListener("scroll", () => {
  atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
new ResizeObserver(follow).observe(log); // a keyboard opens, a phone is turned

function clock() {
  const now = new Date();
  const time = element("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = now.toISOString();
  return time;
}
