#!/usr/bin/env python3
"""Several KvServers on one Redis: how often they call it, and what they keep of its answers. Prints TAP."""
import os
import re
import signal
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from event_stream import EventStream  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from redis_cluster_test import WebSocket, partitions  # pylint: disable=wrong-import-position
from redis_servers import Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import Feed, expect, get, put  # pylint: disable=wrong-import-position

N_EXPIRING = 2000
N_DEADLINES = N_EXPIRING // 2  # one for each millisecond
FIRST_TTL_MS = 2000
N_SUBSCRIPTIONS = 1000
N_LATE = 20
LATE_S = 2  # the machine may be busy
LONG = 40_000_000
SINK = "sinks: [{module: file, options: {path: '%folder/out'}}]\n"
EXPIRE = 3  # an event of the log


class Expiries(EventStream):
    """When each key of a prefix was told to be gone."""

    def __init__(self, server, prefix):
        self.told, self.n_again = {}, 0
        super().__init__(server, prefix)

    def take(self, kind, payload):
        if kind == "synced":
            self.is_synced.set()
        elif kind == "no-value":
            self.n_again += payload["key"] in self.told
            self.told[payload["key"]] = time.monotonic()


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as file:
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class Tests:
    def __init__(self):
        self.redis = Redis()
        self.started = Started()

    def end(self):
        self.redis.end()

    def server(self, more=""):
        return self.started.keep(Server(more, store="redis", options=f"unix: {self.redis.socket}, timeout: 5s"))

    def n_calls(self, command):
        found = re.search(rf"cmdstat_{command}:calls=(\d+)", self.redis.ask("INFO commandstats"))
        return int(found.group(1)) if found else 0

    def last_change(self):
        """Returns: what it was, and the number of the server that caused it."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_S)
            peer.connect(self.redis.socket)
            peer.sendall(b"XREVRANGE kv{0}s + - COUNT 1\r\n")
            event = peer.recv(4096).split(b"\r\n$1\r\ne\r\n$", 1)[1].split(b"\r\n", 1)[1]
        return event[0], struct.unpack(">Q", event[42:50])[0]

    def expire(self, n_servers):
        """Keys expire at servers. Returns: how often they call Redis meanwhile."""
        servers = [self.server() for _ in range(n_servers)]
        prefix = f"expire/{n_servers}/"
        feeds = [Expiries(server, prefix) for server in servers]
        writer = WebSocket(servers[0])
        begin = time.monotonic()
        for i in range(0, N_EXPIRING, 100):
            passed_ms = int(1000 * (time.monotonic() - begin))
            writer.send(*({"type": "set", "payload": {
                "key": f"{prefix}{n}", "value": n, "ttl": FIRST_TTL_MS - passed_ms + n // 2}}
                for n in range(i, i + 100)))
        wait_for(lambda: get(servers[-1], f"{prefix}{N_EXPIRING - 1}") == N_EXPIRING - 1, "keys are not set")
        assert time.monotonic() - begin < FIRST_TTL_MS / 1000, "the machine is too slow"
        before = self.n_calls("fcall")
        for feed in feeds:
            wait_for(lambda feed=feed: len(feed.told) == N_EXPIRING, "not all expiries are told")
            expect(feed.n_again, 0)
        calls = self.n_calls("fcall") - before
        writer.socket.close()
        for server in servers:
            server.end()
        print(f"#   {n_servers} servers: {calls} calls for {N_EXPIRING} expiries", flush=True)
        return calls

    def one_calls_for_expiries(self):
        alone = max(self.expire(1), N_DEADLINES)  # on a busy machine, one call may serve several deadlines
        for n_servers in 2, 3:
            calls = self.expire(n_servers)
            assert calls < 1.4 * alone, f"{n_servers} servers call {calls} times, one up to {alone} times"

    def first_one_killed(self):
        """It takes the others tens of milliseconds to notice."""
        first = self.server(SINK)
        others = [self.server(), self.server()]
        feeds = [Expiries(server, "late/") for server in others]
        wait_for(lambda: "holder" in partitions(first)[0], "it has no number")
        number = int(partitions(first)[0]["holder"], 16)
        for server in others:
            server.stop()
        expect(put(first, "late/first", 1, ttl=100)[0], 202)
        wait_for(lambda: self.last_change()[0] == EXPIRE, "it does not expire")
        for server in others:
            server.go_on()
        for feed in feeds:
            wait_for(lambda feed=feed: "late/first" in feed.told, "it is not told")
        expect(self.last_change(), (EXPIRE, number))
        due = {}
        for i in range(N_LATE):
            due[f"late/{i}"] = time.monotonic() + 1 + i / 10
            expect(put(others[0], f"late/{i}", 1, ttl=1000 + 100 * i)[0], 202)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(PATIENCE_S)
        for feed in feeds:
            wait_for(lambda feed=feed: len(feed.told) == 1 + N_LATE, "not all expiries are told")
            late = [feed.told[key] - due[key] for key in sorted(due)]
            print(f"#   late by up to {1000 * max(late):.0f} ms", flush=True)
            assert max(late) < LATE_S, f"an expiry was told late by {max(late):.1f} s"
        assert self.last_change()[1] != number
        for server in others:
            server.end()

    def subscribes_share_requests(self):
        one, two = self.server(), self.server()
        last = f"share/{N_SUBSCRIPTIONS - 1}"
        expect(put(one, last, "before")[0], 202)
        websocket = WebSocket(two)
        before = self.n_calls("get")
        websocket.send(*({"type": "subscribe", "payload": {"key": f"share/{i}"}} for i in range(N_SUBSCRIPTIONS - 1)),
                       {"type": "subscribe", "payload": {"key": last, "initial": True}})
        websocket.wait_for('"before"')
        calls = self.n_calls("get") - before
        print(f"#   {calls} calls for {N_SUBSCRIPTIONS} subscribes", flush=True)
        assert calls < N_SUBSCRIPTIONS / 5, f"{calls} calls for {N_SUBSCRIPTIONS} subscribes"
        for key in "share/0", last:
            expect(put(one, key, "after " + key)[0], 202)
            websocket.wait_for(f'"after {key}"')
        websocket.socket.close()
        for server in (one, two):
            server.end()

    def long_value_is_let_go(self):
        """Servers read one that another server has set, as it does not come with its change."""
        limits = f"limits: {{value: {2 * LONG}}}\n"
        one, two = self.server(limits), self.server(limits)
        feed = Feed(two, "next")
        before = resident(two)
        expect(put(one, "long", "x" * LONG)[0], 202)
        expect(put(one, "next", 1)[0], 202)
        feed.wait_for("next", 1)
        wait_for(lambda: resident(two) < before + LONG // 4, "the server keeps a long value")
        for server in (one, two):
            server.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check_each((
            ("one of several servers calls for each expiry", tests.one_calls_for_expiries),
            ("where the server that calls for expiries is killed, another one does", tests.first_one_killed),
            ("subscribes that come at once share their requests", tests.subscribes_share_requests),
            ("a long value is let go when it has been told", tests.long_value_is_let_go)), run=tests.started.run)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
