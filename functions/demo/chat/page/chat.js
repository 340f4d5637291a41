// The page: it keeps the visitor connected, passes pushes to the modules of the page,
// and sends what the visitor types.

import { request } from "./backend.js";
import { Centrifuge } from "./centrifuge.js";
import { $, on, sentence } from "./element.js";
import * as live from "./live.js";
import * as log from "./log.js";
import * as people from "./people.js";
import { toast } from "./toast.js";

const STORED_NAME = "centrifuge-demo-name";

// Identifies the messages of this tab: another visitor may use the same name.
const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

let name = "";
let credentials; // the token in it proves to the backend who sends a wave
let joined = false; // whether the page was online since the visitor pressed Join
let sent = 0; // messages of this tab
let queue = Promise.resolve();

const centrifuge = new Centrifuge({
  credentials: async () => {
    credentials = await request("token", { name });
    people.init(credentials.user, wave); // before the first push arrives
    return credentials;
  },
  to: (user) => ({ room: ["lobby"], news: ["announcements"], live: ["counter", "poll"], user: [user] }),
  onMessage: show,
  onPresence: people.onPresence,
  onState: showState,
});

function show({ category, data }) {
  if (category === "live") live.show(data);
  else if (category === "user") showWave(data?.wave || "Unknown");
  else if (category === "news") log.addAnnouncement(textOf(data));
  else {
    // Messages of other visitors may contain any JSON.
    const author = typeof data?.name === "string" && data.name ? data.name : "Unknown";
    log.addMessage(author, textOf(data), typeof data?.id === "string" && data.id.startsWith(`${tab}-`));
  }
}

const textOf = (data) => (typeof data?.text === "string" ? data.text : JSON.stringify(data));

function showWave(from) {
  const author = String(from);
  toast(author, `${author} waves at you`);
  log.addNote(`${author} waved at you.`);
}

// Connection state.

function showState(state, { seconds, error }) {
  const waiting = seconds > 1 ? `Reconnecting within ${seconds} s` : "Reconnecting";
  const text = { connecting: joined ? "Reconnecting" : "Connecting", online: "Online", waiting, offline: "Offline" };
  $("status").textContent = text[state];
  $("status").dataset.state = state;
  $("join").disabled = state !== "offline";
  $("leave").hidden = state === "offline";

  const problem = error ? sentence(error.message) : "";
  if (state === "online") {
    if (joined) log.addNote("Online again. Messages that were sent in between are not shown.");
    else showRoom();
    $("problem").textContent = problem;
    refresh();
  } else if (state === "offline") {
    showWelcome(problem);
  } else if (state === "waiting") {
    $(joined ? "problem" : "join-problem").textContent = problem;
  }
}

function showRoom() {
  joined = true;
  sessionStorage.setItem(STORED_NAME, name);
  $("welcome").hidden = true;
  $("room").hidden = false;
  $("join-problem").textContent = "";
  log.addNote(`You joined as ${name}.`);
  (wide.matches ? $("message") : $("hero-title")).focus({ preventScroll: true });
}

function showWelcome(problem) {
  joined = false;
  sessionStorage.removeItem(STORED_NAME);
  log.clear();
  people.clear();
  people.addAll({});
  $("room").hidden = true;
  $("welcome").hidden = false;
  $("join-problem").textContent = problem;
  $("name").focus();
}

// Loads the state of which pushes contain only the changes: presence and totals.
function refresh() {
  const showIn = (problem) => (error) => { if (joined) problem.textContent = sentence(error.message); };
  people.clear();
  centrifuge.presence("room", "lobby").then(people.addAll).catch(showIn($("people-problem")));
  live.refresh().catch(showIn($("poll-problem")));
  $("people-problem").textContent = $("poll-problem").textContent = "";
}

// Forms.

function join(input) {
  name = input.trim();
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
  const params = { category: "room", channel: "lobby", data: { id: `${tab}-${++sent}`, name, text } };
  // Each message waits for the reply to the one before: frames that are sent together are
  // processed concurrently and may overtake each other.
  queue = queue.then(() => centrifuge.send("broadcast", params)).then(
    () => { $("problem").textContent = ""; },
    (error) => {
      $("problem").textContent = `Not sent: ${sentence(error.message)}`;
      $("message").value ||= text;
    },
  );
});

on($("announce-form"), "submit", $("announce-problem"), async () => {
  const text = $("announce-text").value.trim();
  if (!text) return;
  $("announce-text").value = "";
  try {
    await request("announce", { text });
  } catch (error) {
    $("announce-text").value ||= text;
    throw error;
  }
});

async function wave(to) {
  await request("wave", { from: credentials.user, token: credentials.token, to });
  toast(to, `You waved at ${to}`);
}

const wide = matchMedia("(min-width: 52rem)");
$("backend").open = matchMedia("(min-width: 52rem) and (min-height: 56rem)").matches;

const storedName = sessionStorage.getItem(STORED_NAME);
if (storedName) join(storedName);
