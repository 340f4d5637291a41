// The page: it connects the visitor, passes what arrives to the modules of the page, and
// sends what the visitor types. index.html loads npm centrifuge, which keeps the connection.

import { Refused, request } from "./backend.js";
import { $, on, sentence } from "./element.js";
import * as live from "./live.js";
import * as log from "./log.js";
import * as people from "./people.js";
import { toast } from "./toast.js";

const { Centrifuge } = globalThis;
const STORED_NAME = "centrifuge-demo-name";
const IDLE = 8 * 60_000; // API Gateway closes a connection on which nothing was sent for ten minutes

// Identifies the messages of this tab: another visitor may use the same name.
const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

let name = "";
let credentials; // the token in it proves to the backend who sends a wave
let client; // npm centrifuge, of the last time that the visitor joined
let room; // its subscription to the lobby
let attempts = 0; // how often the visitor has pressed Join or Leave
let joined = false; // whether the page was online since the visitor pressed Join
let sent = 0; // messages of this tab
let queue = Promise.resolve();

function connect() {
  client = new Centrifuge(credentials.url, { token: credentials.token, getToken });
  client.on("connecting", () => showStatus("connecting", joined ? "Reconnecting" : "Connecting"));
  client.on("disconnected", ({ code, reason }) => showWelcome(code === 0 ? "" : reason));
  // The token subscribes the visitor to a channel of its own.
  client.on("publication", ({ data }) => showWave(data?.wave || "Unknown"));
  subscribe("news:announcements").on("publication", ({ data }) => log.addAnnouncement(textOf(data)));
  for (const channel of ["live:counter", "live:poll"]) subscribe(channel).on("publication", ({ data }) => live.show(data));
  room = subscribe("room:lobby", { joinLeave: true });
  room.on("publication", ({ data }) => showMessage(data));
  room.on("join", ({ info }) => people.join(info));
  room.on("leave", ({ info }) => people.leave(info));
  room.on("subscribed", online); // the last one
  client.connect();
}

function subscribe(channel, options) {
  const subscription = client.newSubscription(channel, options);
  subscription.on("unsubscribed", ({ reason }) => {
    $(joined ? "problem" : "join-problem").textContent = sentence(`not subscribed to ${channel}: ${reason}`);
  });
  subscription.subscribe();
  return subscription;
}

// Called before the token ends.
async function getToken() {
  try {
    credentials = await request("token", { name });
    return credentials.token;
  } catch (error) {
    throw error instanceof Refused ? new Centrifuge.UnauthorizedError(error.message) : error;
  }
}

// Any command keeps the connection open.
setInterval(() => client?.state === "connected" && room.presenceStats().catch(() => {}), IDLE);

// Messages of other visitors may contain any JSON.
function showMessage(data) {
  const author = typeof data?.name === "string" && data.name ? data.name : "Unknown";
  log.addMessage(author, textOf(data), typeof data?.id === "string" && data.id.startsWith(`${tab}-`));
}

const textOf = (data) => (typeof data?.text === "string" ? data.text : JSON.stringify(data));

function showWave(from) {
  const author = String(from);
  toast(author, `${author} waves at you`);
  log.addNote(`${author} waved at you.`);
}

// Connection state.

function showStatus(state, text) {
  $("status").textContent = text;
  $("status").dataset.state = state;
  $("join").disabled = state !== "offline";
  $("leave").hidden = state === "offline";
}

function online({ recovered }) {
  showStatus("online", "Online");
  if (!joined) showRoom();
  else log.addNote(recovered ? "Online again." : "Online again. Messages that were sent in between are not shown.");
  $("problem").textContent = "";
  refresh();
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
  showStatus("offline", "Offline");
  joined = false;
  sessionStorage.removeItem(STORED_NAME);
  log.clear();
  people.clear();
  people.addAll({});
  $("room").hidden = true;
  $("welcome").hidden = false;
  $("join-problem").textContent = problem && sentence(problem);
  $("name").focus();
}

// Loads the state of which pushes contain only the changes: presence and totals.
function refresh() {
  const showIn = (problem) => (error) => { if (joined) problem.textContent = sentence(error.message); };
  people.clear();
  room.presence().then(({ clients }) => people.addAll(clients)).catch(showIn($("people-problem")));
  live.refresh().catch(showIn($("poll-problem")));
  $("people-problem").textContent = $("poll-problem").textContent = "";
}

// Forms.

async function join(input) {
  name = input.trim();
  $("name").value = name;
  $("join-problem").textContent = "";
  if (!name) return;
  showStatus("connecting", "Connecting");
  const attempt = ++attempts;
  const [issued, problem] = await request("token", { name }).then((token) => [token], ({ message }) => [null, message]);
  if (attempt !== attempts) return; // left in between
  if (!issued) {
    showWelcome(problem);
    return;
  }
  credentials = issued;
  people.init(credentials.user, wave); // before the first push arrives
  connect();
}

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("name").value);
});

$("leave").addEventListener("click", () => {
  attempts++;
  client?.disconnect();
  showWelcome("");
});

$("message-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  if (!text) return;
  $("message").value = "";
  const message = { id: `${tab}-${++sent}`, name, text };
  // Each message waits for the reply to the one before: frames that are sent together are
  // processed concurrently and may overtake each other.
  queue = queue.then(() => room.publish(message)).then(
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
