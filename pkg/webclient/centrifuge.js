// A client of Centrifuge's classic protocol that stays connected.
//
//     const centrifuge = new Centrifuge({
//       credentials: async () => (await fetch("/token", { method: "POST" })).json(),
//       to: { news: ["announcements"] },
//       onMessage: ({ category, channel, data }) => show(data),
//       onState: (state) => { status.textContent = state; },
//     });
//     centrifuge.start();
//
// Commands are {id, method, params}. Each gets one reply, {ack: true, id, result, error}, with
// `code` and `detail` where it has an error.
// A frame without `ack` is a push: a message in a channel, or, with `event`, a join or a
// leave. Several pushes are one frame, an array.

const REPLY_TIMEOUT = 30_000;
const KEEP_ALIVE = 8 * 60_000; // API Gateway closes a connection that is idle for ten minutes
const BACK_OFF = 500;
const MAX_BACK_OFF = 30_000;
const STABLE = 10_000; // a connection of this duration resets the back-off

// The codes of errors that another attempt can change: a failure of the service, no auth, a conflict, no answer of
// validate_url, a connection that is over.
const REPEATABLE = [100, 101, 113, 402, 410];
const EXPIRED = 109; // changed by a new token: the page is asked for one, once

/**
 * A connection in a channel: its id, its user, and the info that the application attached to the user.
 * @typedef {{client: string, user: string, conn_info?: any}} Client
 */

/**
 * Why the client is not subscribed to a channel.
 * @typedef {{code: number, error: string, detail: string}} Reason
 */

/** An error after which the client does not connect again. */
export class Refused extends Error {}

// The texts of what a frame holds: of one object, or of each object in an array.
function textsOf(frame) {
  if (!frame.startsWith("[")) return [frame];
  const texts = [];
  let depth = 0, begin;
  for (const { 0: token, index } of frame.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g)) {
    if ((token === "{" || token === "[") && ++depth === 2) begin = index;
    else if ((token === "}" || token === "]") && --depth === 1) texts.push(frame.slice(begin, index + 1));
  }
  return texts;
}

// Makes an error one after which the client does not connect again.
const final = ({ message, code, detail }) => Object.assign(new Refused(message), { code, detail });

// Opens a WebSocket. An invalid address stays invalid, and undefined is no address: browsers take it for a relative one.
function connect(url) {
  if (!url) throw final(new TypeError("credentials has no url"));
  try {
    return new WebSocket(url);
  } catch (error) {
    throw final(error);
  }
}

// The error in a reply: its text, `code`, and `detail`, which says what to do.
class ReplyError extends Error {
  constructor({ error, code, detail }) {
    super(error);
    Object.assign(this, { code, detail });
  }
}

export class Centrifuge {
  #options;
  #socket = null;
  #pending = new Map();
  #lastId = 0;
  #run = 0; // one attempt and its connection; events of earlier runs are ignored
  #attempts = 0;
  #expired = false; // since the last time online, a token was refused as expired
  #onlineSince = 0;
  #timer = 0;
  #keepAlive = 0;

  /**
   * @param {object} options
   * @param {() => Promise<{url: string, project: string, user: string, token: string}>} options.credentials
   *   called before every attempt, which needs a fresh token; a second token in a row that has expired is final; throw
   *   Refused to stop
   * @param {Record<string, string[]> | ((user: string) => Record<string, string[]>)} options.to the channels to
   *   subscribe to, category to names; a function is called at every attempt, with the user of the credentials
   * @param {(push: {category: string, channel: string, event_id: string, data: any, offset?: number, epoch?: string,
   *   tags?: Record<string, string>}, text: string) => void} options.onMessage
   *   receives every message, and its text as it came: `data` has lost the digits of long numbers
   * @param {(push: {category: string, channel: string, event: "join" | "leave", client: Client}) => void} [options.onPresence]
   *   receives joins and leaves in categories with `join_leave`, also those of this client. A leave can arrive before its
   *   join, but a client joins once: a new connection of the same user is another client
   * @param {(reasons: Record<string, Record<string, Reason>>) => void} [options.onRefused] receives the channels that the
   *   client was not subscribed to, category to names to reasons; without it they are warned about on the console
   * @param {(state: "connecting" | "online" | "waiting" | "offline", detail: {seconds?: number, error?: Error}) => void} options.onState
   *   `offline` comes with the error that another attempt cannot change; it has `code` and `detail` where the server refused
   */
  constructor(options) {
    this.#options = options;
    // When the network is back, connect without waiting for the back-off.
    addEventListener("online", () => this.#timer && this.start());
  }

  /** Connects, and connects again after each loss of the connection, until stop. */
  start() {
    this.#end();
    this.#connect(this.#run);
  }

  /** Closes the connection and does not connect again. */
  stop(error) {
    this.#end();
    this.#attempts = 0;
    this.#expired = false;
    this.#call("onState", "offline", { error });
  }

  /** Sends a command. Resolves to its reply; rejects with the error in the reply. */
  send(method, params) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error("not connected"));
    }
    this.#stayOpen();
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, new Error("no reply within 30 s")), REPLY_TIMEOUT);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /**
   * Returns the clients in a channel of a category with `presence`. Call it when online: onPresence receives later joins.
   * @returns {Promise<Record<string, Client>>} by the id of the client
   */
  async presence(category, channel) {
    const { result } = await this.send("presence", { category, channel });
    return result.presence;
  }

  async #connect(run) {
    this.#call("onState", "connecting", {});
    if (run !== this.#run) return;
    try {
      const { url, token, user, project } = await this.#options.credentials();
      if (run !== this.#run) return;
      await this.#open(url, run);
      await this.send("auth", { token, user, project_id: project, permissions: {}, batch: true });
      const { refused, reasons = {} } = await this.send("subscribe", { to: this.#channels(user) });
      if (run !== this.#run) return;
      this.#onlineSince = Date.now();
      this.#expired = false;
      if (refused && this.#options.onRefused) this.#call("onRefused", reasons);
      else if (refused) console.warn("centrifuge: not subscribed to", reasons);
      this.#call("onState", "online", { error: refused && new Error(`not subscribed to ${JSON.stringify(refused)}`) });
    } catch (error) {
      this.#lost(run, error);
    }
  }

  // Sends a ping only after a long time without a frame: each frame costs money. A ping has no reply. Where the
  // network is lost, the browser closes the socket because nothing acknowledges the ping.
  #stayOpen() {
    clearTimeout(this.#keepAlive);
    this.#keepAlive = setTimeout(() => {
      this.#socket.send('{"method":"ping"}');
      this.#stayOpen();
    }, KEEP_ALIVE);
  }

  #open(url, run) {
    return new Promise((resolve, reject) => {
      const socket = (this.#socket = connect(url));
      const timer = setTimeout(() => reject(new Error("no connection within 30 s")), REPLY_TIMEOUT);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      // A callback may end the run: then the rest of the frame is not for the page.
      socket.onmessage = ({ data }) => textsOf(data).forEach((text) => socket === this.#socket && this.#receive(text));
      socket.onclose = () => {
        clearTimeout(timer);
        this.#lost(run, new Error("connection lost"));
        reject(new Error("connection lost"));
      };
    });
  }

  #channels(user) {
    const { to } = this.#options;
    try {
      return typeof to === "function" ? to(user) : to;
    } catch (error) {
      throw final(error);
    }
  }

  // Calls a callback of the page. Its exception is reported as uncaught, and changes nothing here.
  #call(callback, ...args) {
    try {
      this.#options[callback]?.(...args);
    } catch (error) {
      setTimeout(() => {
        throw error;
      });
    }
  }

  #receive(text) {
    const frame = JSON.parse(text);
    if (frame.ack) {
      const error = frame.error && new ReplyError(frame);
      // "unauthorized" and the reply to a malformed command have no id: it can be the reply to any pending command.
      const ids = frame.id === null ? [...this.#pending.keys()] : [frame.id];
      ids.forEach((id) => this.#settle(id, error, frame));
    } else if (frame.event) {
      this.#call("onPresence", frame);
    } else if (frame.event_id) {
      this.#call("onMessage", frame, text);
    } else if (frame.message) {
      // API Gateway sends this frame after a function failed. It has no id either.
      [...this.#pending.keys()].forEach((id) => this.#settle(id, new Error(frame.message)));
    }
  }

  #settle(id, error, reply) {
    const command = this.#pending.get(id);
    if (!command) return;
    this.#pending.delete(id);
    clearTimeout(command.timer);
    if (error) command.reject(error);
    else command.resolve(reply);
  }

  // Ends the run without waiting for `close`, which a lost network can delay for minutes.
  #end() {
    this.#run++;
    clearTimeout(this.#timer);
    clearTimeout(this.#keepAlive);
    this.#timer = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    [...this.#pending.keys()].forEach((id) => this.#settle(id, new Error("connection lost")));
  }

  #repeatable({ code }) {
    if (code !== EXPIRED) return REPEATABLE.includes(code);
    const first = !this.#expired;
    this.#expired = true;
    return first;
  }

  #lost(run, error) {
    if (run !== this.#run) return;
    if (error instanceof ReplyError && !this.#repeatable(error)) error = final(error);
    if (error instanceof Refused) {
      this.stop(error);
      return;
    }
    this.#end();
    if (this.#onlineSince && Date.now() - this.#onlineSince > STABLE) this.#attempts = 0;
    this.#onlineSince = 0;
    // Full jitter: after an outage, the clients must not all connect at the same time.
    const wait = Math.random() * Math.min(MAX_BACK_OFF, BACK_OFF * 2 ** this.#attempts++);
    this.#timer = setTimeout(() => this.start(), wait);
    this.#call("onState", "waiting", { seconds: Math.ceil(wait / 1000), error });
  }
}
