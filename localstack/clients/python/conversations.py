"""Conversations of centrifuge-python, Centrifugo's client for Python, with the local stack.

    conversations.py HTTP_URL WEBSOCKET_URL MANAGEMENT_URL

The addresses are those of a stack with the projects of localstack/sdk/seed.json. It prints a line
for each conversation. The exit status is 0 when all succeeded, otherwise 1.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import pathlib
import sys
import time
import traceback
import urllib.parse
import urllib.request

import centrifuge

# How long a conversation may wait for something, in seconds. It ends one that hangs.
PATIENCE = 20

HTTP, SOCKET, MANAGEMENT = sys.argv[1:]
PROJECT, SECRET, API_KEY = "sdk", "sdk-secret", "sdk-key"


def same(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, expected {wanted!r}")


def token(secret=SECRET, **claims):
    def encode(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (signed + b"." + encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()


def after(seconds):
    return int(time.time()) + seconds


def request(method, url, headers, body=None):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=PATIENCE) as response:
        return response.read()


async def api(method, **params):
    headers = {"X-API-Key": API_KEY, "Content-Type": "application/json"}
    answer = json.loads(await asyncio.to_thread(request, "POST", f"{HTTP}/api/{method}", headers, json.dumps(params).encode()))
    if "error" in answer:
        raise AssertionError(f"{method}: {answer['error']}")
    return answer["result"]


async def publish(channel, *data):
    for value in data:
        await api("publish", channel=channel, data=value)


async def cut(client):
    """Closes a connection as API Gateway does."""
    url = f"{MANAGEMENT}/@connections/{urllib.parse.quote(client, safe='')}"
    await asyncio.to_thread(request, "DELETE", url, {"Authorization": "AWS4-HMAC-SHA256 unverified"})


async def eventually(ask):
    async with asyncio.timeout(PATIENCE):
        while not await ask():
            await asyncio.sleep(0.02)


class Events:
    """The handler of a client or of a subscription. Each kind of event has a queue."""

    def __init__(self):
        self.queues = {}

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)
        queue = self.queue(name.removeprefix("on_"))

        async def add(context):
            queue.put_nowait(context)

        return add

    def queue(self, kind):
        return self.queues.setdefault(kind, asyncio.Queue())

    async def next(self, kind):
        try:
            return await asyncio.wait_for(self.queue(kind).get(), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"no {kind} within {PATIENCE} s") from None

    def count(self, kind):
        return self.queue(kind).qsize()


class Talk:
    """One conversation, which closes its clients."""

    def __init__(self):
        self.clients = []

    def client(self, query=f"?project={PROJECT}", **options):
        client = centrifuge.Client(SOCKET + query, events=Events(), **options)
        self.clients.append(client)
        return client

    async def connect(self, user):
        client = self.client(token=token(sub=user, info={"name": user}))
        await client.connect()
        client.name = (await client.events.next("connected")).client
        return client

    async def subscribe(self, client, channel, **options):
        subscription = client.new_subscription(channel, events=Events(), **options)
        await subscription.subscribe()
        await subscription.events.next("subscribed")
        return subscription

    async def refused(self, client, channel, **options):
        subscription = client.new_subscription(channel, events=Events(), **options)
        await subscription.subscribe()
        return (await subscription.events.next("unsubscribed")).code


async def positions(subscription, first, last):
    for n in range(first, last + 1):
        pub = (await subscription.events.next("publication")).pub
        same((pub.data, pub.offset), (n, n), "publication")


async def expect(subscription, data):
    same((await subscription.events.next("publication")).pub.data, data, "publication")


async def code(call):
    try:
        await call
    except centrifuge.CentrifugeError as error:
        return getattr(error, "code", error)
    return 0


def users(result):
    return sorted(client.user for client in result.clients.values())


async def publications(talk, id):
    ann, bob = await talk.connect(f"ann-{id}"), await talk.connect(f"bob-{id}")
    subscription = await talk.subscribe(ann, f"chat:{id}")
    for n in range(5):
        await bob.publish(f"chat:{id}", {"n": n})
        pub = (await subscription.events.next("publication")).pub
        same((pub.data, pub.info.user, pub.info.conn_info), ({"n": n}, f"bob-{id}", {"name": f"bob-{id}"}), "publication")
    await subscription.publish("mine")
    await expect(subscription, "mine")
    await api("publish", channel=f"chat:{id}", data=1, tags={"a": "b"})
    pub = (await subscription.events.next("publication")).pub
    same((pub.data, pub.info, pub.tags), (1, None, {"a": "b"}), "publication of the application")


async def refusals(talk, id):
    ann = await talk.connect(f"ann-{id}")
    same(await code(ann.publish(f"news:{id}", 1)), 103, "publish without the right")
    same(await code(ann.publish(f"nowhere:{id}", 1)), 102, "publish to an unknown category")
    same(await code(ann.presence(f"news:{id}")), 108, "presence of a category without")
    same(await code(ann.presence_stats(f"news:{id}")), 108, "presence stats of a category without")
    same(await code(ann.history(f"chat:{id}", limit=1)), 108, "history of a category without")
    same(await code(ann.rpc("method", {})), 108, "rpc without an application")
    same(await talk.refused(ann, f"nowhere:{id}"), 102, "subscribe in an unknown category")
    same(await talk.refused(ann, f"$chat:{id}"), 103, "subscribe without a token")


async def presence(talk, id):
    channel = f"chat:{id}"
    clients = [await talk.connect(user) for user in (f"ann-{id}", f"ann-{id}", f"bob-{id}")]
    subscriptions = [await talk.subscribe(client, channel) for client in clients]
    same(users(await subscriptions[0].presence()), [f"ann-{id}", f"ann-{id}", f"bob-{id}"], "presence")
    stats = await clients[0].presence_stats(channel)
    same((stats.num_clients, stats.num_users), (3, 2), "presence stats")
    await subscriptions[1].unsubscribe()
    await clients[2].disconnect()

    async def alone():
        return users(await clients[0].presence(channel)) == [f"ann-{id}"]

    await eventually(alone)


async def joins(talk, id):
    ann, bob = await talk.connect(f"ann-{id}"), await talk.connect(f"bob-{id}")
    subscription = await talk.subscribe(ann, f"chat:{id}", join_leave=True)
    same((await subscription.events.next("join")).info.user, f"ann-{id}", "own join")
    silent = await talk.subscribe(bob, f"chat:{id}")
    info = (await subscription.events.next("join")).info
    same((info.user, info.client, info.conn_info), (f"bob-{id}", bob.name, {"name": f"bob-{id}"}), "join")
    await bob.disconnect()
    same((await subscription.events.next("leave")).info.user, f"bob-{id}", "leave")
    same(silent.events.count("join") + silent.events.count("leave"), 0, "joins and leaves of one that did not ask for them")


async def history(talk, id):
    channel = f"log:{id}"
    await publish(channel, 1, 2, 3, 4, 5)
    ann = await talk.connect(f"ann-{id}")
    top = await ann.history(channel)
    same(top.offset, 5, "top")

    async def read(**options):
        return [(p.offset, p.data) for p in (await ann.history(channel, **options)).publications]

    same(await read(limit=-1), [(n, n) for n in range(1, 6)], "all")
    same(await read(limit=2, reverse=True), [(5, 5), (4, 4)], "the last two")
    same(await read(limit=-1, since=centrifuge.StreamPosition(3, top.epoch)), [(4, 4), (5, 5)], "after a position")
    same(await code(ann.history(channel, limit=1, since=centrifuge.StreamPosition(1, "another"))), 112, "since another epoch")


async def recovery(talk, id):
    channel = f"log:{id}"
    await publish(channel, 1)
    ann = await talk.connect(f"ann-{id}")
    subscription = ann.new_subscription(channel, events=Events())
    await subscription.subscribe()
    first = await subscription.events.next("subscribed")
    same((first.recoverable, first.positioned, first.was_recovering), (True, True, False), "subscribed")
    n, name = 2, ann.name
    for _ in range(4):
        await publish(channel, n, n + 1)
        await cut(name)
        await publish(channel, n + 2, n + 3)
        await positions(subscription, n, n + 3)
        again = await subscription.events.next("subscribed")
        same((again.was_recovering, again.recovered), (True, True), "subscribed again")
        name = (await ann.events.next("connected")).client
        n += 4


async def return_later(talk, id):
    channel = f"log:{id}"
    ann = await talk.connect(f"ann-{id}")
    subscription = await talk.subscribe(ann, channel)
    await publish(channel, 1)
    await positions(subscription, 1, 1)
    await ann.disconnect()
    await publish(channel, 2, 3)
    await ann.connect()
    await positions(subscription, 2, 3)
    await subscription.events.next("subscribed")
    await ann.disconnect()
    await publish(channel, 4)
    await api("history_remove", channel=channel)
    await ann.connect()
    again = await subscription.events.next("subscribed")
    same((again.was_recovering, again.recovered), (True, False), "subscribed after the removal")
    await publish(channel, 5)
    await positions(subscription, 5, 5)


async def newest(talk, id):
    channel = f"last:{id}"
    await publish(channel, 1, 2)
    ann = await talk.connect(f"ann-{id}")
    subscription = await talk.subscribe(ann, channel)
    await positions(subscription, 2, 2)
    await ann.disconnect()
    await publish(channel, 3, 4)
    await ann.connect()
    await positions(subscription, 4, 4)


async def refresh(talk, id):
    asked = []

    async def get_token():
        asked.append(1)
        return token(sub=f"ann-{id}", exp=after(6))

    ann = talk.client(get_token=get_token)
    await ann.connect()
    await ann.events.next("connected")
    subscription = await talk.subscribe(ann, f"chat:{id}")

    async def renewed():  # longer than one token lives
        return len(asked) >= 3

    await eventually(renewed)
    await publish(f"chat:{id}", 1)
    await expect(subscription, 1)
    same((ann.events.count("connected"), ann.events.count("error")), (0, 0), "reconnects and errors")


async def expired_token(talk, id):
    async def get_token():
        return token(sub=f"ann-{id}")

    ann = talk.client(token=token(sub=f"ann-{id}", exp=after(-60)), get_token=get_token)
    await ann.connect()
    await ann.events.next("connected")


async def refused_connections(talk, id):
    for wanted, text in (
        (3500, token(secret="another secret", sub="ann")),
        (3500, token(sub="ann", channel=f"chat:{id}")),
        (3500, "no token"),
        (3501, ""),
    ):
        client = talk.client(token=text)
        await client.connect()
        same((await client.events.next("disconnected")).code, wanted, f"connect with {text!r}")
    insecure = talk.client("?project=insecure")
    await insecure.connect()
    await insecure.events.next("connected")


async def private_channel(talk, id):
    channel = f"$chat:{id}"
    ann, bob, eve = [await talk.connect(f"{user}-{id}") for user in ("ann", "bob", "eve")]
    subscription = await talk.subscribe(ann, channel, token=token(sub=f"ann-{id}", channel=channel, info={"seat": 7}))
    same([c.chan_info for c in (await subscription.presence()).clients.values()], [{"seat": 7}], "info of the subscription")

    async def get_token(asked):
        return token(sub=f"bob-{id}", channel=asked)

    bobs = await talk.subscribe(bob, channel, token=token(sub=f"bob-{id}", channel=channel, exp=after(-60)), get_token=get_token)
    await subscription.publish("hello")
    await expect(bobs, "hello")
    same(await talk.refused(eve, channel, token="no token"), 103, "a token that is not valid")
    mallory = await talk.connect(f"mallory-{id}")
    stolen = mallory.new_subscription(channel, events=Events(), token=token(sub=f"bob-{id}", channel=channel))
    await stolen.subscribe()
    same((await mallory.events.next("disconnected")).code, 3500, "a token of another user")


async def subscription_refresh(talk, id):
    channel = f"$chat:{id}"
    asked = []

    async def get_token(_):
        asked.append(1)
        return token(sub=f"ann-{id}", channel=channel, exp=after(6))

    ann = await talk.connect(f"ann-{id}")
    subscription = await talk.subscribe(ann, channel, get_token=get_token)

    async def renewed():  # longer than one token lives
        return len(asked) >= 3

    await eventually(renewed)
    await publish(channel, 1)
    await expect(subscription, 1)
    same((subscription.events.count("subscribed"), subscription.events.count("error")), (0, 0), "resubscriptions and errors")


async def user_limited(talk, id):
    channel = f"chat:dialog#ann-{id},bob-{id}"
    ann, bob, eve = [await talk.connect(f"{user}-{id}") for user in ("ann", "bob", "eve")]
    subscription = await talk.subscribe(ann, channel)
    await (await talk.subscribe(bob, channel)).publish("hello")
    await expect(subscription, "hello")
    same(await talk.refused(eve, channel), 103, "one that is not listed")


async def by_token(talk, id):
    ann = talk.client(token=token(sub=f"ann-{id}", subs={f"news:{id}": {}, f"log:{id}": {"data": {"for": 1}}}))
    await ann.connect()
    name = (await ann.events.next("connected")).client
    subscribed = {}
    for _ in range(3):
        context = await ann.events.next("subscribed")
        subscribed[context.channel] = context
    same(sorted(subscribed), [f"#ann-{id}", f"log:{id}", f"news:{id}"], "channels")
    same((subscribed[f"log:{id}"].recoverable, subscribed[f"log:{id}"].data), (True, {"for": 1}), "subscribed to a stream")
    for channel in subscribed:
        await publish(channel, 1)
        context = await ann.events.next("publication")
        same((context.channel, context.pub.data), (channel, 1), "publication")
    await cut(name)
    await publish(f"log:{id}", 2, 3)
    for n in (2, 3):
        context = await ann.events.next("publication")
        same((context.channel, context.pub.data, context.pub.offset), (f"log:{id}", n, n), "recovered")


async def subscribed_by_server(talk, id):
    channel = f"log:{id}"
    await publish(channel, 1)
    epoch = (await api("history", channel=channel))["epoch"]
    ann = await talk.connect(f"ann-{id}")

    async def found():  # by its user
        await api("subscribe", user=f"ann-{id}", channel=channel, data={"a": 1}, recover_since={"offset": 0, "epoch": epoch})
        return (await api("presence_stats", channel=channel))["num_clients"] == 1

    await eventually(found)
    subscribed = await ann.events.next("subscribed")
    if subscribed.channel != channel:
        subscribed = await ann.events.next("subscribed")  # after the personal channel
    same((subscribed.channel, subscribed.recoverable, subscribed.data), (channel, True, {"a": 1}), "subscribed")
    await publish(channel, 2)
    for n in (1, 2):
        context = await ann.events.next("publication")
        same((context.channel, context.pub.data, context.pub.offset), (channel, n, n), "publication")
    await api("unsubscribe", user=f"ann-{id}", channel=channel)
    same((await ann.events.next("unsubscribed")).channel, channel, "unsubscribed")


async def unsubscribed_by_server(talk, id):
    channel = f"chat:{id}"
    ann = await talk.connect(f"ann-{id}")
    subscription = await talk.subscribe(ann, channel)

    async def gone():
        await api("unsubscribe", user=f"ann-{id}", channel=channel)
        return subscription.events.count("unsubscribed") > 0

    await eventually(gone)
    same((await subscription.events.next("unsubscribed")).code, 2000, "unsubscribed")
    await subscription.subscribe()
    await subscription.events.next("subscribed")
    await publish(channel, 1)
    await expect(subscription, 1)


async def terminal_disconnect(talk, id):
    for disconnect, wanted in ((None, 3503), ({"code": 4501, "reason": "bye"}, 4501)):
        user = f"ann-{wanted}-{id}"
        ann = await talk.connect(user)

        async def gone():
            await api("disconnect", user=user, disconnect=disconnect)
            return ann.events.count("disconnected") > 0

        await eventually(gone)
        same((await ann.events.next("disconnected")).code, wanted, "disconnected")


async def reconnectable_disconnect(talk, id):
    channel = f"log:{id}"
    ann = await talk.connect(f"ann-{id}")
    subscription = await talk.subscribe(ann, channel)
    await publish(channel, 1)
    await positions(subscription, 1, 1)
    ends = (
        ("disconnect", {"disconnect": {"code": 3005, "reason": "connection expired"}}),
        ("refresh", {"expired": True}),
    )
    name = ann.name
    for n, (method, params) in enumerate(ends, 2):

        async def back():
            await api(method, user=f"ann-{id}", client=name, **params)
            return ann.events.count("connected") > 0

        await eventually(back)
        await publish(channel, n)
        await positions(subscription, n, n)
        name = (await ann.events.next("connected")).client
    same(ann.state, centrifuge.ClientState.CONNECTED, "state")


async def in_a_row(talk, id):
    channel = f"chat:{id}"
    ann, bob = await talk.connect(f"ann-{id}"), await talk.connect(f"bob-{id}")
    subscription = ann.new_subscription(channel, events=Events())
    for n in range(10):
        for step in (subscription.subscribe, subscription.unsubscribe) * 2 + (subscription.subscribe,):
            await step()
        before = subscription.events.count("publication")

        async def receives():
            await publish(channel, n)
            return subscription.events.count("publication") > before

        await eventually(receives)
        await subscription.unsubscribe()

    async def empty():
        return (await bob.presence_stats(channel)).num_clients == 0

    await eventually(empty)
    while subscription.events.count("unsubscribed"):
        same((await subscription.events.next("unsubscribed")).code, 0, "unsubscribed without being asked")
    same((ann.events.count("connected"), ann.events.count("disconnected")), (0, 0), "reconnects and disconnects")


async def at_once(talk, id):
    for category in ("chat", "log"):
        ann = talk.client(token=token(sub=f"ann-{category}-{id}"))
        channels = [f"{category}:{id}-{n}" for n in range(33)]
        subscriptions = [ann.new_subscription(channel, events=Events()) for channel in channels]
        for subscription in subscriptions:
            await subscription.subscribe()
        await ann.connect()
        name = (await ann.events.next("connected")).client
        for subscription in subscriptions:
            await subscription.events.next("subscribed")
        await api("broadcast", channels=channels, data=1)
        for subscription in subscriptions:
            await expect(subscription, 1)
        await cut(name)
        for subscription in subscriptions:
            await subscription.events.next("subscribed")


async def of_the_documents(talk, id):
    program = await asyncio.create_subprocess_exec(
        sys.executable, pathlib.Path(__file__).with_name("example.py"), f"{SOCKET}?project={PROJECT}", token(sub=f"ann-{id}"),
        stdout=asyncio.subprocess.PIPE,
    )
    line = asyncio.ensure_future(program.stdout.readline())

    async def printed():
        await publish("log:lobby", "hello")
        return line.done()

    try:
        await eventually(printed)
        same(line.result().split()[1:], [b"hello"], "line")
    finally:
        program.kill()
        await program.wait()


CONVERSATIONS = {
    "client of the documents": of_the_documents,
    "publish": publications,
    "refusals": refusals,
    "presence": presence,
    "join and leave": joins,
    "history": history,
    "recovery after cuts": recovery,
    "recovery after a while": return_later,
    "recovery of the newest message": newest,
    "refresh of a connection": refresh,
    "expired token": expired_token,
    "refused connections": refused_connections,
    "private channel": private_channel,
    "refresh of a subscription": subscription_refresh,
    "user-limited channel": user_limited,
    "subscriptions by the token": by_token,
    "subscription by the server API": subscribed_by_server,
    "unsubscribe by the server API": unsubscribed_by_server,
    "terminal disconnect by the server API": terminal_disconnect,
    "reconnectable disconnect by the server API": reconnectable_disconnect,
    "subscribe and unsubscribe in a row": in_a_row,
    "33 subscriptions at once": at_once,
}


async def converse(name, conversation, places):
    async with places:
        talk = Talk()
        try:
            await conversation(talk, name.replace(" ", "-"))
        except Exception:  # each is reported
            print(f"FAIL  {name}: {traceback.format_exc()}")
            return False
        finally:
            for client in talk.clients:
                await client.disconnect()
        print(f"ok    {name}")
        return True


async def main():
    places = asyncio.Semaphore(4)
    outcomes = await asyncio.gather(*(converse(name, c, places) for name, c in CONVERSATIONS.items()))
    return 0 if all(outcomes) else 1


sys.exit(asyncio.run(main()))
