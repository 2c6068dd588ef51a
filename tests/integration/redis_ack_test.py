#!/usr/bin/env python3
"""The store `redis` with `ack: replicas` and `ack: disk`: Redis with a replica that is stopped, resumed, and
takes the place of its primary. Prints TAP.
"""
import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from chaos import at_once  # pylint: disable=wrong-import-position
from kvserver import Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import Feed, expect, get, put, write_often  # pylint: disable=wrong-import-position

N_WRITES = 300
N_WRITERS = 4
TIMEOUT_S = 2


def replica_of(primary):
    replica = Redis("--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0")
    wait_for(lambda: "state=online" in primary.ask("INFO replication"),
             "the replica does not connect")
    return replica


def start_primary():
    return Redis("--repl-diskless-sync-delay", "0")


class Tests:
    def __init__(self):
        self.primary = start_primary()
        self.replica = replica_of(self.primary)
        self.one, self.two = (self.server() for _ in range(2))

    def server(self, ack="ack: replicas"):
        return Server(store="redis", options=f"port: {self.primary.port}, timeout: {TIMEOUT_S}s, {ack}")

    def ready(self, server):
        return server.request("GET", "/readyz")[0] == 200

    def acknowledged_writes_are_at_the_replica(self):
        feed = Feed(self.two, "at")
        for i in range(N_WRITES):
            expect(put(self.one, "at", i)[0], 202)
            record = self.replica.ask("GETRANGE kv{0}kat 16 -1")
            assert record.endswith(f"\r\n{i}\r\n"), record
        feed.wait_for("at", N_WRITES - 1)
        expect([value for _, value in feed.told], list(range(N_WRITES)))

    def writers_share_a_fence(self):
        """Values from many connections at once, and long ones among them."""
        def write(n):
            for i in range(40):
                value = "x" * 100_000 if i % 10 == 0 else i
                expect(put(self.one if n % 2 else self.two, f"many/{n}", value)[0], 202)
                expect(get(self.two, f"many/{n}"), value)
        faults = []
        def run(n):
            try:
                write(n)
            except AssertionError as fault:
                faults.append(fault)
        threads = [threading.Thread(target=run, args=(n,)) for n in range(N_WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults, faults[0]

    def stopped_replica(self):
        """Nobody is shown a write that may still be lost. A write answered with 503 has not been executed."""
        feeds = [Feed(server, "stopped") for server in (self.one, self.two)]
        expect(put(self.one, "stopped", "before")[0], 202)
        self.replica.stop()
        try:
            expect(put(self.one, "stopped", "unknown")[0], 504)
            at_once([lambda: expect(put(self.one, "stopped", "never")[0], 503),
                     *(lambda server=server: expect(get(server, "stopped"), 503) for server in (self.one, self.two))])
            for server in (self.one, self.two):
                expect(server.request("GET", "/readyz")[0], 503)
            wait_for(lambda: "0 of 1 answer" in self.one.read_log(), "the log does not say why")
            for feed in feeds:
                assert ("stopped", "unknown") not in feed.told, "it was told"
        finally:
            self.replica.go_on()
        for server in (self.one, self.two):
            wait_for(lambda server=server: self.ready(server), "the server is not ready again")
            expect(get(server, "stopped"), "unknown")
        for server, feed in zip((self.one, self.two), feeds):
            expect(put(server, "stopped", server.port)[0], 202)
            feed.wait_for("stopped", server.port)
        for feed in feeds:
            feed.wait_for("stopped", self.two.port)
            expect([value for _, value in feed.told],
                   ["before", "unknown", self.one.port, self.two.port])
            expect(feed.n_resets, 0)

    def pause_that_is_short(self):
        """Writes wait for it, and none fails."""
        self.replica.stop()
        threading.Timer(0.4, self.replica.go_on).start()
        expect(put(self.one, "pause", 1)[0], 202)
        expect(get(self.two, "pause"), 1)

    def cut_connections(self):
        feed = Feed(self.two, "cut")
        answers = []
        for i in range(N_WRITES):
            if i % 40 == 0:
                self.primary.ask("CLIENT KILL TYPE", "normal" if i % 80 else "pubsub")
            answers.append(put(self.one, "cut", i)[0])
        assert set(answers) <= {202, 504}, set(answers)
        expect(put(self.one, "cut", "end")[0], 202)
        feed.wait_for("cut", "end")
        values = [value for _, value in feed.told if value != "end"]
        expect(values, sorted(set(values)))
        expect(feed.n_resets, 0)

    def full_redis(self):
        expect(put(self.one, "full", 1)[0], 202)
        self.primary.ask("CONFIG SET maxmemory 1")
        try:
            expect(put(self.one, "fuller", "x" * 1000)[0], 507)
            expect(self.one.request("DELETE", "/storage/full")[0], 200)
        finally:
            self.primary.ask("CONFIG SET maxmemory 0")

    def refused_for_want_of_replicas(self):
        self.primary.ask("CONFIG SET min-replicas-to-write 5")
        try:
            expect(put(self.one, "refused", 1)[0], 503)
        finally:
            self.primary.ask("CONFIG SET min-replicas-to-write 0")
        wait_for(lambda: self.ready(self.one), "the server is not ready again")
        expect(get(self.one, "refused"), 204)

    def primary_that_dies(self):
        """Its replica is promoted: no acknowledged write is lost, and no change is told twice."""
        feeds = [Feed(server, "dies") for server in (self.one, self.two)]
        acknowledged = [0] * N_WRITERS
        is_over = threading.Event()

        def write(n):
            server, i = (self.one, self.two)[n % 2], 0
            while not is_over.is_set():
                i += 1
                if put(server, f"dies/{n}", i)[0] == 202:
                    acknowledged[n] = i
        threads = [threading.Thread(target=write, args=(n,)) for n in range(N_WRITERS)]
        for thread in threads:
            thread.start()
        wait_for(lambda: min(acknowledged) > 20, "nothing is written")
        self.primary.kill()
        self.replica.ask("REPLICAOF NO ONE")
        self.replica.ask(f"CONFIG SET port {self.primary.port}")
        self.replica.port = self.primary.port
        old, self.primary = self.primary, self.replica
        self.replica = replica_of(self.primary)
        before = list(acknowledged)
        wait_for(lambda: all(now > then for now, then in zip(acknowledged, before)),
                 "nothing is written at the new primary")
        is_over.set()
        for thread in threads:
            thread.join()
        old.end()
        for n in range(N_WRITERS):
            assert get(self.one, f"dies/{n}") >= acknowledged[n], "an acknowledged write is lost"
            expect(put(self.one, f"dies/{n}", "end")[0], 202)
        for feed in feeds:
            for n in range(N_WRITERS):
                feed.wait_for(f"dies/{n}", "end")
                told = [value for key, value in feed.told if key == f"dies/{n}" and value != "end"]
                expect(told, sorted(set(told)))
                expect(told[-1] >= acknowledged[n], True)
            expect(feed.n_resets, 0)

    def primary_that_hangs(self):
        """That writes can be sent to it is no sign of life."""
        server = self.server("ack: primary")
        self.primary.stop()
        try:
            longest = max(write_often(server, "hangs", 4 * TIMEOUT_S, 1))
        finally:
            self.primary.go_on()
        assert longest < 3 * TIMEOUT_S, f"a write was answered after {longest:.1f} s"
        wait_for(lambda: self.ready(server), "the server is not ready again")
        expect(put(server, "hangs", "end")[0], 202)
        server.end()

    def has_waitaof(self):
        return not self.primary.ask("WAITAOF 0 0 1").startswith("-ERR unknown")

    def disk(self):
        """If Redis has WAITAOF; if not, the server reports that."""
        can = self.has_waitaof()
        if can:
            self.primary.ask("CONFIG SET appendonly yes")
        try:
            server = self.server("ack: disk")
        except AssertionError as fault:
            assert not can and "needs Redis 7.2 or Valkey" in str(fault), fault
            return
        assert can, "it has started"
        expect(put(server, "disk", 1)[0], 202)
        expect(get(server, "disk"), 1)
        server.end()

    def disk_and_a_crash(self):
        """All that was acknowledged is there again. Without an append-only file, nothing is acknowledged."""
        redis = Redis("--appendonly", "yes", "--appendfsync", "always")
        server = Server(store="redis", options=f"port: {redis.port}, timeout: {TIMEOUT_S}s, ack: disk")
        feed = Feed(server, "crash/")
        for i in range(N_WRITERS):
            expect(put(server, f"crash/{i}", i)[0], 202)
        redis.kill()
        redis.start()
        wait_for(lambda: self.ready(server), "the server is not ready again")
        expect([get(server, f"crash/{i}") for i in range(N_WRITERS)], list(range(N_WRITERS)))
        redis.ask("CONFIG SET appendonly no")
        assert put(server, "crash/off", 1)[0] in (503, 504)
        wait_for(lambda: not self.ready(server), "the server is ready without the file")
        redis.ask("CONFIG SET appendonly yes")
        wait_for(lambda: self.ready(server), "the server is not ready again")
        expect(put(server, "crash/end", 1)[0], 202)
        feed.wait_for("crash/end", 1)
        expect(feed.n_resets, 0)
        server.end()
        redis.end()

    def end(self):
        self.one.end()
        self.two.end()
        self.replica.end()
        self.primary.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check("a write is at the replica when it is answered, and told in order",
                 tests.acknowledged_writes_are_at_the_replica)
    report.check("many connections write and read at once", tests.writers_share_a_fence)
    report.check("while the replica is stopped, nothing is acknowledged, shown or told, and then all is",
                 tests.stopped_replica)
    report.check("where the replica pauses for a while, writes wait", tests.pause_that_is_short)
    report.check("nothing is missed, or told twice, where connections are cut",
                 tests.cut_connections)
    report.check("where Redis is full, deletes are acknowledged", tests.full_redis)
    report.check("a write that Redis refuses for want of replicas is answered 503",
                 tests.refused_for_want_of_replicas)
    report.check("nothing acknowledged is lost when the replica takes the place of its primary",
                 tests.primary_that_dies)
    report.check("a primary that hangs is noticed in time while it is written to", tests.primary_that_hangs)
    report.check("`ack: disk` works, or is refused where Redis lacks it", tests.disk)
    name = "with `ack: disk`, nothing acknowledged is lost when Redis crashes"
    if tests.has_waitaof():
        report.check(name, tests.disk_and_a_crash)
    else:
        report.skip(name, "this Redis has no WAITAOF")
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
