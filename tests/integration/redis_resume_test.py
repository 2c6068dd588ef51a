#!/usr/bin/env python3
"""Clients resume at a KvServer that was started after they had been connected to another one, or to this one before it
was restarted: over one Redis, and over a Redis Cluster. Prints TAP."""
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, get, put  # pylint: disable=wrong-import-position

N_KEYS = 24
N_EARLIER = 200
N_TRIMMED = 3000
N_BRIEF = 50
BRIEF_MS = 4000
LONG = 100_000
RECALL_MS = 5000  # what a start takes at most to read the log


class Feed:
    """What a subscriber of a prefix is told: pairs of key and value, None where it is gone. last_id: where to resume."""

    def __init__(self, server, prefix, last_id=None):
        self.told, self.n_resets, self.last_id = [], 0, last_id
        self.is_synced = threading.Event()
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        self.connection.request("GET", f"/events?prefix={prefix}&initial=true&meta=true",
                                headers={"Last-Event-ID": last_id} if last_id else {})
        self.sock = self.connection.sock  # the response takes it over
        self.stream = self.connection.getresponse()
        expect(self.stream.status, 200)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        assert self.is_synced.wait(PATIENCE_S), "the subscription is not synced"

    def read(self):
        fields = {}
        try:
            for line in self.stream:
                name, _, rest = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = rest
                    continue
                if "data" in fields:
                    self.take(fields.get("event"), json.loads(fields["data"]))
                self.last_id = fields.get("id", self.last_id)
                if fields.get("event") == "synced":
                    self.is_synced.set()
                fields = {}
        except (OSError, ValueError, AttributeError, http.client.HTTPException):  # it is closed
            pass

    def take(self, kind, payload):
        if kind == "reset":
            self.n_resets += 1
        elif kind != "synced" and "key" in payload:
            self.told.append((payload["key"], payload.get("value")))

    def wait_for(self, key, value):
        wait_for(lambda: (key, value) in self.told,
                 f"{key} is not told to be {str(value)[:40]}: {str(self.told[-3:])[:200]}")

    def revision(self):
        return int(self.last_id.rpartition("-")[2])

    def end(self):
        """Returns: the last ID."""
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE_S)
        self.stream.close()
        return self.last_id


class Writer(threading.Thread):
    """Writes to several keys of a prefix, one after the other, through the server, until it is stopped."""

    def __init__(self, server, prefix):
        super().__init__(daemon=True)
        self.server, self.prefix, self.written = server, prefix, []
        self.is_stopped, self.fault = threading.Event(), None

    def run(self):
        while not self.is_stopped.is_set():
            key, value = f"{self.prefix}{len(self.written) % N_KEYS}", len(self.written)
            status = put(self.server, key, value)[0]
            if status != 202:
                self.fault = status
                return
            self.written.append((key, value))

    def wait_for(self, n):
        wait_for(lambda: len(self.written) >= n or self.fault, "nothing is written")

    def stop(self):
        """Returns: what was written, in order."""
        self.is_stopped.set()
        self.join(PATIENCE_S)
        expect(self.fault, None)
        return self.written


def recalled(server):
    """How many changes it has read from Redis when it started, and how long that took, in milliseconds."""
    counts = re.findall(r"(\d+) changes read from the log of Redis in (\d+) ms", server.read_log())
    return tuple(map(int, counts[-1]))


def restart(server):
    server.end_process()
    server.start()


class Tests:
    """What is the same over one Redis and a cluster. options: of the store; nodes: the servers that have the logs."""

    def __init__(self, options, nodes):
        self.options, self.nodes = options, nodes
        self.one, self.two = self.server(), self.server()

    def server(self, more=""):
        return Server(store="redis", options=f"{self.options}, timeout: 5s{more}")

    def ask_all(self, *words):
        """The answers of all masters."""
        return [node.ask(*words) for node in self.nodes()]

    def expect_the_rest(self, server, feed_id, prefix, written, told):
        """A client that was told as much resumes there, and is told the rest: each change once, in order."""
        feed = Feed(server, prefix, feed_id)
        feed.wait_for(*written[-1])
        expect(feed.n_resets, 0)
        expect(feed.told, written[len(told):])
        feed.end()

    def restarted_while_others_write(self):
        feed, writer = Feed(self.two, "rolling/"), Writer(self.one, "rolling/")
        writer.start()
        writer.wait_for(N_EARLIER)
        feed.wait_for(*writer.written[N_EARLIER - 1])
        last_id, told = feed.end(), feed.told
        writer.wait_for(len(told))
        expect(told, writer.written[:len(told)])
        restart(self.two)
        self.expect_the_rest_while_writing(last_id, "rolling/", writer, told)
        written = writer.stop()
        self.expect_the_rest(self.two, last_id, "rolling/", written, told)
        restart(self.one)
        restart(self.two)
        for server in self.one, self.two:
            self.expect_the_rest(server, last_id, "rolling/", written, told)

    def expect_the_rest_while_writing(self, last_id, prefix, writer, told):
        """The change that joins what was read from the log and what is told comes once as well."""
        feed = Feed(self.two, prefix, last_id)
        writer.wait_for(len(writer.written) + N_EARLIER)
        feed.wait_for(*writer.written[-1])
        feed.end()
        writer.wait_for(len(told) + len(feed.told))
        expect(feed.n_resets, 0)
        expect(feed.told, writer.written[len(told):][:len(feed.told)])

    def new_server(self):
        feed = Feed(self.one, "new/")
        put(self.one, "new/1", 1)
        feed.wait_for("new/1", 1)
        last_id, told = feed.end(), feed.told
        written = told + [(f"new/{i}", i) for i in range(2, N_KEYS)]
        for key, value in written[1:]:
            expect(put(self.one, key, value)[0], 202)
        expect(self.one.request("DELETE", "/storage/new/1")[0], 200)
        server = self.server()
        self.expect_the_rest(server, last_id, "new/", written + [("new/1", None)], told)
        server.end()

    def long_values(self):
        """They are not in the log: those states are left out that have been replaced."""
        feed = Feed(self.two, "long/")
        put(self.one, "long/0", 0)
        feed.wait_for("long/0", 0)
        last_id = feed.end()
        for key, value in ("1", "x" * LONG), ("2", "y" * LONG), ("1", "z" * LONG), ("3", 3), ("2", 2):
            expect(put(self.one, "long/" + key, value)[0], 202)
        restart(self.two)
        feed = Feed(self.two, "long/", last_id)
        feed.wait_for("long/2", 2)
        expect(feed.n_resets, 0)
        expect(feed.told, [("long/1", "z" * LONG), ("long/3", 3), ("long/2", 2)])
        feed.end()

    def expiries(self):
        """Several that are due at once are one entry of the log."""
        feed = Feed(self.two, "brief/")
        keys = [f"brief/{i}" for i in range(N_BRIEF)]
        for key in keys:
            expect(put(self.one, key, 1, ttl=BRIEF_MS)[0], 202)
        feed.wait_for(keys[-1], 1)
        last_id, until = feed.end(), time.monotonic() + BRIEF_MS / 1000
        assert (keys[0], None) not in feed.told, "the keys have expired before the test began"
        self.two.end_process()
        self.one.stop()
        wait_for(lambda: time.monotonic() > until, "time stands still")
        self.one.go_on()
        wait_for(lambda: json.loads(self.one.request("GET", "/storage?prefix=brief/")[2])["keys"] == [],
                 "they do not expire")
        self.two.start()
        feed = Feed(self.two, "brief/", last_id)
        wait_for(lambda: len(feed.told) >= N_BRIEF, "not all expiries are told")
        expect(sorted(feed.told), sorted((key, None) for key in keys))
        expect(feed.n_resets, 0)
        feed.end()

    def trimmed_log(self):
        """A client that needs more than there is starts over, another one resumes."""
        servers = [self.server(", prefix: trimmed, log_entries: 100") for _ in range(2)]
        early = Feed(servers[1], "")
        for i in range(N_TRIMMED):
            expect(put(servers[0], f"trimmed/{i % N_KEYS}", i)[0], 202)
            if i == 0:
                early.wait_for("trimmed/0", 0)
                early.end()
            if i == N_TRIMMED - 10:
                late_id = Feed(servers[1], "").end()
        restart(servers[1])
        feed = Feed(servers[1], "", early.last_id)
        expect(feed.n_resets, 1)
        expect(sorted(feed.told), sorted((f"trimmed/{i % N_KEYS}", i)
                                         for i in range(N_TRIMMED - N_KEYS, N_TRIMMED)))
        feed.end()
        feed = Feed(servers[1], "", late_id)
        expect(feed.n_resets, 0)
        expect(feed.told, [(f"trimmed/{i % N_KEYS}", i) for i in range(N_TRIMMED - 9, N_TRIMMED)])
        feed.end()
        for server in servers:
            server.end()

    def broken_log(self):
        """An entry is missing in it: nothing is resumed from before that."""
        feed, ids = Feed(self.one, "broken/"), []
        for i in range(4):
            before = feed.last_id
            put(self.one, "broken/1", i)
            wait_for(lambda before=before: feed.last_id != before, "the change is not told")
            ids.append(feed.last_id)
        feed.end()
        entry = ids[2].rpartition("-")[2] + "-1"
        log = next(key for node in self.nodes() for key in re.findall(r"kv\{\d+\}s(?=\r)", node.ask("KEYS kv{*}s"))
                   if f"{entry}\r" in node.ask("XRANGE", key, entry, entry))
        expect([answer for answer in self.ask_all("XDEL", log, entry) if answer[0] == ":"], [":1\r\n"])
        restart(self.two)
        for last_id, n_resets in (ids[1], 1), (ids[2], 0), (ids[3], 0):
            feed = Feed(self.two, "broken/", last_id)
            expect(feed.n_resets, n_resets)
            expect(feed.told, [] if last_id == ids[3] else [("broken/1", 3)])
            feed.end()

    def revision_that_was_lost(self):
        """A failover may lose a change that a client was told: no change in the log has its revision."""
        feed = Feed(self.one, "lost/")
        put(self.one, "lost/1", 1)
        feed.wait_for("lost/1", 1)
        last_id = feed.end()
        put(self.one, "lost/1", 2)
        restart(self.two)
        epoch, _, revision = last_id.rpartition("-")
        feed = Feed(self.two, "lost/", f"{epoch}-{int(revision) + 1}")
        expect(feed.n_resets, 1)
        expect(feed.told, [("lost/1", 2)])
        feed.end()

    def kvctl(self):
        """Watches on at the restarted server."""
        feed = Feed(self.one, "kvctl/")
        put(self.one, "kvctl/1", 1)
        feed.wait_for("kvctl/1", 1)
        epoch, _, revision = feed.end().rpartition("-")
        for i in 2, 3:
            put(self.one, "kvctl/1", i)
        restart(self.two)
        kvctl = os.path.join(os.path.dirname(os.environ["KV_SERVER_PROGRAM"]), "kvctl")
        command = [kvctl, "--url", f"http://127.0.0.1:{self.two.port}", "watch", "--prefix", "kvctl/", "--since",
                   revision, "--epoch", epoch, "--limit", "2", "-o", "json"]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
        expect([json.loads(line).get("value") for line in output.splitlines()
                if json.loads(line).get("key") == "kvctl/1"], [2, 3])

    def command_that_is_not_allowed(self):
        """The server starts all the same, in time, and its clients start over."""
        feed = Feed(self.one, "refused/")
        put(self.one, "refused/1", 1)
        feed.wait_for("refused/1", 1)
        last_id = feed.end()
        put(self.one, "refused/1", 2)
        self.ask_all("ACL SETUSER default -xrevrange")
        try:
            server = self.server()
        finally:
            self.ask_all("ACL SETUSER default +xrevrange")
        n_changes, took_ms = recalled(server)
        expect(n_changes, 0)
        assert took_ms < RECALL_MS, "it waits for Redis to allow it"
        feed = Feed(server, "refused/", last_id)
        expect((feed.n_resets, feed.told), (1, [("refused/1", 2)]))
        expect(get(server, "refused/1"), 2)
        feed.end()
        server.end()

    def end(self):
        self.one.end()
        self.two.end()


def check_all(report, where, tests):
    for name, test in (
            ("each change is told once, in order, where servers are restarted while others write",
             tests.restarted_while_others_write),
            ("clients resume at a new server", tests.new_server),
            ("of long values, those are told that are still there", tests.long_values),
            ("expiries are told that happened while the server was away", tests.expiries),
            ("a client that needs more than the log has starts over", tests.trimmed_log),
            ("nothing is resumed from before a gap in the log", tests.broken_log),
            ("a client that knows a change that was lost starts over", tests.revision_that_was_lost),
            ("kvctl watches on", tests.kvctl),
            ("a server starts where Redis does not let it read back", tests.command_that_is_not_allowed)):
        report.check(f"{where}: {name}", test)
    tests.end()


def main():
    require_redis()
    report = Report()
    redis = Redis()
    check_all(report, "one Redis", Tests(f"unix: {redis.socket}", lambda: [redis]))
    redis.end()
    cluster = Cluster(n_replicas=0)
    nodes = ", ".join(f'"127.0.0.1:{node.port}"' for node in cluster.nodes)
    check_all(report, "a cluster", Tests(f"nodes: [{nodes}]", cluster.masters))
    cluster.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
