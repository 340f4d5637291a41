"""Calls every method with pycent, the client of Centrifugo's HTTP API for Python.

    server_api.py URL

URL is the base of the server API, of a project whose API key is demo-key, whose category chat
keeps three messages, whose category room has presence, and whose category news has neither.
Nobody is connected. It prints the number of calls.
"""

import sys

import cent

calls = 0


def call(method, *args, **kwargs):
    global calls
    calls += 1
    return method(*args, **kwargs)


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, expected {wanted!r}")


def refused(code, method, *args, **kwargs):
    try:
        got = call(method, *args, **kwargs)
    except cent.CentApiResponseError as error:
        expect(error.code, code)
    else:
        raise AssertionError(f"got {got!r}, expected error {code}")


client = cent.Client(sys.argv[1] + "/api", "demo-key")

first = call(client.publish, cent.PublishRequest(channel="chat:log", data={"n": 1}, tags={"kind": "x"}))
expect(first.offset, 1)
epoch = first.epoch
assert epoch, first
again = {"channel": "chat:log", "data": {"n": 2}, "idempotency_key": "k"}
for _ in range(2):
    second = call(client.publish, cent.PublishRequest(**again))
    expect((second.offset, second.epoch), (2, epoch))
skipped = call(client.publish, cent.PublishRequest(channel="chat:log", data={}, skip_history=True))
expect((skipped.offset, skipped.epoch), (0, ""))
both = call(client.broadcast, cent.BroadcastRequest(channels=["chat:log", "news:all"], data={"n": 3}))
expect([(r.result.offset, r.result.epoch) for r in both.responses], [(3, epoch), (0, "")])


def history(**options):
    got = call(client.history, cent.HistoryRequest(channel="chat:log", **options))
    expect((got.offset, got.epoch), (3, epoch))
    return [(p.offset, p.data, p.tags) for p in got.publications]


one, two, three = (1, {"n": 1}, {"kind": "x"}), (2, {"n": 2}, None), (3, {"n": 3}, None)
expect(history(), [])
expect(history(limit=10), [one, two, three])
expect(history(limit=2, reverse=True), [three, two])
expect(history(limit=-1, since=cent.StreamPosition(offset=1, epoch=epoch)), [two, three])
expect(history(limit=-1, since=cent.StreamPosition(offset=3, epoch=epoch), reverse=True), [two, one])

refused(112, client.history, cent.HistoryRequest(channel="chat:log", limit=1, since=cent.StreamPosition(offset=1, epoch="former")))
refused(108, client.history, cent.HistoryRequest(channel="news:all", limit=1))
refused(102, client.history, cent.HistoryRequest(channel="nowhere:x", limit=1))

call(client.history_remove, cent.HistoryRemoveRequest(channel="chat:log"))
expect(history(limit=10), [])

encoded = call(client.publish, cent.PublishRequest(channel="chat:log", data=None, b64data="eyJuIjo0fQ=="))
expect((encoded.offset, encoded.epoch), (4, epoch))
refused(107, client.publish, cent.PublishRequest(channel="chat:log", data=None, b64data="AAE="))

expect(call(client.presence, cent.PresenceRequest(channel="room:x")).presence, {})
expect(call(client.presence_stats, cent.PresenceStatsRequest(channel="room:x")).num_clients, 0)
expect(call(client.channels, cent.ChannelsRequest(pattern="room:*")).channels, {})
expect(call(client.channels, cent.ChannelsRequest()).channels, {})
(node,) = call(client.info, cent.InfoRequest()).nodes
expect((node.num_clients, node.num_channels, node.uptime), (0, 0, 0))

call(client.unsubscribe, cent.UnsubscribeRequest(user="ann", channel="chat:log", client="c", session="c"))
call(client.unsubscribe, cent.UnsubscribeRequest(user="ann", channel=""))
told = cent.Disconnect(code=4000, reason="bye")
call(client.disconnect, cent.DisconnectRequest(user="ann", client="c", whitelist=["d"], disconnect=told))
since = cent.StreamPosition(offset=1, epoch=epoch)
hidden = cent.ChannelOptionsOverride(presence=cent.BoolValue(value=False))
call(client.subscribe, cent.SubscribeRequest(user="ann", channel="chat:log", info={}, data=[], recover_since=since, override=hidden))
call(client.refresh, cent.RefreshRequest(user="ann", expired=False, expire_at=4102444800))

for parallel in (None, False, True):
    commands = [cent.PublishRequest(channel="news:all", data=1), cent.PresenceStatsRequest(channel="room:x"), cent.ChannelsRequest()]
    replies = call(client.batch, cent.BatchRequest(requests=commands, parallel=parallel)).replies
    expect([type(r) for r in replies], [cent.PublishResult, cent.PresenceStatsResult, cent.ChannelsResult])

wrong = cent.Client(sys.argv[1] + "/api", "another")
try:
    got = call(wrong.info, cent.InfoRequest())
except cent.CentUnauthorizedError:
    pass
else:
    raise AssertionError(f"got {got!r} with a wrong key")

print(calls)
