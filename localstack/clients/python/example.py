# A client of Centrifugo's protocol: python example.py URL TOKEN

import asyncio
import sys

import centrifuge


class Events(centrifuge.SubscriptionEventHandler):
    async def on_publication(self, ctx): print(ctx.pub.offset, ctx.pub.data, flush=True)


async def main(url, token):
    client = centrifuge.Client(url, token=token)
    await client.new_subscription("log:lobby", events=Events()).subscribe()
    await client.connect()
    await asyncio.Future()  # until it is stopped


asyncio.run(main(*sys.argv[1:]))
