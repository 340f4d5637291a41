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
// Commands are {id, method, params}; each gets one reply, {ack: true, id, result,
// error}. Whatever has no `ack` is a push: a message in a channel, or, with an
// `event`, somebody who joined or left it.

const REPLY_TIMEOUT = 10_000;
const KEEP_ALIVE = 8 * 60_000; // API Gateway closes a connection that is idle for ten minutes
const BACK_OFF = 500;
const MAX_BACK_OFF = 30_000;
const STABLE = 10_000; // a connection that held this long starts the back-off anew

// Answers to `auth` that another attempt would not change.
const FINAL = ["invalid token", "permission denied", "project not found"];

/**
 * A connection in a channel: its id, whose it is, and what the application tells of the user.
 * @typedef {{client: string, user: string, conn_info?: any}} Client
 */

/** An error after which connecting again is of no use. */
export class Refused extends Error {}

export class Centrifuge {
  #options;
  #socket = null;
  #pending = new Map();
  #lastId = 0;
  #run = 0; // one attempt and the connection it leads to; what belongs to an earlier one is ignored
  #attempts = 0;
  #onlineSince = 0;
  #timer = 0;
  #keepAlive = 0;

  /**
   * @param {object} options
   * @param {() => Promise<{url: string, project: string, user: string, token: string}>} options.credentials
   *   asked before every attempt, so that each has a fresh token; throw Refused to give up
   * @param {Record<string, string[]> | ((user: string) => Record<string, string[]>)} options.to the channels to be in,
   *   category to names; a function is asked at every attempt, and told whom the credentials are for
   * @param {(push: {category: string, channel: string, event_id: string, data: any}) => void} options.onMessage
   *   gets every message
   * @param {(push: {category: string, channel: string, event: "join" | "leave", client: Client}) => void} [options.onPresence]
   *   hears who joins and leaves, in categories with `join_leave`; of this client, too. News may overtake each other, but
   *   a client that left does not come back: whoever connects again is another client of the same user
   * @param {(state: "connecting" | "online" | "waiting" | "offline", detail: {seconds?: number, error?: Error}) => void} options.onState
   */
  constructor(options) {
    this.#options = options;
    // Rather than sit out the wait, try as soon as the network is back.
    addEventListener("online", () => this.#timer && this.start());
  }

  /** Connects, and connects again whenever the connection is lost, until stop. */
  start() {
    this.#end();
    this.#connect(this.#run);
  }

  /** Closes the connection for good. */
  stop(error) {
    this.#end();
    this.#attempts = 0;
    this.#options.onState("offline", { error });
  }

  /** Sends a command. Resolves to its reply; rejects with what the reply says went wrong. */
  send(method, params) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error("not connected"));
    }
    this.#stayOpen();
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, new Error("no answer in time")), REPLY_TIMEOUT);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /**
   * Asks who is in a channel of a category with `presence`. Ask when online: whoever comes later is told by onPresence.
   * @returns {Promise<Record<string, Client>>} by the id of the client
   */
  async presence(category, channel) {
    const { result } = await this.send("presence", { category, channel });
    return result.presence;
  }

  async #connect(run) {
    this.#options.onState("connecting", {});
    try {
      const { url, token, user, project } = await this.#options.credentials();
      if (run !== this.#run) return;
      await this.#open(url, run);
      await this.#authenticate({ token, user, project_id: project, permissions: {} });
      const { to } = this.#options;
      const { refused } = await this.send("subscribe", { to: typeof to === "function" ? to(user) : to });
      if (run !== this.#run) return;
      this.#onlineSince = Date.now();
      this.#options.onState("online", { error: refused && new Error(`not subscribed to ${JSON.stringify(refused)}`) });
    } catch (error) {
      this.#lost(run, error);
    }
  }

  // Says something when nothing has been said for long: each frame costs, and so does its reply.
  #stayOpen() {
    const run = this.#run;
    clearTimeout(this.#keepAlive);
    this.#keepAlive = setTimeout(() => {
      this.send("subscribe", { to: {} }).catch((error) => this.#lost(run, error));
    }, KEEP_ALIVE);
  }

  #open(url, run) {
    return new Promise((resolve, reject) => {
      const socket = (this.#socket = new WebSocket(url));
      const timer = setTimeout(() => reject(new Error("no connection in time")), REPLY_TIMEOUT);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(data);
      socket.onclose = () => {
        clearTimeout(timer);
        this.#lost(run, new Error("connection lost"));
        reject(new Error("connection lost"));
      };
    });
  }

  async #authenticate(params) {
    try {
      await this.send("auth", params);
    } catch (error) {
      throw FINAL.some((message) => error.message.startsWith(message)) ? new Refused(error.message) : error;
    }
  }

  #receive(text) {
    const frame = JSON.parse(text);
    if (frame.ack) {
      const error = frame.error && new Error(frame.error);
      // A command that could not even be read has a reply without an id: it may be any of them.
      const ids = frame.id === null ? [...this.#pending.keys()] : [frame.id];
      ids.forEach((id) => this.#settle(id, error, frame));
    } else if (frame.event) {
      this.#options.onPresence?.(frame);
    } else if (frame.event_id) {
      this.#options.onMessage(frame);
    } else if (frame.message) {
      // Not Centrifuge but API Gateway itself, when a function failed: it names no command either.
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

  // Ends the run: by hand rather than by waiting for `close`, which a dead network delays for minutes.
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

  #lost(run, error) {
    if (run !== this.#run) return;
    if (error instanceof Refused) {
      this.stop(error);
      return;
    }
    this.#end();
    if (this.#onlineSince && Date.now() - this.#onlineSince > STABLE) this.#attempts = 0;
    this.#onlineSince = 0;
    // Full jitter: when a server restarts, its clients must not come back all at once.
    const wait = Math.random() * Math.min(MAX_BACK_OFF, BACK_OFF * 2 ** this.#attempts++);
    this.#timer = setTimeout(() => this.start(), wait);
    this.#options.onState("waiting", { seconds: Math.ceil(wait / 1000), error });
  }
}
