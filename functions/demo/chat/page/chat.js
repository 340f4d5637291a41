// The page: who is here, what is said, and where it is typed.

import { Centrifuge, Refused } from "./centrifuge.js";

const MAX_ENTRIES = 300;
const STORED_NAME = "centrifuge-demo-name";

const $ = (id) => document.getElementById(id);
const page = Object.fromEntries(
  ["welcome", "join-form", "name", "join", "join-problem", "room", "log", "entries", "problem", "message-form", "message",
    "backend", "announce-form", "announce-text", "announce-problem", "status", "leave"].map((id) => [id, $(id)]),
);

// Marks this tab's own messages, wherever else somebody uses the same name.
const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

let name = "";
let joined = false; // has been online since the visitor pressed Join
let said = 0;
let lastSpeaker = "";
let atEnd = true; // the log is scrolled to its end
let queue = Promise.resolve();

const centrifuge = new Centrifuge({
  credentials: () => post("token", { name }),
  to: { chat: ["lobby"], news: ["announcements"] },
  onMessage: show,
  onState: showState,
});

// Asks the application's backend. Rejects with what it says went wrong.
async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
  } catch {
    throw new Error("the application cannot be reached");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const message = answer.error ?? `the application answered with status ${response.status}`;
  throw response.status === 400 || response.status === 403 ? new Refused(message) : new Error(message);
}

// State.

function showState(state, { seconds, error }) {
  const again = seconds > 1 ? `Reconnecting within ${seconds} s` : "Reconnecting";
  const text = { connecting: joined ? "Reconnecting" : "Connecting", online: "Online", waiting: again, offline: "Offline" };
  page.status.textContent = text[state];
  page.status.dataset.state = state;
  page.join.disabled = state !== "offline";
  page.leave.hidden = state === "offline";

  const problem = error ? sentence(error.message) : "";
  if (state === "online") {
    if (joined) note("Back online. What was said in between is not shown.");
    else enter();
    page.problem.textContent = problem;
  } else if (state === "offline") {
    exit(problem);
  } else if (state === "waiting") {
    (joined ? page.problem : page["join-problem"]).textContent = problem;
  }
}

function enter() {
  joined = true;
  sessionStorage.setItem(STORED_NAME, name);
  page.welcome.hidden = true;
  page.room.hidden = false;
  page["join-problem"].textContent = "";
  note(`You are here as ${name}.`);
  page.message.focus();
}

function exit(problem) {
  joined = false;
  lastSpeaker = "";
  sessionStorage.removeItem(STORED_NAME);
  page.entries.replaceChildren();
  page.room.hidden = true;
  page.welcome.hidden = false;
  page["join-problem"].textContent = problem;
  page.name.focus();
}

// Messages. Whatever came from outside becomes text, never markup.

function show({ category, data }) {
  const text = typeof data?.text === "string" ? data.text : JSON.stringify(data);
  if (category === "news") {
    lastSpeaker = "";
    const label = element("span", "label", "Announcement");
    append(element("li", "entry news", label, element("p", "text", text), clock()), false);
    return;
  }
  const speaker = typeof data?.name === "string" && data.name ? data.name : "Somebody";
  const mine = typeof data?.id === "string" && data.id.startsWith(`${tab}-`);
  const key = `${mine} ${speaker}`;
  const entry = element("li", "entry", element("span", "avatar", initial(speaker)), element("b", "who", speaker),
    element("p", "text", text), clock());
  entry.classList.toggle("mine", mine);
  entry.classList.toggle("more", key === lastSpeaker);
  entry.firstChild.setAttribute("aria-hidden", "true");
  entry.style.setProperty("--hue", hue(speaker));
  lastSpeaker = key;
  append(entry, mine);
}

function note(text) {
  lastSpeaker = "";
  append(element("li", "entry note", text), true);
}

function append(entry, always) {
  if (always) atEnd = true;
  page.entries.append(entry);
  while (page.entries.childElementCount > MAX_ENTRIES) page.entries.firstChild.remove();
  follow();
}

// Keeps the newest in view, unless the visitor has scrolled back to read.
function follow() {
  if (atEnd) page.log.scrollTop = page.log.scrollHeight;
}

page.log.addEventListener("scroll", () => {
  atEnd = page.log.scrollHeight - page.log.scrollTop - page.log.clientHeight < 40;
});
new ResizeObserver(follow).observe(page.log); // a keyboard opens, a phone is turned

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function clock() {
  const now = new Date();
  const time = element("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = now.toISOString();
  return time;
}

const initial = (who) => [...who][0].toLocaleUpperCase();
const hue = (who) => [...who].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 360, 7);
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Forms.

function join(who) {
  name = who.trim();
  page.name.value = name;
  page["join-problem"].textContent = "";
  if (name) centrifuge.start();
}

page["join-form"].addEventListener("submit", (event) => {
  event.preventDefault();
  join(page.name.value);
});

page.leave.addEventListener("click", () => centrifuge.stop());

page["message-form"].addEventListener("submit", (event) => {
  event.preventDefault();
  const text = page.message.value.trim();
  if (!text) return;
  page.message.value = "";
  const command = { category: "chat", channel: "lobby", data: { id: `${tab}-${++said}`, name, text } };
  // One after the other: frames sent at once are handled at once, and may overtake each other.
  queue = queue.then(() => centrifuge.send("broadcast", command)).then(
    () => { page.problem.textContent = ""; },
    (error) => {
      page.problem.textContent = `Not sent: ${sentence(error.message)}`;
      page.message.value ||= text;
    },
  );
});

page["announce-form"].addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = page["announce-text"];
  const button = event.submitter ?? page["announce-form"].querySelector("button");
  button.disabled = true;
  page["announce-problem"].textContent = "";
  try {
    await post("announce", { text: field.value });
    field.value = "";
  } catch (error) {
    page["announce-problem"].textContent = sentence(error.message);
  } finally {
    button.disabled = false;
  }
});

page.backend.open = matchMedia("(min-width: 52rem)").matches;

const stored = sessionStorage.getItem(STORED_NAME);
if (stored) join(stored);
