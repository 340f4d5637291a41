// Conversations of npm centrifuge with the local stack, for Node and for browsers: it imports
// nothing. conversations() returns them; each throws where something is not as it must be.
//
// It knows neither how the stack is started nor where it runs.

/** How long a conversation may wait for something, in milliseconds. It ends one that hangs. */
const patience = 20_000;

/** The project of seed.json. */
const [project, secret, apiKey] = ["sdk", "sdk-secret", "sdk-key"];

/**
 * Runs every conversation, four at a time, and calls report(name, error) after each. Returns the
 * number of failures.
 *
 * Centrifuge is the class of npm centrifuge, WebSocket the class of sockets. http is the address
 * of the HTTP API, socket that of the WebSocket API, management that of the management API.
 */
export async function converseAll({ Centrifuge, WebSocket, http, socket, management }, report) {
  const stack = new Stack(Centrifuge, WebSocket, http, socket, management);
  const waiting = Object.entries(conversations);
  const run = Date.now().toString(36); // the table may have the channels of another run
  let failures = 0;
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, converse] = next;
      const clients = [];
      let failure;
      try {
        await converse(stack.for(clients), `${name.replaceAll(" ", "-")}-${run}`);
      } catch (error) {
        failure = error;
        failures++;
      }
      for (const client of clients) client.disconnect();
      report(name, failure);
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return failures;
}

function check(condition, what, ...values) {
  if (!condition) throw new Error(`${what}: ${values.map((value) => JSON.stringify(value)).join(", ")}`);
}

const same = (got, want, what) => check(JSON.stringify(got) === JSON.stringify(want), what, got, want);

/** The events of one kind, in their order. */
class Events {
  #waiting = [];
  #got = [];

  constructor(emitter, name) {
    emitter.on(name, (context) => {
      const next = this.#waiting.shift();
      if (next) next(context);
      else this.#got.push(context);
    });
    this.name = name;
  }

  get length() {
    return this.#got.length;
  }

  async next(what = this.name) {
    if (this.#got.length > 0) return this.#got.shift();
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no ${what} within ${patience} ms`)), patience);
    });
    try {
      return await Promise.race([new Promise((resolve) => this.#waiting.push(resolve)), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function eventually(ask) {
  const end = Date.now() + patience;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`not within ${patience} ms: ${ask}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Seconds since 1970, with an offset. */
const after = (seconds) => Math.floor(Date.now() / 1000) + seconds;

class Stack {
  constructor(Centrifuge, WebSocket, http, socket, management) {
    Object.assign(this, { Centrifuge, WebSocket, http, socket, management });
  }

  /** The stack for one conversation, which adds its clients to a list. */
  for(clients) {
    const one = Object.create(this);
    one.clients = clients;
    return one;
  }

  /** Signs claims with the secret of the project. */
  async token(claims, key = secret) {
    const encode = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const text = (value) => new TextEncoder().encode(value);
    const signed = `${encode(text(`{"alg":"HS256","typ":"JWT"}`))}.${encode(text(JSON.stringify(claims)))}`;
    const imported = await crypto.subtle.importKey("raw", text(key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return `${signed}.${encode(new Uint8Array(await crypto.subtle.sign("HMAC", imported, text(signed))))}`;
  }

  /** Calls the server API. */
  async api(method, params) {
    const response = await fetch(`${this.http}/api/${method}`, { method: "POST", headers: { "X-API-Key": apiKey }, body: JSON.stringify(params) });
    const answer = await response.json();
    check(response.ok && !answer.error, method, params, answer);
    return answer.result;
  }

  async publish(channel, ...data) {
    for (const value of data) await this.api("publish", { channel, data: value });
  }

  /** A client that is not connected. */
  client(options, query = `?project=${project}`) {
    const client = new this.Centrifuge(this.socket + query, { websocket: this.WebSocket, minReconnectDelay: 50, ...options });
    this.clients.push(client);
    client.events = {};
    for (const name of ["connecting", "connected", "disconnected", "error", "message", "subscribed", "unsubscribed", "publication", "join", "leave"]) {
      client.events[name] = new Events(client, name);
    }
    return client;
  }

  /** A client of a user that is connected. */
  async connect(user, options) {
    const client = this.client({ token: await this.token({ sub: user, info: { name: user } }), ...options });
    client.connect();
    client.id = (await client.events.connected.next()).client;
    return client;
  }

  /** A subscription that has not begun. */
  subscription(client, channel, options) {
    const subscription = client.newSubscription(channel, options);
    subscription.events = {};
    for (const name of ["subscribing", "subscribed", "unsubscribed", "error", "publication", "join", "leave"]) {
      subscription.events[name] = new Events(subscription, name);
    }
    return subscription;
  }

  async subscribe(client, channel, options) {
    const subscription = this.subscription(client, channel, options);
    subscription.subscribe();
    await subscription.events.subscribed.next();
    return subscription;
  }

  /** Closes a connection as API Gateway does. */
  async cut(id) {
    const headers = { Authorization: "AWS4-HMAC-SHA256 unverified" };
    const response = await fetch(`${this.management}/@connections/${encodeURIComponent(id)}`, { method: "DELETE", headers });
    check(response.ok, "delete a connection", response.status);
  }
}

/** Waits for publications with the data and the offsets from, from + 1 and so on. */
async function positions(subscription, from, to) {
  for (let n = from; n <= to; n++) {
    const { data, offset } = await subscription.events.publication.next(`publication ${n}`);
    same([data, offset], [n, n], "publication");
  }
}

/** The code of the error with which a call fails. */
async function codeOf(call) {
  try {
    await call;
  } catch (error) {
    return error.code ?? error;
  }
  return 0;
}

const usersOf = ({ clients }) => Object.values(clients).map((client) => client.user).sort();

const conversations = {
  async publish(stack, id) {
    const [ann, bob] = [await stack.connect(`ann-${id}`), await stack.connect(`bob-${id}`)];
    const subscription = await stack.subscribe(ann, `chat:${id}`);
    for (let n = 0; n < 5; n++) {
      await bob.publish(`chat:${id}`, { n });
      const { data, info } = await subscription.events.publication.next();
      same([data, info.user, info.connInfo], [{ n }, `bob-${id}`, { name: `bob-${id}` }], "publication");
    }
    await subscription.publish("mine");
    same((await subscription.events.publication.next()).data, "mine", "own publication");
    await stack.api("publish", { channel: `chat:${id}`, data: 1, tags: { a: "b" } });
    const { data, info, tags } = await subscription.events.publication.next();
    same([data, info, tags], [1, undefined, { a: "b" }], "publication of the application");
  },

  async refusals(stack, id) {
    const ann = await stack.connect(`ann-${id}`);
    same(await codeOf(ann.publish(`news:${id}`, 1)), 103, "publish without the right");
    same(await codeOf(ann.publish(`nowhere:${id}`, 1)), 102, "publish to an unknown category");
    same(await codeOf(ann.presence(`news:${id}`)), 108, "presence of a category without");
    same(await codeOf(ann.presenceStats(`news:${id}`)), 108, "presence stats of a category without");
    same(await codeOf(ann.history(`chat:${id}`, { limit: 1 })), 108, "history of a category without");
    same(await codeOf(ann.rpc("method", {})), 108, "rpc without an application");
    for (const [channel, code] of [[`nowhere:${id}`, 102], [`$chat:${id}`, 103]]) {
      const subscription = stack.subscription(ann, channel);
      subscription.subscribe();
      same((await subscription.events.unsubscribed.next()).code, code, `subscribe to ${channel}`);
    }
    ann.send({}).catch(() => {});
    same((await ann.events.disconnected.next()).code, 3508, "send without an application");
  },

  async presence(stack, id) {
    const channel = `chat:${id}`;
    const clients = [await stack.connect(`ann-${id}`), await stack.connect(`ann-${id}`), await stack.connect(`bob-${id}`)];
    const subscriptions = [];
    for (const client of clients) subscriptions.push(await stack.subscribe(client, channel));
    same(usersOf(await subscriptions[0].presence()), [`ann-${id}`, `ann-${id}`, `bob-${id}`], "presence");
    const { numClients, numUsers } = await clients[0].presenceStats(channel);
    same([numClients, numUsers], [3, 2], "presence stats");
    subscriptions[1].unsubscribe();
    clients[2].disconnect();
    await eventually(async () => JSON.stringify(usersOf(await clients[0].presence(channel))) === JSON.stringify([`ann-${id}`]));
  },

  async "join and leave"(stack, id) {
    const [ann, bob] = [await stack.connect(`ann-${id}`), await stack.connect(`bob-${id}`)];
    const subscription = await stack.subscribe(ann, `chat:${id}`, { joinLeave: true });
    same((await subscription.events.join.next()).info.user, `ann-${id}`, "own join");
    const silent = await stack.subscribe(bob, `chat:${id}`);
    const { user, client, connInfo } = (await subscription.events.join.next()).info;
    same([user, client, connInfo], [`bob-${id}`, bob.id, { name: `bob-${id}` }], "join");
    bob.disconnect();
    same((await subscription.events.leave.next()).info.user, `bob-${id}`, "leave");
    same(silent.events.join.length + silent.events.leave.length, 0, "joins and leaves of one that did not ask for them");
  },

  async history(stack, id) {
    const channel = `log:${id}`;
    await stack.publish(channel, 1, 2, 3, 4, 5);
    const ann = await stack.connect(`ann-${id}`);
    const { epoch, offset } = await ann.history(channel, {});
    same(offset, 5, "top");
    const read = async (options) => (await ann.history(channel, options)).publications.map((p) => [p.offset, p.data]);
    const numbered = (...all) => all.map((n) => [n, n]);
    same(await read({ limit: -1 }), numbered(1, 2, 3, 4, 5), "all");
    same(await read({ limit: 2, reverse: true }), numbered(5, 4), "the last two");
    same(await read({ limit: -1, since: { offset: 3, epoch } }), numbered(4, 5), "after a position");
    same(await codeOf(ann.history(channel, { limit: 1, since: { offset: 1, epoch: "another" } })), 112, "since another epoch");
  },

  async "recovery after cuts"(stack, id) {
    const channel = `log:${id}`;
    await stack.publish(channel, 1);
    const ann = await stack.connect(`ann-${id}`);
    const subscription = stack.subscription(ann, channel);
    subscription.subscribe();
    const first = await subscription.events.subscribed.next();
    same([first.recoverable, first.positioned, first.wasRecovering, first.streamPosition.offset], [true, true, false, 1], "subscribed");
    let n = 2;
    for (let round = 0; round < 4; round++) {
      await stack.publish(channel, n, n + 1);
      await stack.cut(ann.id);
      await stack.publish(channel, n + 2, n + 3);
      await positions(subscription, n, n + 3);
      const { wasRecovering, recovered } = await subscription.events.subscribed.next();
      same([wasRecovering, recovered], [true, true], "subscribed again");
      ann.id = (await ann.events.connected.next()).client;
      n += 4;
    }
  },

  async "recovery after a while"(stack, id) {
    const channel = `log:${id}`;
    const ann = await stack.connect(`ann-${id}`);
    const subscription = await stack.subscribe(ann, channel);
    await stack.publish(channel, 1);
    await positions(subscription, 1, 1);
    ann.disconnect();
    await stack.publish(channel, 2, 3);
    ann.connect();
    await positions(subscription, 2, 3);
    ann.disconnect();
    await stack.publish(channel, 4);
    await stack.api("history_remove", { channel });
    await subscription.events.subscribed.next();
    ann.connect();
    const { wasRecovering, recovered } = await subscription.events.subscribed.next();
    same([wasRecovering, recovered], [true, false], "subscribed after the removal");
    await stack.publish(channel, 5);
    await positions(subscription, 5, 5);
  },

  async "recovery of the newest message"(stack, id) {
    const channel = `last:${id}`;
    await stack.publish(channel, 1, 2);
    const ann = await stack.connect(`ann-${id}`);
    const subscription = await stack.subscribe(ann, channel);
    await positions(subscription, 2, 2);
    ann.disconnect();
    await stack.publish(channel, 3, 4);
    ann.connect();
    await positions(subscription, 4, 4);
  },

  async "refresh of a connection"(stack, id) {
    let asked = 0;
    const ann = stack.client({ getToken: async () => (asked++, stack.token({ sub: `ann-${id}`, exp: after(6) })) });
    ann.connect();
    await ann.events.connected.next();
    const subscription = await stack.subscribe(ann, `chat:${id}`);
    await eventually(() => asked >= 3); // longer than one token lives
    await stack.publish(`chat:${id}`, 1);
    same((await subscription.events.publication.next()).data, 1, "publication");
    same([ann.events.connected.length, ann.events.error.length], [0, 0], "reconnects and errors");
  },

  async "expired token"(stack, id) {
    const ann = stack.client({
      token: await stack.token({ sub: `ann-${id}`, exp: after(-60) }), getToken: async () => stack.token({ sub: `ann-${id}` }),
    });
    ann.connect();
    await ann.events.connected.next();
  },

  async "refused connections"(stack, id) {
    const refused = async (code, token, query) => {
      const client = stack.client(token ? { token } : {}, query);
      client.connect();
      same((await client.events.disconnected.next()).code, code, "disconnected");
    };
    await refused(3500, await stack.token({ sub: "ann" }, "another secret"));
    await refused(3500, await stack.token({ sub: "ann", channel: `chat:${id}` }));
    await refused(3500, "no token");
    await refused(3501);
    const insecure = stack.client({}, "?project=insecure");
    insecure.connect();
    await insecure.events.connected.next();
  },

  async "private channel"(stack, id) {
    const channel = `$chat:${id}`;
    const [ann, bob] = [await stack.connect(`ann-${id}`), await stack.connect(`bob-${id}`)];
    const subscription = await stack.subscribe(ann, channel, { token: await stack.token({ sub: `ann-${id}`, channel, info: { seat: 7 } }) });
    same(Object.values((await subscription.presence()).clients)[0].chanInfo, { seat: 7 }, "info of the subscription");
    const bobs = await stack.subscribe(bob, channel, {
      token: await stack.token({ sub: `bob-${id}`, channel, exp: after(-60) }),
      getToken: async () => stack.token({ sub: `bob-${id}`, channel }),
    });
    await subscription.publish("hello");
    same((await bobs.events.publication.next()).data, "hello", "publication");
    const eve = await stack.connect(`eve-${id}`);
    const eves = stack.subscription(eve, channel, { token: "no token" });
    eves.subscribe();
    same((await eves.events.unsubscribed.next()).code, 103, "a token that is not valid");
    eve.removeSubscription(eves);
    const stolen = stack.subscription(eve, channel, { token: await stack.token({ sub: `bob-${id}`, channel }) });
    stolen.subscribe();
    same((await eve.events.disconnected.next()).code, 3500, "a token of another user");
  },

  async "refresh of a subscription"(stack, id) {
    const channel = `$chat:${id}`;
    let asked = 0;
    const ann = await stack.connect(`ann-${id}`);
    const getToken = async () => (asked++, stack.token({ sub: `ann-${id}`, channel, exp: after(6) }));
    const subscription = await stack.subscribe(ann, channel, { getToken });
    await eventually(() => asked >= 3); // longer than one token lives
    await stack.publish(channel, 1);
    same((await subscription.events.publication.next()).data, 1, "publication");
    same([subscription.events.subscribed.length, subscription.events.error.length], [0, 0], "resubscriptions and errors");
  },

  async "user-limited channel"(stack, id) {
    const channel = `chat:dialog#ann-${id},bob-${id}`;
    const [ann, bob, eve] = [await stack.connect(`ann-${id}`), await stack.connect(`bob-${id}`), await stack.connect(`eve-${id}`)];
    const subscription = await stack.subscribe(ann, channel);
    await (await stack.subscribe(bob, channel)).publish("hello");
    same((await subscription.events.publication.next()).data, "hello", "publication");
    const eves = stack.subscription(eve, channel);
    eves.subscribe();
    same((await eves.events.unsubscribed.next()).code, 103, "one that is not listed");
  },

  async "subscriptions by the token"(stack, id) {
    const ann = stack.client({ token: await stack.token({ sub: `ann-${id}`, subs: { [`news:${id}`]: {}, [`log:${id}`]: { data: { for: 1 } } } }) });
    ann.connect();
    const first = await ann.events.connected.next();
    const subscribed = {};
    for (let n = 0; n < 3; n++) {
      const context = await ann.events.subscribed.next();
      subscribed[context.channel] = context;
    }
    same(Object.keys(subscribed).sort(), [`#ann-${id}`, `log:${id}`, `news:${id}`], "channels");
    same([subscribed[`log:${id}`].recoverable, subscribed[`log:${id}`].data], [true, { for: 1 }], "subscribed to a stream");
    for (const channel of Object.keys(subscribed)) {
      await stack.publish(channel, 1);
      const publication = await ann.events.publication.next();
      same([publication.channel, publication.data], [channel, 1], "publication");
    }
    await stack.cut(first.client);
    await stack.publish(`log:${id}`, 2, 3);
    for (const n of [2, 3]) {
      const { channel, data, offset } = await ann.events.publication.next();
      same([channel, data, offset], [`log:${id}`, n, n], "recovered");
    }
  },

  async "subscription by the server API"(stack, id) {
    const channel = `log:${id}`;
    await stack.publish(channel, 1);
    const { epoch } = await stack.api("history", { channel });
    const ann = await stack.connect(`ann-${id}`);
    await eventually(async () => { // until the client is found by its user
      await stack.api("subscribe", { user: `ann-${id}`, channel, data: { a: 1 }, recover_since: { offset: 0, epoch } });
      return (await stack.api("presence_stats", { channel })).num_clients === 1;
    });
    let context = await ann.events.subscribed.next();
    if (context.channel !== channel) context = await ann.events.subscribed.next(); // after the personal channel
    same([context.channel, context.recoverable, context.data], [channel, true, { a: 1 }], "subscribed");
    await stack.publish(channel, 2);
    for (const n of [1, 2]) {
      const publication = await ann.events.publication.next();
      same([publication.channel, publication.data, publication.offset], [channel, n, n], "publication");
    }
    await stack.api("unsubscribe", { user: `ann-${id}`, channel });
    same((await ann.events.unsubscribed.next()).channel, channel, "unsubscribed");
  },

  async "unsubscribe by the server API"(stack, id) {
    const channel = `chat:${id}`;
    const ann = await stack.connect(`ann-${id}`);
    const subscription = await stack.subscribe(ann, channel);
    await eventually(async () => {
      await stack.api("unsubscribe", { user: `ann-${id}`, channel });
      return subscription.events.unsubscribed.length > 0;
    });
    same((await subscription.events.unsubscribed.next()).code, 2000, "unsubscribed");
    subscription.subscribe();
    await subscription.events.subscribed.next();
    await stack.publish(channel, 1);
    same((await subscription.events.publication.next()).data, 1, "publication");
  },

  async "terminal disconnect by the server API"(stack, id) {
    for (const [disconnect, code] of [[undefined, 3503], [{ code: 4501, reason: "bye" }, 4501]]) {
      const ann = await stack.connect(`ann-${code}-${id}`);
      await eventually(async () => {
        await stack.api("disconnect", { user: `ann-${code}-${id}`, disconnect });
        return ann.events.disconnected.length > 0;
      });
      same((await ann.events.disconnected.next()).code, code, "disconnected");
    }
  },

  async "reconnectable disconnect by the server API"(stack, id) {
    const channel = `log:${id}`;
    const ann = await stack.connect(`ann-${id}`);
    const subscription = await stack.subscribe(ann, channel);
    await stack.publish(channel, 1);
    await positions(subscription, 1, 1);
    await eventually(async () => {
      await stack.api("disconnect", { user: `ann-${id}`, client: ann.id, disconnect: { code: 3005, reason: "connection expired" } });
      return ann.events.connected.length > 0;
    });
    await stack.publish(channel, 2);
    await positions(subscription, 2, 2);
    same(ann.events.disconnected.length, 0, "disconnects for good");
  },

  async "expiry by the server API"(stack, id) {
    const ann = await stack.connect(`ann-${id}`);
    await eventually(async () => {
      await stack.api("refresh", { user: `ann-${id}`, client: ann.id, expired: true });
      return ann.events.connected.length > 0;
    });
    same(ann.events.disconnected.length, 0, "disconnects for good");
  },

  async "subscribe and unsubscribe in a row"(stack, id) {
    const channel = `chat:${id}`;
    const [ann, bob] = [await stack.connect(`ann-${id}`), await stack.connect(`bob-${id}`)];
    const subscription = stack.subscription(ann, channel);
    for (let n = 0; n < 10; n++) {
      for (const step of ["subscribe", "unsubscribe", "subscribe", "unsubscribe", "subscribe"]) {
        subscription[step]();
        // JavaScript puts what a task sends into one frame.
        if (n % 2) await new Promise((resolve) => setTimeout(resolve));
      }
      const before = subscription.events.publication.length;
      await eventually(async () => {
        await stack.publish(channel, n);
        return subscription.events.publication.length > before;
      });
      subscription.unsubscribe();
    }
    await eventually(async () => (await bob.presenceStats(channel)).numClients === 0);
    for (let n = subscription.events.unsubscribed.length; n > 0; n--) {
      same((await subscription.events.unsubscribed.next()).code, 0, "unsubscribed without being asked");
    }
    same([ann.events.connected.length, ann.events.disconnected.length], [0, 0], "reconnects and disconnects");
  },

  async "33 subscriptions at once"(stack, id) {
    for (const category of ["chat", "log"]) {
      const ann = stack.client({ token: await stack.token({ sub: `ann-${category}-${id}` }) });
      const channels = Array.from({ length: 33 }, (_, n) => `${category}:${id}-${n}`);
      const subscriptions = channels.map((channel) => stack.subscription(ann, channel));
      for (const subscription of subscriptions) subscription.subscribe();
      ann.connect(); // one frame
      const { client } = await ann.events.connected.next();
      for (const subscription of subscriptions) await subscription.events.subscribed.next();
      await stack.api("broadcast", { channels, data: 1 });
      for (const subscription of subscriptions) same((await subscription.events.publication.next()).data, 1, "publication");
      await stack.cut(client);
      for (const subscription of subscriptions) await subscription.events.subscribed.next();
    }
  },
};
