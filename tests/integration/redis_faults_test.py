#!/usr/bin/env python3
"""KvServers on one Redis that closes connections, dies, comes back empty, forgets its functions, refuses passwords,
or has another clock; and servers that stand still. KV_TEST_ROUNDS makes the longer ones longer. Prints TAP.
"""
import json
import os
import re
import shutil
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from chaos import Client, Subscriber, at_once, lose_nothing  # pylint: disable=wrong-import-position
from kvserver import CLOCK, NO_CLOCK, PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, get, n_reconnects, put  # pylint: disable=wrong-import-position

ROUNDS = int(os.environ.get("KV_TEST_ROUNDS", "1"))
N_WRITERS = 8
DOWN_S = 3 * ROUNDS
LONG = 10_000_000 * min(ROUNDS, 10)
RIGHTS = "~kv{0}* &kv{0}* +@all -@dangerous +client|kill +info".split()
HOUR_MS = 3_600_000
TTL_MS = 1500
N_EXPIRING = 1000
N_RACES = 40 * ROUNDS
LATE_S = 2  # the machine may be busy
SLOW = 2_000_000  # bytes that take the relay three times the timeout of a second


class ShiftedServer(Server):
    """One whose clock is wrong."""

    def __init__(self, ahead_ms, options):
        self.ahead_ms = ahead_ms
        super().__init__(store="redis", options=options)

    def spawn(self, command):
        environment = {**os.environ, "LD_PRELOAD": CLOCK, "KV_CLOCK_AHEAD_MS": str(self.ahead_ms)}
        return processes.start(command, stderr=self.log, env=environment)


class Relay:
    """An address in front of Redis. All that it passes on comes a little later; and slowly, piece by piece, whatever
    comes once a value is asked for by GET, as servers do when it was too long to be told with its change."""

    LATE_S = 0.05
    PIECE, PAUSE_S = 65536, 0.1

    def __init__(self, path):
        self.path = path
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                server = self.listener.accept()[0]
            except OSError:  # the end
                return
            redis = socket.socket(socket.AF_UNIX)
            redis.connect(self.path)
            is_slow = threading.Event()
            threading.Thread(target=self.ask, args=(server, redis, is_slow), daemon=True).start()
            threading.Thread(target=self.answer, args=(redis, server, is_slow), daemon=True).start()

    def ask(self, server, redis, is_slow):
        while data := server.recv(self.PIECE):
            if b"\r\nGET\r\n" in data:
                is_slow.set()
            time.sleep(self.LATE_S)
            redis.sendall(data)
        redis.shutdown(socket.SHUT_RDWR)

    def answer(self, redis, server, is_slow):
        while data := redis.recv(self.PIECE):
            time.sleep(self.PAUSE_S if is_slow.is_set() else self.LATE_S)
            server.sendall(data)
        server.close()

    def end(self):
        self.listener.close()


class Tests:
    def __init__(self):
        self.redis = Redis("--appendonly", "yes", "--appendfsync", "always")
        self.one, self.two = self.server(), self.server()
        self.n_loads = 0

    def options(self, more="", timeout_s=1):
        return f"unix: {self.redis.socket}, timeout: {timeout_s}s{more}"

    def server(self, more="", timeout_s=1):
        return Server(store="redis", options=self.options(more, timeout_s))

    def ask(self, *words):
        answer = self.redis.ask(*words)
        assert not answer.startswith("-"), answer
        return answer

    def ready(self, server):
        return server.request("GET", "/readyz")[0] == 200

    def await_ready(self):
        for server in (self.one, self.two):
            wait_for(lambda server=server: self.ready(server), "a server is not ready again")

    def under_load(self, fault, servers=None):
        """Nothing may be lost. Returns: what happened."""
        self.n_loads += 1
        return lose_nothing(servers or (self.one, self.two), f"load{self.n_loads}/", N_WRITERS, fault)

    # ---- connections ----

    def server_that_reads_nothing(self):
        """Until Redis closes its connection, as too much waits there; and writes go on while it catches up."""
        self.ask('CONFIG SET client-output-buffer-limit "pubsub 4mb 4mb 60"')

        def n_subscribers():
            return self.redis.ask("CLIENT LIST TYPE pubsub").count("id=")

        def fault(load):
            before = n_subscribers()
            self.two.stop()
            try:
                client, i = Client(self.one), 0
                while n_subscribers() == before:
                    i += 1
                    expect(client.put(f"{load.prefix}long/{i % 7}", "x" * 2000 + str(i))[0], 202)
                client.close()
            finally:
                self.two.go_on()
        self.under_load(fault)
        self.ask('CONFIG SET client-output-buffer-limit "pubsub 32mb 8mb 60"')

    def lost_connections(self):
        def fault(load):
            for i in range(8 * ROUNDS):
                load.wait_until_all_write(5)
                self.ask("CLIENT KILL TYPE", "pubsub" if i % 2 else "normal")
        self.under_load(fault)

    def functions_that_are_gone(self):
        """They are loaded again, and order is kept."""
        def fault(load):
            for i in range(4 * ROUNDS):
                load.wait_until_all_write(5)
                self.ask("FUNCTION FLUSH" if i % 2 else "FUNCTION FLUSH SYNC")
        facts = self.under_load(fault)
        assert facts["unknown"] == 0, "Redis has executed nothing of it"

    def refused_password(self):
        """Nothing is changed meanwhile, and all goes on when it is accepted again."""
        self.ask("ACL SETUSER kv on >right", *RIGHTS)
        servers = [self.server(", user: kv, password: right") for _ in range(2)]

        def fault(load):
            self.ask("ACL SETUSER kv resetpass >other")
            self.ask("CLIENT KILL USER kv")
            wait_for(lambda: not self.ready(servers[0]), "the server says that it is ready")
            expect(put(servers[0], "refused", 1)[0], 503)
            expect(self.redis.ask("EXISTS kv{0}krefused"), ":0\r\n")
            wait_for(lambda: "WRONGPASS" in servers[0].read_log(), "the log does not say why")
            self.ask("ACL SETUSER kv >right")
        self.under_load(fault, servers)
        for server in servers:
            server.end()

    # ---- Redis itself ----

    def redis_that_is_down(self):
        def fault(load):
            self.redis.kill()
            servers = (self.one, self.two)
            at_once([*(lambda server=server: expect(put(server, "down", 1)[0], 503) for server in servers),
                     *(lambda server=server: expect(get(server, "down"), 503) for server in servers)])
            for server in servers:
                expect(self.ready(server), False)
            time.sleep(DOWN_S)
            self.redis.start()
        self.under_load(fault)

    def resume(self, server, mark):
        """Returns: what a subscriber that continues from the mark is told first."""
        epoch, revision = mark
        client = Client(server)
        client.socket.sendall(f"GET /events?prefix=&since={revision}&epoch={epoch} HTTP/1.1\r\n"
                              "Host: localhost\r\n\r\n".encode())
        while not re.search(rb"event: (reset|synced)\n", client.rest):
            client.receive()
        client.close()
        return re.search(rb"event: (reset|synced)\n", client.rest).group(1)

    def mark_of(self, server):
        """Returns: epoch and revision."""
        client = Client(server)
        client.socket.sendall(b"GET /events?prefix=none&initial=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"event: synced\n" not in client.rest:
            client.receive()
        client.close()
        synced = json.loads(re.search(rb"event: synced\n(?:id:.*\n)?data: (.*)\n", client.rest).group(1))
        return synced["epoch"], synced["revision"]

    def start_anew(self, empty):
        """The store is gone: servers answer 503 until they are started anew, and a new epoch begins."""
        expect(put(self.one, "before", 1)[0], 202)
        mark = self.mark_of(self.one)
        empty()
        for server in (self.one, self.two):
            wait_for(lambda server=server: not self.ready(server), "the server says that it is ready")
            expect(put(server, "after", 1)[0], 503)
        self.one.end()
        self.one = self.server()
        expect(self.ready(self.two), False)
        wait_for(lambda: "started anew" in self.two.read_log(), "the log does not say what to do")
        self.two.end()
        self.two = self.server()
        assert self.mark_of(self.two)[0] != mark[0], "the epoch is the same"
        expect(self.resume(self.two, mark), b"reset")
        expect(get(self.two, "before"), 204)
        expect(put(self.one, "after", 2)[0], 202)
        expect(get(self.two, "after"), 2)

    def redis_that_comes_back_empty(self):
        def empty():
            self.redis.kill()
            shutil.rmtree(os.path.join(self.redis.folder, "appendonlydir"))
            self.redis.start()
        self.start_anew(empty)

    def flushed_redis(self):
        self.start_anew(lambda: self.ask("FLUSHALL"))

    def store_of_another_kind(self):
        for field, value, text in (("format", 3, "has format 3"), ("partitions", 4, "has 4 partitions")):
            before = self.ask("HGET kv{0}i", field).split("\r\n")[1]
            self.ask("HSET kv{0}i", field, str(value))
            try:
                self.server().end()
            except AssertionError as fault:
                assert text in str(fault), fault
            else:
                raise AssertionError("a server has started")
            finally:
                self.ask("HSET kv{0}i", field, before)
        self.await_ready()

    def entry_that_is_no_change(self):
        """Somebody else has written to the log. The server says where, and goes on once the entry is removed."""
        expect(put(self.one, "before", 1)[0], 202)  # IDs that Redis makes up are larger than this one's
        entry = self.ask("XADD kv{0}s * e odd").split("\r\n")[1]

        def says_where(server):
            log = server.read_log()
            return entry in log and "kv{0}s" in log and "XDEL" in log
        self.ask("CLIENT KILL TYPE pubsub")
        for server in (self.one, self.two):
            wait_for(lambda server=server: says_where(server), "the log does not say which entry")
            expect(self.ready(server), False)
        expect(self.ask("XDEL kv{0}s", entry), ":1\r\n")
        self.await_ready()
        expect(put(self.one, "behind", 1)[0], 202)
        expect(get(self.two, "behind"), 1)

    # ---- time ----

    def expire(self, fault):
        """Keys are set at one server that then fails; the others tell the end of each once and on time."""
        doomed = self.server()
        subscribers = [Subscriber(server, "doom/") for server in (self.one, self.two)]
        client = Client(doomed)
        sets = [{"type": "set", "payload": {"key": f"doom/{i}", "value": i, "ttl": TTL_MS + 2 * i}}
                for i in range(N_EXPIRING)]
        expect(client.ask("POST", "/batch", json.dumps(sets).encode())[0], 200)
        set_at = time.monotonic()
        time.sleep(TTL_MS / 1000)
        fault(doomed)
        late = []
        for subscriber in subscribers:
            wait_for(lambda subscriber=subscriber: len(subscriber.ended_at) == N_EXPIRING, "not all ends are told")
            for i in range(N_EXPIRING):
                expect([reason for _, _, reason in subscriber.changes[f"doom/{i}"]], ["set", "expire"])
                late.append(subscriber.ended_at[f"doom/{i}"] - set_at - (TTL_MS + 2 * i) / 1000)
        late.sort()
        print(f"#   told late: p50 {late[len(late) // 2] * 1e3:.1f} ms, p99 {late[len(late) * 99 // 100] * 1e3:.1f} ms, "
              f"most {late[-1] * 1e3:.1f} ms", flush=True)
        assert late[-1] < LATE_S, "an end is told late"
        return doomed

    def expiries_while_a_server_dies(self):
        def kill(doomed):
            doomed.process.kill()
            doomed.process.wait(PATIENCE_S)
        self.expire(kill).end()

    def expiries_while_a_server_stands_still(self):
        doomed = self.expire(Server.stop)
        doomed.go_on()
        expect(put(doomed, "doom/end", 1)[0], 202)
        doomed.end()

    def servers_with_other_clocks(self):
        """An hour ahead, and an hour behind: deadlines are Redis's."""
        servers = [ShiftedServer(ahead_ms, self.options()) for ahead_ms in (HOUR_MS, -HOUR_MS)]
        subscribers = [Subscriber(server, "hour/") for server in servers]
        for server, other in (servers, servers[::-1]):
            key = f"hour/{server.port}"
            set_at = time.monotonic()
            expect(put(server, key, 1, ttl=TTL_MS)[0], 202)
            left = int(other.request("GET", "/storage/" + key)[1]["KV-TTL"])
            assert 0 < left <= TTL_MS, left
            for subscriber in subscribers:
                wait_for(lambda key=key, subscriber=subscriber: key in subscriber.ended_at, "it does not expire")
                took = subscriber.ended_at[key] - set_at
                assert TTL_MS / 1000 - 0.01 <= took < TTL_MS / 1000 + LATE_S, took
            expect(get(other, key), 204)
        self.under_load(lambda load: load.wait_until_all_write(20), servers)
        for server in servers:
            server.end()

    def reads_around_a_deadline(self):
        """Once somebody has been shown that a key is gone, nobody is shown it any more."""
        def read(server, key, seen):
            client = Client(server)
            while not seen or seen[-1][2] == 200:
                begin = time.monotonic()
                status = client.ask("GET", "/storage/" + key)[0]
                seen.append((begin, time.monotonic(), status))
            client.close()
        for i in range(N_RACES):
            key, seen = f"race/{i}", [[], []]
            expect(put(self.one, key, i, ttl=50)[0], 202)
            readers = [threading.Thread(target=read, args=(server, key, each))
                       for server, each in zip((self.one, self.two), seen)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join(PATIENCE_S)
            for mine, others in (seen, seen[::-1]):
                gone_at = mine[-1][1]
                expect(mine[-1][2], 204)
                assert all(status == 204 for begin, _, status in others if begin > gone_at), \
                    "it was gone, and is there again"

    def subscriptions_while_others_write(self):
        """Who subscribes while another server is written to sees the value, or is told of it."""
        for i in range(N_RACES):
            key = f"subscribed/{i}"
            writer = threading.Thread(target=lambda key=key, i=i: put(self.one, key, i))
            writer.start()
            subscriber = Subscriber(self.two, key)
            writer.join(PATIENCE_S)
            wait_for(lambda: subscriber.last(key)[1] == i, "the write is not told")
            values = [value for _, value, _ in subscriber.changes[key]]
            assert values in ([i], [None, i]), values

    # ---- lengths and keys ----

    def lengths(self):
        """Around the longest value that is sent with its change; its two quotation marks are part of it."""
        one, two = (self.server(timeout_s=PATIENCE_S) for _ in range(2))  # Redis writes all of it to the disk
        subscriber = Subscriber(two, "length/")
        for length in [65536 + i for i in (-18, -17, -16, -3, -2, -1, 0, 1)] + [LONG]:
            text = "x" * length
            expect(put(one, "length/1", text)[0], 202)
            expect(get(two, "length/1") == text, True)
            wait_for(lambda text=text: subscriber.last("length/1")[1] == text, "the value is not told whole")
        expect(one.request("DELETE", "/storage/length/1")[0], 200)
        for server in (self.one, self.two):  # which have a timeout of a second
            wait_for(lambda server=server: get(server, "length/1") == 204, "the deletion is not seen")
        one.end()
        two.end()

    def long_value_that_comes_slowly(self):
        """It takes longer than the timeout, and the thread that reads it reads nothing else: Redis is not silent."""
        relay = Relay(self.redis.socket)
        server = Server(store="redis", options=f"port: {relay.port}, timeout: 1s")
        subscriber = Subscriber(server, "slow/")
        is_over, answers = threading.Event(), []

        def write(i):
            while not is_over.is_set():
                answers.append(put(server, f"slow/{i}", len(answers))[0])
        writers = [threading.Thread(target=write, args=(i,)) for i in range(N_WRITERS)]
        for writer in writers:
            writer.start()
        try:
            expect(put(self.one, "slow/long", "x" * SLOW)[0], 202)
            wait_for(lambda: "slow/long" in subscriber.changes, "the value is not told")
        finally:
            is_over.set()
        for writer in writers:
            writer.join(PATIENCE_S)
        expect(set(answers), {202})
        expect(n_reconnects(server), "0")
        server.end()
        relay.end()

    def strange_keys(self):
        subscriber = Subscriber(self.two, "")
        for path, key in (("", ""), ("%00", "\0"), ("a%00b", "a\0b"), ("%7B0%7D", "{0}"), ("%0D%0A", "\r\n"),
                          ("%F0%9F%98%80", "\U0001f600")):
            expect(put(self.one, path, key)[0], 202)
            expect(get(self.two, path), key)
            wait_for(lambda key=key: subscriber.last(key)[1] == key, "the key is not told")
            names = json.loads(self.two.request("GET", "/storage?limit=10000&prefix=" + path)[2])["keys"]
            assert key in [name["key"] for name in names], "the key is not listed"
            expect(self.two.request("DELETE", "/storage/" + path)[0], 200)
            expect(get(self.one, path), 204)

    def end(self):
        self.one.end()
        self.two.end()
        self.redis.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check_each((
            ("a server that read nothing until Redis closed its connection catches up", tests.server_that_reads_nothing),
            ("lost connections are made anew under load", tests.lost_connections),
            ("functions that are gone are loaded again, and order is kept", tests.functions_that_are_gone),
            ("a password that is refused changes nothing", tests.refused_password),
            ("while Redis is down, requests are answered 503, and all goes on behind it", tests.redis_that_is_down),
            ("a Redis that comes back empty is a new store", tests.redis_that_comes_back_empty),
            ("so is one that was flushed", tests.flushed_redis),
            ("a store of another format, or with other partitions, is refused", tests.store_of_another_kind),
            ("an entry of the log that cannot be read is named", tests.entry_that_is_no_change),
            ("ends are told once and on time when a server is killed", tests.expiries_while_a_server_dies),
            ("ends are told once and on time when a server stands still", tests.expiries_while_a_server_stands_still),
            ("the servers' own clocks do not matter", tests.servers_with_other_clocks),
            ("a key that is gone at one server is gone at all", tests.reads_around_a_deadline),
            ("who subscribes during a write at another server is told of it", tests.subscriptions_while_others_write),
            ("values around 64 KiB, and long ones, are whole", tests.lengths),
            ("a long value that comes slowly costs no connection", tests.long_value_that_comes_slowly),
            ("keys may be empty, and have any character", tests.strange_keys)),
        skipped={} if CLOCK else {tests.servers_with_other_clocks: NO_CLOCK})
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
