// The log: messages, announcements and notes.

import { $, avatar, element } from "./element.js";

const MAX_ENTRIES = 300;

const [log, entries] = [$("log"), $("entries")];
let lastAuthor = "";
let atEnd = true; // whether the log is scrolled to its end

/** Adds a message. own is true for messages of this tab. */
export function addMessage(author, text, own) {
  const entry = element("li", "entry", avatar(author), element("b", "author", author), element("p", "text", text), clock());
  const key = `${own} ${author}`;
  entry.classList.toggle("own", own);
  entry.classList.toggle("same-author", key === lastAuthor);
  append(entry, own);
  lastAuthor = key;
}

/** Adds an announcement. */
export function addAnnouncement(text) {
  append(element("li", "entry news", element("span", "label", "Announcement"), element("p", "text", text), clock()), false);
}

/** Adds a note of the page itself. */
export function addNote(text) {
  append(element("li", "entry note", text), true);
}

/** Removes all entries. */
export function clear() {
  lastAuthor = "";
  entries.replaceChildren();
}

function append(entry, scroll) {
  lastAuthor = "";
  if (scroll) atEnd = true;
  entries.append(entry);
  while (entries.childElementCount > MAX_ENTRIES) entries.firstChild.remove();
  scrollToEnd();
}

// Keeps the newest entry visible, unless the visitor scrolled back.
function scrollToEnd() {
  if (atEnd) log.scrollTop = log.scrollHeight;
}

log.addEventListener("scroll", () => {
  atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
new ResizeObserver(scrollToEnd).observe(log); // an on-screen keyboard or a rotated phone

function clock() {
  const now = new Date();
  const time = element("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = now.toISOString();
  return time;
}
