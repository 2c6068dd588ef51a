#!/usr/bin/env python3
"""The client for Python: in the play of core/web/conformance, in which this test speaks the server's
part, and with a server that is killed. Prints TAP.
"""
import asyncio
import importlib.util
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
try:
    import websockets
except ImportError:
    print("1..0 # SKIP there is no package websockets (Debian: python3-websockets)")
    sys.exit(77)


def load(name, path):
    """Loads by path, as the two modules have the same name."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(HERE, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.append(os.path.join(HERE, "../support/python"))  # of the modules that it imports
support = load("support", "../support/python/kvserver.py")
kvserver = load("kvserver", "../../core/web/python/kvserver.py")

PATIENCE_S = 60
RETRY_S = (0.02, 0.2)


def scenarios():
    """Yields: the line that begins each, and the others."""
    head, steps = None, []
    with open(os.path.join(HERE, "../../core/web/conformance/protocol.jsonl"), encoding="utf-8") as file:
        for line in filter(str.strip, file):
            step = json.loads(line)
            if "scenario" not in step:
                steps.append(step)
                continue
            if head is not None:
                yield head, steps
            head, steps = step, []
    yield head, steps


async def until(condition, text):
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        assert asyncio.get_running_loop().time() < end, text
        await asyncio.sleep(0.01)


def matches(pattern, value):
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and matches(one, value[name]) for name, one in pattern.items())
    return pattern == value


class Play:
    def __init__(self, head):
        self.head = head
        self.variables = {}
        self.revision = 1000
        self.received = []
        self.unanswered = []
        self.socket = None
        self.calls = {}
        self.kv = None

    async def serve(self, socket):
        self.received.clear()
        self.unanswered.clear()
        self.socket = socket
        try:
            async for text in socket:
                self.received.append(json.loads(text))
        except websockets.ConnectionClosed:
            pass

    def fill(self, value):
        if isinstance(value, str) and value.startswith("$"):
            if value not in self.variables:
                self.revision += 1
                is_revision = re.fullmatch(r"\$\d+", value)
                self.variables[value] = self.revision if is_revision else f"text of {value}"
            return self.variables[value]
        if isinstance(value, dict):
            return {name: self.fill(one) for name, one in value.items()}
        return [self.fill(one) for one in value] if isinstance(value, list) else value

    async def give(self, message):
        await self.socket.send(json.dumps(self.fill(message)))

    async def perform(self, step):
        if step.get("do") == "map":
            self.calls[step["as"]] = self.kv.map(**step["with"])
        elif "do" in step:
            call = getattr(self.kv, step["do"])(**self.fill(step["with"]))
            self.calls[step["as"]] = asyncio.ensure_future(call)
        elif "send" in step:
            await until(lambda: self.received, f"it does not send {step['send']}")
            message = self.received.pop(0)
            expected = self.fill(step["send"])
            assert matches(expected, message), f"{message} is not {expected}"
            self.unanswered.append(message["id"])
        elif "answer" in step:
            await self.give({**step["answer"], "id": self.unanswered.pop(0)})
        elif "receive" in step:
            await self.give(step["receive"])
        elif "drop" in step or "restart" in step:
            former = self.socket
            former.transport.abort()
            await until(lambda: self.socket is not former, "it does not connect again")
        elif "done" in step:
            await self.conclude(step)
        elif "map" in step:
            mirror, expected = self.calls[step["map"]], self.fill(step["has"])
            await asyncio.sleep(0.05)
            await until(lambda: dict(mirror) == expected, f"{dict(mirror)} is not {expected}")

    async def conclude(self, step):
        call = self.calls[step["done"]]
        if isinstance(call, kvserver.Mirror):
            await until(lambda: call.error is not None, "the mirror does not end")
            assert call.error.status == step["error"], call.error
            return
        try:
            result = await asyncio.wait_for(call, PATIENCE_S)
        except kvserver.KvError as error:
            assert error.status == step.get("error"), error
            return
        assert "error" not in step, "it does not fail"
        expected = self.fill(step.get("result"))
        if isinstance(result, kvserver.Entry):
            result = result._asdict()
        elif isinstance(expected, dict):  # of a set
            result = {"revision": result}
        assert expected is None or matches(expected, result), f"{result} is not {expected}"

    def token(self):
        """The next answer of the scenario; the last one is repeated."""
        tokens = self.head["tokens"]
        return self.fill(tokens.pop(0) if len(tokens) > 1 else tokens[0])

    async def run(self, steps):
        token = self.token if "tokens" in self.head else None
        async with websockets.serve(self.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with kvserver.connect(f"ws://127.0.0.1:{port}/ws", token=token, retry_s=RETRY_S) as self.kv:
                await until(lambda: self.socket is not None, "it does not connect")
                for step in steps:
                    await self.perform(step)


async def outlast(server, restart):
    """A mirror and a writer, while the server is killed."""
    async with kvserver.connect(f"ws://127.0.0.1:{server.port}/ws", retry_s=RETRY_S) as kv:
        mirrors = [kv.map(prefix=prefix) for prefix in ("", "p/", "p/1")]
        await asyncio.gather(*(mirror.ready for mirror in mirrors))
        for n in range(300):
            if n in (100, 200):
                restart()
            try:
                await (kv.delete(f"p/{n % 7}") if n % 5 == 4 else kv.set(f"p/{n % 13}", n))
            except kvserver.KvUnavailable:
                await asyncio.sleep(0.01)
        entry = await kv.get("p/1")
        await until(lambda: all(mirror.synced for mirror in mirrors), "they are not synced")
        body = json.loads(server.request("GET", "/storage?values=true")[2])
        state = {entry["key"]: entry["value"] for entry in body["keys"]}
        assert entry is None or state["p/1"] == entry.value
        for mirror in mirrors:
            prefix = mirror._pattern["prefix"]
            expected = {key: value for key, value in state.items() if key.startswith(prefix)}
            await until(lambda: dict(mirror) == expected, f"{dict(mirror)} is not {expected}")


def test_kill(report):
    server = support.Server(store="rocksdb", options="path: %folder/data")
    with open(server.path, encoding="utf-8") as file:
        text = file.read()

    def restart():
        server.process.kill()
        server.process.wait()
        server.log.close()
        server.write("kvserver.yaml", text.replace("port: 0", f"port: {server.port}"))
        server.start()

    try:
        report.check("mirrors outlast a server that is killed",
                     lambda: asyncio.run(outlast(server, restart)))
    finally:
        server.end()


def main():
    report = support.Report()
    for head, steps in scenarios():
        report.check(head["scenario"], lambda head=head, steps=steps: asyncio.run(Play(head).run(steps)))
    test_kill(report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
