// The page: it keeps the visitor connected, hands on what is pushed, and sends what
// is typed. Each kind of thing on it has a module of its own.

import { ask } from "./backend.js";
import { Centrifuge } from "./centrifuge.js";
import { $, sentence, when } from "./element.js";
import * as live from "./live.js";
import * as log from "./log.js";
import * as people from "./people.js";
import { toast } from "./toast.js";

const STORED_NAME = "centrifuge-demo-name";

// Marks this tab's own messages, wherever else somebody uses the same name.
const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

let name = "";
let ticket; // the credentials, whose token proves to the backend who waves
let joined = false; // has been online since the visitor pressed Join
let said = 0;
let queue = Promise.resolve();

const centrifuge = new Centrifuge({
  credentials: async () => {
    ticket = await ask("token", { name });
    people.setUp(ticket.user, wave); // before the first push comes
    return ticket;
  },
  to: (user) => ({ room: ["lobby"], news: ["announcements"], live: ["counter", "poll"], user: [user] }),
  onMessage: show,
  onPresence: people.hear,
  onState: showState,
});

function show({ category, data }) {
  if (category === "live") live.show(data);
  else if (category === "user") showWave(data?.wave || "Somebody");
  else if (category === "news") log.announce(textOf(data));
  else {
    // Other visitors wrote this, and may have written anything.
    const speaker = typeof data?.name === "string" && data.name ? data.name : "Somebody";
    log.say(speaker, textOf(data), typeof data?.id === "string" && data.id.startsWith(`${tab}-`));
  }
}

const textOf = (data) => (typeof data?.text === "string" ? data.text : JSON.stringify(data));

function showWave(who) {
  const from = String(who);
  toast(from, `${from} waves at you`);
  log.note(`${from} waved at you.`);
}

// State.

function showState(state, { seconds, error }) {
  const again = seconds > 1 ? `Reconnecting within ${seconds} s` : "Reconnecting";
  const text = { connecting: joined ? "Reconnecting" : "Connecting", online: "Online", waiting: again, offline: "Offline" };
  $("status").textContent = text[state];
  $("status").dataset.state = state;
  $("join").disabled = state !== "offline";
  $("leave").hidden = state === "offline";

  const problem = error ? sentence(error.message) : "";
  if (state === "online") {
    if (joined) log.note("Back online. What was said in between is not shown.");
    else enter();
    $("problem").textContent = problem;
    catchUp();
  } else if (state === "offline") {
    exit(problem);
  } else if (state === "waiting") {
    $(joined ? "problem" : "join-problem").textContent = problem;
  }
}

function enter() {
  joined = true;
  sessionStorage.setItem(STORED_NAME, name);
  $("welcome").hidden = true;
  $("room").hidden = false;
  $("join-problem").textContent = "";
  log.note(`You are here as ${name}.`);
  (wide.matches ? $("message") : $("hero-title")).focus({ preventScroll: true });
}

function exit(problem) {
  joined = false;
  sessionStorage.removeItem(STORED_NAME);
  log.clear();
  people.forget();
  people.welcome({});
  $("room").hidden = true;
  $("welcome").hidden = false;
  $("join-problem").textContent = problem;
  $("name").focus();
}

// Asks for what pushes tell of changes only: who is here, and what was counted so far.
function catchUp() {
  const or = (problem) => (error) => { if (joined) problem.textContent = sentence(error.message); };
  people.forget();
  centrifuge.presence("room", "lobby").then(people.welcome).catch(or($("people-problem")));
  live.refresh().catch(or($("poll-problem")));
  $("people-problem").textContent = $("poll-problem").textContent = "";
}

// Forms.

function join(who) {
  name = who.trim();
  $("name").value = name;
  $("join-problem").textContent = "";
  if (name) centrifuge.start();
}

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("name").value);
});

$("leave").addEventListener("click", () => centrifuge.stop());

$("message-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  if (!text) return;
  $("message").value = "";
  const command = { category: "room", channel: "lobby", data: { id: `${tab}-${++said}`, name, text } };
  // One after the other: frames sent at once are handled at once, and may overtake each other.
  queue = queue.then(() => centrifuge.send("broadcast", command)).then(
    () => { $("problem").textContent = ""; },
    (error) => {
      $("problem").textContent = `Not sent: ${sentence(error.message)}`;
      $("message").value ||= text;
    },
  );
});

when($("announce-form"), "submit", $("announce-problem"), async () => {
  const text = $("announce-text").value.trim();
  if (!text) return;
  $("announce-text").value = "";
  try {
    await ask("announce", { text });
  } catch (error) {
    $("announce-text").value ||= text;
    throw error;
  }
});

async function wave(to) {
  await ask("wave", { from: ticket.user, token: ticket.token, to });
  toast(to, `You waved at ${to}`);
}

const wide = matchMedia("(min-width: 52rem)");
$("backend").open = matchMedia("(min-width: 52rem) and (min-height: 56rem)").matches;

const stored = sessionStorage.getItem(STORED_NAME);
if (stored) join(stored);
