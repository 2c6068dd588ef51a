#!/usr/bin/env python3
"""permessage-deflate with a third-party client: `websockets` (Debian: python3-websockets).

It checks on its own that the server's answer fits its offer, and inflates what comes. Prints TAP.
"""
import asyncio
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from kvserver import PATIENCE_S, Report, Server  # pylint: disable=wrong-import-position

try:
    import websockets
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
except ImportError as missing:
    print(f"1..0 # SKIP {missing}")
    sys.exit(77)

SIZES = [0, 100, 511, 512, 1000, 4000, 5000, 30000, 40000, 300000, 2000000]


def value_of(size):
    return [{"n": n, "name": f"name {n * 7919 % 10007}"} for n in range(size // 30)]


class Client:
    def __init__(self, server, offers):
        self.connecting = websockets.connect(f"ws://127.0.0.1:{server.port}/ws", extensions=offers,
                                             compression=None, max_size=None)

    async def __aenter__(self):
        self.socket = await self.connecting.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.connecting.__aexit__(*error)

    @property
    def is_deflated(self):
        return "permessage-deflate" in self.socket.response_headers.get("Sec-WebSocket-Extensions", "")

    async def send(self, message_type, payload):
        await self.socket.send(json.dumps({"type": message_type, "payload": payload}))

    async def receive(self):
        message = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))
        return message["type"], message["payload"]


def speak(server, offers, is_agreed=True):
    async def run():
        async with Client(server, offers) as writer, Client(server, offers) as reader:
            assert writer.is_deflated == is_agreed, "whether it is agreed on"
            await reader.send("subscribe", {"key": "peer"})
            await reader.send("hello", {})
            assert (await reader.receive())[0] == "hello"
            for size in SIZES:
                told = {"key": "peer", "value": [size, value_of(size)]}
                await writer.send("set", told)
                await writer.send("get", {"key": "peer"})
                assert await writer.receive() == ("value", told), f"answer of {size}"
                assert await reader.receive() == ("value", told), f"change of {size}"
    asyncio.run(run())


def main():
    server = Server("websocket: {deflate: true}\n")
    report = Report()
    offer = ClientPerMessageDeflateFactory
    try:
        report.check("the library's default offer",
                     lambda: speak(server, [offer(client_max_window_bits=True)]))
        for bits in range(9, 16):
            report.check(f"windows of {bits} bits", lambda bits=bits: speak(
                server, [offer(server_max_window_bits=bits, client_max_window_bits=bits)]))
        report.check("no context takeover", lambda: speak(
            server, [offer(server_no_context_takeover=True, client_no_context_takeover=True)]))
        report.check("several offers", lambda: speak(
            server, [offer(server_max_window_bits=10), offer()]))
        report.check("no offer", lambda: speak(server, None, is_agreed=False))
    finally:
        server.end()
    plain = Server()
    try:
        report.check("an offer that is not taken",
                     lambda: speak(plain, [offer(client_max_window_bits=True)], is_agreed=False))
    finally:
        plain.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
