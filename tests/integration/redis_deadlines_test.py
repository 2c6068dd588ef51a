#!/usr/bin/env python3
"""KvServers on one Redis that set the deadline of a key while another one, which has read the key, is about to write it;
and expiries behind the failover to a Redis whose clock is behind. Prints TAP.
"""
import json
import os
import re
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from chaos import at_once  # pylint: disable=wrong-import-position
from kvserver import CLOCK, NO_CLOCK, PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_cluster_test import WebSocket  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Proxy, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import Feed, expect, get, put  # pylint: disable=wrong-import-position

HOUR_MS = 3_600_000
LEASE_MS = 5000  # the shortest that there is
SLACK_MS = 120_000  # the machine may be busy
INEXACT_MS = 100  # a server knows the clock of Redis that well
AHEAD_MS = 5000
LATER_MS = 2000
TTL_MS = 3000
N_MASTERS = 3
N_KEYS = 30
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def patch(server, key, body, headers=None):
    return server.request("PATCH", "/storage/" + key, json.dumps(body), headers)


def ttl_of(server, key):
    """In milliseconds; None: it has none."""
    status, headers, _ = server.request("GET", "/storage/" + key)
    expect(status, 200)
    text = headers.get("kv-ttl")
    return None if text is None else int(text)


def expect_ttl(server, key, ttl_ms):
    got = ttl_of(server, key)
    assert (got is None if ttl_ms == 0 else got is not None and ttl_ms - SLACK_MS < got <= ttl_ms + INEXACT_MS), \
        f"expected a TTL of {ttl_ms} ms, got {got}"


def clock_ms(redis):
    words = redis.ask("TIME").split("\r\n")
    return int(words[2]) * 1000 + int(words[4]) // 1000


def is_replicated(redis):
    facts = redis.ask("INFO replication")
    return re.search(r"state=online,offset=(\d+)", facts)[1] == re.search(r"^master_repl_offset:(\d+)", facts, re.M)[1]


class Tests:
    def __init__(self):
        self.redis = Redis()
        self.proxy = Proxy(self.redis.socket)
        self.slow = self.server(self.proxy.path)  # its writes can be kept back
        self.other = self.server(self.redis.socket)

    def server(self, path, lines=""):
        return Server(lines, store="redis", options=f"unix: {path}, timeout: 20s")

    def between(self, key, ttl_ms, function, request):
        """Makes a request of the slow server that reads the key and then calls the function, and sets another TTL in
        between. Returns: the request's result."""
        results = []
        self.proxy.catch(function)
        thread = threading.Thread(target=lambda: results.append(request()))
        thread.start()
        try:
            self.proxy.wait_for_catch()
            expect(patch(self.other, key, {"ttl": ttl_ms})[0], 202)
        finally:
            self.proxy.let_go()
        thread.join(PATIENCE_S)
        return results[0]

    def updates_keep_a_new_ttl(self):
        values = {"increment": ({"increment": 2}, None, 1, 3), "merge": ({"b": 2}, MERGE_PATCH, {"a": 1}, {"a": 1, "b": 2}),
                  "no change": ({"increment": 0}, None, 1, 1)}
        for name, (body, headers, value, result) in values.items():
            for before_ms, after_ms in ((HOUR_MS, 3 * HOUR_MS), (HOUR_MS, 0), (0, HOUR_MS)):
                key = f"{name.split()[0]}/{before_ms}/{after_ms}"
                expect(put(self.other, key, value, ttl=before_ms)[0], 202)
                status, _, answer = self.between(key, after_ms, "kv1_set",
                                                 lambda key=key: patch(self.slow, key, body, headers))
                expect((status, json.loads(answer)["value"]), (200, result))
                for server in (self.slow, self.other):
                    expect(get(server, key), result)
                    expect_ttl(server, key, after_ms)

    def update_ends_with_a_new_ttl(self):
        """The TTL that is set between the two is over before the one that was read."""
        feed = Feed(self.slow, "short/")
        expect(put(self.other, "short/1", 1, ttl=HOUR_MS)[0], 202)
        status = self.between("short/1", 1000, "kv1_set", lambda: patch(self.slow, "short/1", {"increment": 1}))[0]
        expect(status, 200)
        feed.wait_for("short/1", 2)
        feed.wait_for("short/1", None)
        expect(get(self.other, "short/1"), 204)

    def lease(self, key):
        peer = WebSocket(self.slow)
        peer.send({"type": "set", "payload": {"key": key, "value": 1, "ttl": LEASE_MS, "while_connected": True}},
                  {"type": "get", "payload": {"key": key}})
        peer.wait_for('"value":1')
        return peer

    def lease_leaves_a_key_that_was_touched(self):
        """At its end, between the look at the key and the delete."""
        peer = self.lease("left")
        self.between("left", HOUR_MS, "kv1_delete", peer.socket.close)
        expect(put(self.slow, "behind", 1)[0], 202)
        for server in (self.slow, self.other):
            expect_ttl(server, "left", HOUR_MS)

    def lease_that_was_not_touched_ends(self):
        feed = Feed(self.other, "deleted")
        peer = self.lease("deleted")
        feed.wait_for("deleted", 1)
        peer.socket.close()
        feed.wait_for("deleted", None)
        expect(get(self.other, "deleted"), 204)

    def lease_is_not_renewed_when_its_key_was_touched(self):
        """A third of the TTL after the lease has begun, between the look at the key and the write."""
        peer = self.lease("renewed")
        self.between("renewed", HOUR_MS, "kv1_set", lambda: self.proxy.may_ask.wait(PATIENCE_S))
        expect(put(self.slow, "behind", 2)[0], 202)
        expect_ttl(self.other, "renewed", HOUR_MS)
        peer.socket.close()
        expect(put(self.slow, "behind", 3)[0], 202)
        expect_ttl(self.other, "renewed", HOUR_MS)

    def read_renews_no_key_that_was_touched(self):
        """By a policy, between the read and the write of the deadline."""
        server = self.server(self.proxy.path, "ttl: [{module: sliding, options: {ttl: 1h, step: 1s}}]\n")
        before, self.slow = self.slow, server
        try:
            expect(put(self.other, "read", 1, ttl=HOUR_MS // 2)[0], 202)
            expect(self.between("read", 3 * HOUR_MS, "kv1_touch", lambda: get(server, "read")), 1)
            expect(put(server, "behind", 4)[0], 202)
            expect_ttl(self.other, "read", 3 * HOUR_MS)
            expect(put(self.other, "read", 1, ttl=HOUR_MS // 2)[0], 202)
            expect(get(server, "read"), 1)
            wait_for(lambda: ttl_of(self.other, "read") > HOUR_MS // 2, "a read renews nothing")
        finally:
            self.slow = before
            server.end()

    def expiries_at_a_clock_that_is_behind(self):
        """Keys are due when their master is lost, and expire at its replica. Meanwhile others have been told of later
        revisions, up to what the clock of the lost master had passed."""
        cluster = Cluster(node_timeout_ms=60_000, more=lambda i: {
            "LD_PRELOAD": CLOCK, "KV_CLOCK_AHEAD_MS": str(AHEAD_MS if i < N_MASTERS else 0)})
        lost = cluster.nodes[0]
        replica = cluster.replicas_of(lost)[0]
        server = Server(store="redis", options=f'nodes: ["127.0.0.1:{lost.port}"], timeout: 8s')
        feed = Feed(server, "due/")
        names = [f"due/{i}" for i in range(N_KEYS)]
        at_once([lambda name=name: expect(put(server, name, 1)[0], 202) for name in names])
        due = re.findall(r"due/\d+", lost.ask("KEYS kv{*}kdue/*"))
        others = [name for name in names if name not in due]
        at_once([lambda name=name: expect(patch(server, name, {"ttl": TTL_MS})[0], 202) for name in due])
        last_ms = clock_ms(lost) + TTL_MS
        wait_for(lambda: is_replicated(lost), "the replica is behind")
        lost.ask("CLIENT PAUSE 600000 WRITE")  # nothing expires there, and the server, connecting again, asks for the time
        wait_for(lambda: clock_ms(lost) > last_ms + LATER_MS, "time stands still")
        expect(put(server, others[0], 2)[0], 202)
        expect(replica.ask("CLUSTER FAILOVER TAKEOVER")[:3], "+OK")
        lost.kill()
        for name in due:
            feed.wait_for(name, None)
        at_once([lambda name=name: expect(put(server, name, 3)[0], 202) for name in due])
        for name in due:
            feed.wait_for(name, 3)
        expect(feed.n_resets, 0)
        expect(len(feed.told), len(names) + 2 * len(due) + 1)
        server.end()
        cluster.end()

    def end(self):
        self.slow.end()
        self.other.end()
        self.proxy.end()
        self.redis.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check_each((
            ("increments and merges keep a TTL that was set during them", tests.updates_keep_a_new_ttl),
            ("also one that is soon over", tests.update_ends_with_a_new_ttl),
            ("a lease that ends leaves a key that was touched meanwhile", tests.lease_leaves_a_key_that_was_touched),
            ("and deletes one that was not", tests.lease_that_was_not_touched_ends),
            ("a lease is not renewed when its key was touched meanwhile",
             tests.lease_is_not_renewed_when_its_key_was_touched),
            ("nor does a read renew a key that was touched meanwhile", tests.read_renews_no_key_that_was_touched),
            ("expiries at a clock that is behind are told in order", tests.expiries_at_a_clock_that_is_behind)),
        skipped={} if CLOCK else {tests.expiries_at_a_clock_that_is_behind: NO_CLOCK})
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
