// Checks after which errors the client connects again. The fake WebSocket answers each
// command as the case says; a timer of the back-off runs at once.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const script = await readFile(new URL("../centrifuge.js", import.meta.url));
const { Centrifuge, Refused } = await import(`data:text/javascript;base64,${script.toString("base64")}`);

let reply; // (method, attempt, params) => the keys of a reply
let pushes; // sent after the reply to subscribe; text as it is
let client, attempts, uncaught, warnings;

globalThis.addEventListener = () => {};
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  constructor() { // browsers accept undefined
    this.attempt = ++attempts;
    queueMicrotask(() => this.onopen());
  }
  send(text) {
    const { id, method, params } = JSON.parse(text);
    const answer = reply(method, this.attempt, params);
    queueMicrotask(() => {
      this.#receive({ ack: true, id, method, result: answer.error ? null : true, error: null, ...answer });
      if (method === "subscribe") pushes.forEach((push) => this.#receive(push));
    });
  }
  close() {}
  #receive(frame) {
    this.onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }
};
console.warn = (...args) => warnings.push(args);

// Timers: exceptions of callbacks and waits before an attempt. Others, such as the
// time limit of a reply, never run.
globalThis.setTimeout = (callback, ms) => {
  if (ms === undefined) {
    queueMicrotask(() => {
      try {
        callback();
      } catch (error) {
        uncaught.push(error.message);
      }
    });
  } else if (ms < 10_000 && attempts < 4) queueMicrotask(callback);
  return 1;
};
globalThis.clearTimeout = () => {};

// Runs a client until nothing happens any more. Returns its states.
async function run(options, answer = () => ({}), then = []) {
  [reply, pushes, attempts, uncaught, warnings] = [answer, then, 0, [], []];
  const states = [];
  client = new Centrifuge({
    credentials: async () => ({ url: "ws://x", project: "p", user: "u", token: "t" }),
    to: {},
    onMessage: () => {},
    onState: (state, detail) => states.push([state, detail]),
    ...options,
  });
  client.start();
  for (let i = 0; i < 500; i++) await null;
  return states;
}

const names = (states) => states.map(([state]) => state);
const fails = (method, code) => (m, attempt) => (m === method && attempt < 4 ? { error: "text", code, detail: "help" } : {});

for (const method of ["auth", "subscribe"]) {
  for (const code of [103, 104, 106, 107, 108, 400, 401, 403, 404, 405, 413]) {
    const states = await run({}, fails(method, code));
    assert.deepEqual(names(states), ["connecting", "offline"], `${method}, code ${code}`);
    const { error } = states[1][1];
    assert.ok(error instanceof Refused);
    assert.deepEqual([error.message, error.code, error.detail], ["text", code, "help"]);
  }
  for (const code of [100, 101, 113, 402, 410]) {
    const states = await run({}, fails(method, code));
    assert.equal(attempts, 4, `${method}, code ${code}`);
    assert.equal(names(states).at(-1), "online", `${method}, code ${code}`);
  }
}

// A token that has expired is replaced once.
for (const method of ["auth", "subscribe"]) {
  const expired = (times) => (m, attempt) => (m === method && times(attempt) ? { error: "expired", code: 109, detail: "help" } : {});
  let states = await run({}, expired((attempt) => attempt === 1));
  assert.deepEqual([names(states), attempts], [["connecting", "waiting", "connecting", "online"], 2], method);
  states = await run({}, expired(() => true));
  assert.deepEqual([names(states), attempts], [["connecting", "waiting", "connecting", "offline"], 2], method);
  assert.deepEqual([states.at(-1)[1].error.message, states.at(-1)[1].error.code], ["expired", 109]);
  // Another failure between two expired tokens changes nothing.
  states = await run({}, (m, attempt) => (m !== method ? {} : { error: "text", code: attempt === 2 ? 100 : 109, detail: "help" }));
  assert.deepEqual([names(states).at(-1), attempts], ["offline", 3], method);
}

// A lost attempt of credentials is repeated, a Refused one is not.
let calls = 0;
assert.equal(names(await run({
  credentials: async () => {
    if (++calls < 3) throw new TypeError("fetch failed");
    return { url: "ws://x" };
  },
})).at(-1), "online");
assert.deepEqual(names(await run({ credentials: async () => { throw new Refused("signed out"); } })), ["connecting", "offline"]);
assert.deepEqual(names(await run({ credentials: async () => ({}) })), ["connecting", "offline"]);
assert.equal(attempts, 0);

// Exceptions of callbacks are reported, and the connection stays.
const message = { event_id: "1", data: {} };
const join = { event_id: "2", event: "join", client: {} };
const broken = () => { throw new Error("broken"); };
for (const [callback, then, times] of [["onMessage", [message, message], 2], ["onPresence", [join], 1]]) {
  const states = await run({ [callback]: broken }, undefined, then);
  assert.deepEqual([names(states), attempts, uncaught.length], [["connecting", "online"], 1, times], callback);
}
await run({ onState: broken });
assert.deepEqual([attempts, uncaught], [1, ["broken", "broken"]]);
assert.deepEqual(names(await run({ to: broken })), ["connecting", "offline"]);
assert.equal(attempts, 1);

// A message comes with its text. Several share a frame.
const received = [];
const receive = { onMessage: (...args) => received.push(args), onPresence: (push) => received.push([push]) };
await run(receive, undefined, [message]);
assert.deepEqual(received, [[message, JSON.stringify(message)]]);

const second = { event_id: "3", data: { "}]": ['"\\', "[{", '\\"]'], b: [[{}], []] }, offset: 7, epoch: "e", tags: { a: "}" } };
received.length = 0;
await run(receive, undefined, [[message, second, join], second, [second, message]]);
assert.deepEqual(received, [
  [message, JSON.stringify(message)], [second, JSON.stringify(second)], [join],
  [second, JSON.stringify(second)], [second, JSON.stringify(second)], [message, JSON.stringify(message)],
]);

// Digits and spaces of each message in a frame stay as they came.
const raw = '{"event_id":"4","data":{"n": 12345678901234567890.10}}';
received.length = 0;
await run(receive, undefined, [`[${raw} , ${raw}]`, raw]);
assert.deepEqual(received.map(([, text]) => text), [raw, raw, raw]);

// A long message, and an exception in the middle of a frame.
const long = { event_id: "5", data: '\\"'.repeat(40_000) };
received.length = 0;
await run({ onMessage: (push, text) => { received.push(text); broken(); } }, undefined, [[message, long, message]]);
assert.deepEqual([received, uncaught.length], [[message, long, message].map((push) => JSON.stringify(push)), 3]);

// After the page has stopped the client, it receives nothing of the rest of a frame.
received.length = 0;
const stopping = await run({ onMessage: (push) => { received.push(push.event_id); client.stop(); } }, undefined, [[message, second], second]);
assert.deepEqual([received, names(stopping)], [["1"], ["connecting", "offline"]]);

// The client asks for such frames.
const sent = [];
await run({}, (method, attempt, params) => { sent.push([method, params]); return {}; });
assert.deepEqual(sent[0], ["auth", { token: "t", user: "u", project_id: "p", permissions: {}, batch: true }]);

// Refused channels are passed on, or warned about.
const reasons = { staff: { room: { code: 403, error: "text", detail: "help" } } };
const refusing = (method) => (method === "subscribe" ? { refused: { staff: ["room"] }, reasons } : {});
let states = await run({}, refusing);
assert.deepEqual(names(states), ["connecting", "online"]);
assert.equal(states[1][1].error.message, 'not subscribed to {"staff":["room"]}');
assert.deepEqual(warnings, [["centrifuge: not subscribed to", reasons]]);
const passed = [];
await run({ onRefused: (r) => passed.push(r) }, refusing);
assert.deepEqual([passed, warnings], [[reasons], []]);
states = await run({ onRefused: broken }, refusing);
assert.deepEqual([names(states), attempts, uncaught], [["connecting", "online"], 1, ["broken"]]);
