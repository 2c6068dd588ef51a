#!/usr/bin/env python3
"""Two KvServers on one Redis: what is done at one is seen and told at the other, in order, whatever
happens to the connections. Prints TAP. Runs beside tests/support/redis/with_redis.sh.
"""
import hashlib
import json
import os
import re
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from event_stream import EventStream  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Proxy  # pylint: disable=wrong-import-position

SOCKET = os.environ.get("KV_TEST_REDIS")
LIBRARY = os.path.join(HERE, "../../modules/store/redis/library.lua")
N_WRITES = 400
N_CUTS = 8
LONG = 300_000


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:200]}, got {str(got)[:200]}"


def redis(*words):
    """Sends a command of one line to Redis. Returns: how its answer begins."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(SOCKET)
        peer.sendall((" ".join(words) + "\r\n").encode())
        return peer.recv(4096).decode()


def send(*words):
    """Sends a command whose words may be any text. Returns: how its answer begins."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(SOCKET)
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        peer.sendall(request.encode())
        answer = peer.recv(4096).decode()
        assert not answer.startswith("-"), answer
        return answer


def put(server, key, value, **more):
    return server.request("PUT", "/storage/" + key, json.dumps({"value": value, **more}))


def put_until_done(server, key, value):
    """A server may be notified only after a request that its connection to Redis has broken: the request is answered 504."""
    def is_done():
        status = put(server, key, value)[0]
        assert status in (202, 504), status
        return status == 202
    wait_for(is_done, f"{key} is not written")


def get(server, key):
    status, _, body = server.request("GET", "/storage/" + key)
    return json.loads(body)["value"] if status == 200 else status


def n_reconnects(server):
    text = server.request("GET", "/metrics")[2].decode()
    return re.search(r"^kvserver_store_reconnects_total (\d+)", text, re.M).group(1)


def write_often(server, key, n, every_s):
    """Sends n writes, whether answered or not. Returns: how long the answers took, in seconds."""
    took = []

    def write(i):
        begin = time.monotonic()
        put(server, key, i)
        took.append(time.monotonic() - begin)
    threads = [threading.Thread(target=write, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
        time.sleep(every_s)
    for thread in threads:
        thread.join()
    expect(len(took), n)
    return took


class Feed(EventStream):
    """What a subscriber of a prefix is told: pairs of key and value, None where it is gone."""

    def __init__(self, server, prefix):
        self.told, self.n_resets = [], 0
        super().__init__(server, prefix)

    def take(self, kind, payload):
        if kind == "synced":
            self.is_synced.set()
        elif kind == "reset":
            self.n_resets += 1
        elif "key" in payload:
            self.told.append((payload["key"], payload.get("value")))

    def wait_for(self, key, value):
        wait_for(lambda: (key, value) in self.told,
                 f"{key} is not told to be {str(value)[:40]}: {str(self.told[-3:])[:200]}")


class Told(EventStream):
    """All that a subscriber is told: pairs of kind and value."""

    def __init__(self, server, query):
        self.told = []
        super().__init__(server, None, query)

    def take(self, kind, payload):
        self.told.append((kind, payload.get("value")))


class Tests:
    def __init__(self):
        options = f"unix: {SOCKET}, timeout: 1s"
        self.one, self.two = (Server(store="redis", options=options) for _ in range(2))

    def seen_at_the_other(self):
        expect(put(self.one, "seen", 1)[0], 202)
        expect(get(self.two, "seen"), 1)
        expect(self.one.request("GET", "/storage/seen")[1]["etag"],
               self.two.request("GET", "/storage/seen")[1]["etag"])

    def lists_wait_for_changes(self):
        """They come over another connection than changes, and may be there first."""
        proxy = Proxy(SOCKET)
        late = Server(store="redis", options=f"unix: {proxy.path}, timeout: 20s")
        feed, listed = Feed(late, "late/"), []

        def read_list():
            listed.append(b"late/gone" in late.request("GET", "/storage?prefix=late/")[2])
        try:
            expect(put(self.one, "late/gone", 1)[0], 202)
            feed.wait_for("late/gone", 1)
            proxy.hold()
            expect(self.one.request("DELETE", "/storage/late/gone")[0], 200)
            thread = threading.Thread(target=read_list)
            thread.start()
            thread.join(0.3)  # it would be answered by then, if it did not wait
            expect(listed, [])
            proxy.let_go()
            thread.join(PATIENCE_S)
            expect(listed, [False])
            feed.wait_for("late/gone", None)
        finally:
            proxy.let_go()
            late.end()
            proxy.end()

    def subscribed_while_redis_is_away(self):
        """A subscription begins all the same, and is told afterwards what the server has missed. One that has to be read
        from Redis ends, and can begin again."""
        proxy = Proxy(SOCKET)
        late = Server(store="redis", options=f"unix: {proxy.path}, timeout: 1s")
        try:
            for key in "plain", "since", "initial":
                expect(put(self.one, "away/" + key, 1)[0], 202)
                expect(get(late, "away/" + key), 1)  # so it does not miss this one
            proxy.cut()
            for key in "plain", "since", "initial":
                expect(put(self.one, "away/" + key, 2)[0], 202)
            since = self.one.request("GET", "/storage/away/since")[1]["etag"].strip('"')
            epoch = redis("HGET kv{0}i epoch").split("\r\n")[1]
            resuming, initial = f"key=away/since&since={since}&epoch={epoch}", "key=away/initial&initial=true"
            plain = Told(late, "key=away/plain")
            for query in resuming, initial:
                feed = Told(late, query)
                assert feed.has_ended.wait(PATIENCE_S), "a subscription neither begins nor ends"
                expect([kind for kind, _ in feed.told if kind != "reset"], [])
            proxy.mend()
            wait_for(lambda: late.request("GET", "/readyz")[0] == 200, "the server does not become ready again")
            feeds = {"plain": plain, "since": Told(late, resuming), "initial": Told(late, initial)}
            for key in "plain", "initial":
                wait_for(lambda key=key: ("value", 2) in feeds[key].told, f"{key} is not told: {feeds[key].told}")
            for key, feed in feeds.items():
                expect(put(self.one, "away/" + key, 3)[0], 202)
                wait_for(lambda feed=feed: feed.told[-1:] == [("value", 3)], f"{key} is not told: {feed.told}")
            values = {key: [value for kind, value in feed.told if kind == "value"] for key, feed in feeds.items()}
            expect(values, {"plain": [2, 3], "since": [3], "initial": [2, 3]})
            expect([kind for feed in feeds.values() for kind, _ in feed.told if kind == "reset"], [])
        finally:
            proxy.mend()
            late.end()
            proxy.end()

    def long_value_ends_on_time(self):
        """Also while Redis takes no writes, and so does not delete it."""
        missing = get(self.one, "never")
        expect(put(self.one, "brief", "x" * LONG, ttl=300)[0], 202)
        redis("CONFIG SET min-replicas-to-write 1")
        try:
            for server in self.one, self.two:
                wait_for(lambda server=server: get(server, "brief") == missing, "it does not end")
        finally:
            redis("CONFIG SET min-replicas-to-write 0")

    def told_in_order(self):
        feed = Feed(self.two, "order")
        for i in range(N_WRITES):
            expect(put(self.one, "order", i)[0], 202)
        feed.wait_for("order", N_WRITES - 1)
        values = [value for _, value in feed.told]
        expect(values, sorted(set(values)))

    def increments_of_both(self):
        def increment(server):
            for _ in range(50):
                body = json.dumps({"increment": 1})
                status = server.request("PATCH", "/storage/count", body)[0]
                assert status in (200, 202), status
        threads = [threading.Thread(target=increment, args=(server,))
                   for server in (self.one, self.two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(get(self.one, "count"), 100)

    def long_values(self):
        feed = Feed(self.two, "long")
        text = "x" * LONG
        expect(put(self.one, "long", text)[0], 202)
        feed.wait_for("long", text)
        expect(get(self.two, "long"), text)

    def cut_connections(self):
        """A write under way then is answered 504, and may have happened."""
        feed, other = Feed(self.two, "cut"), Feed(self.one, "cut")
        answers = []
        for i in range(N_WRITES):
            if i % (N_WRITES // N_CUTS) == 0:
                redis("CLIENT KILL TYPE pubsub")
            answers.append(put(self.one, "cut", i)[0])
        assert set(answers) <= {202, 504}, set(answers)
        expect(put(self.one, "cut", "end")[0], 202)
        for told in (feed, other):
            told.wait_for("cut", "end")
            values = [value for _, value in told.told if value != "end"]
            expect(values, sorted(set(values)))
            expect(told.n_resets, 0)

    def cut_bulk(self):
        """The connections for long values are made anew alone."""
        before = [n_reconnects(server) for server in (self.one, self.two)]
        feed = Feed(self.two, "bulk")
        for i in range(N_CUTS):
            redis("CLIENT KILL TYPE normal")
            text = str(i) * LONG
            expect(put(self.one, "bulk", text)[0], 202)
            feed.wait_for("bulk", text)
            expect(get(self.two, "bulk"), text)
        expect(feed.n_resets, 0)
        expect([n_reconnects(server) for server in (self.one, self.two)], before)

    def trimmed_log(self):
        """What was not told and is no longer in the log: subscribers start again from what is there."""
        proxy = Proxy(SOCKET)
        late = Server(store="redis", options=f"unix: {proxy.path}, timeout: 20s")
        try:
            feed = Feed(late, "gap")
            expect(put(self.one, "gap", 1)[0], 202)
            feed.wait_for("gap", 1)
            proxy.cut()
            expect(put(self.one, "gap", 2)[0], 202)
            redis("DEL kv{0}s")
            proxy.mend()
            feed.wait_for("gap", 2)
            expect(feed.n_resets, 1)
            expect(get(late, "gap"), 2)
        finally:
            proxy.mend()
            late.end()
            proxy.end()

    def redis_that_hangs(self):
        redis("CLIENT PAUSE 4000 ALL")
        expect(self.one.request("GET", "/storage/seen")[0], 503)
        expect(self.one.request("GET", "/readyz")[0], 503)
        for server in (self.one, self.two):
            wait_for(lambda server=server: server.request("GET", "/readyz")[0] == 200,
                     "the server does not become ready again")
            expect(get(server, "seen"), 1)

    def value_that_redis_cuts_off(self):
        """Redis closes the connection in the middle of it: it is not sent for ever."""
        redis("CONFIG SET proto-max-bulk-len 1mb")
        for _ in range(3):
            status = put(self.one, "big", "x" * (2 << 20))[0]
            assert status >= 500, status
        expect(put(self.one, "small", 1)[0], 202)
        redis("CONFIG SET proto-max-bulk-len 512mb")
        expect(get(self.one, "big"), 204)
        expect(put(self.one, "big", "x" * (2 << 20))[0], 202)

    def restore_that_fails(self):
        """It leaves no mark beside Redis's socket, as that is no folder of a store."""
        expect(put(self.one, "big", "x" * (2 << 20))[0], 202)
        backup = os.path.join(self.one.folder.name, "backup")
        exported = self.one.run("--export")
        assert exported.returncode == 0, exported.stderr
        last = {"revision": 1, "epoch": "e", "lines": exported.stdout.count(b"\n"),
                "sum": hashlib.sha256(exported.stdout).hexdigest()}
        with open(backup, "wb") as file:
            file.write(exported.stdout + json.dumps({"backup": last}).encode() + b"\n")
        with open(self.one.path, encoding="utf-8") as file:
            text = file.read().replace("timeout: 1s", "timeout: 1s, prefix: restored")
        other = self.one.write("restored.yaml", text)
        redis("CONFIG SET proto-max-bulk-len 1mb")
        try:
            command = [os.environ["KV_SERVER_PROGRAM"], "-c", other, "--restore", backup]
            result = processes.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
        finally:
            redis("CONFIG SET proto-max-bulk-len 512mb")
        expect(result.returncode, 1)
        assert redis("EXISTS restored{0}i") == ":1\r\n", "it has failed before it began: " + str(result.stderr)
        assert not os.path.exists(SOCKET + ".restoring"), "there is a mark"
        expect(self.one.request("DELETE", "/storage/big")[0], 200)

    def export_of_several_pages(self):
        """The first page has the long value alone."""
        for key, value in ("pages/1", "x" * (2 << 20)), ("pages/2", "2"), ("pages/3", "3"):
            expect(put(self.one, key, value)[0], 202)
        exported = self.one.run("--export")
        assert exported.returncode == 0, exported.stderr
        keys = [json.loads(line)["key"] for line in exported.stdout.splitlines()]
        expect([key for key in keys if key.startswith("pages/")], ["pages/1", "pages/2", "pages/3"])
        expect(len(set(keys)), len(keys))

    def strange_answers(self):
        """Redis has executed something: whether a write is done is not known."""
        with open(LIBRARY, encoding="utf-8") as file:
            text = file.read()
        for i, body in enumerate(("return {}", "return 'done'", "return {99, 1}", "return {'a', 'b'}")):
            library = text.replace("'kv1_set', set", f"'kv1_set', function() {body} end")
            assert library != text
            send("FUNCTION", "LOAD", "REPLACE", library)
            expect(put(self.one, f"strange/{i}", 1)[0], 504)
        redis("FUNCTION FLUSH")
        wait_for(lambda: put(self.one, "strange", 1)[0] == 202, "the library is not loaded again")
        wait_for(lambda: put(self.two, "strange", 2)[0] == 202, "the library is not loaded again")

    def record_that_is_gone(self):
        """Somebody deletes the record of a key that has a deadline: all goes on when it comes."""
        feed = Feed(self.two, "gone")
        expect(put(self.one, "gone/1", 1, ttl=1000)[0], 202)
        feed.wait_for("gone/1", 1)
        redis("DEL kv{0}kgone/1")
        wait_for(lambda: redis("ZSCORE kv{0}d gone/1") == "$-1\r\n", "its deadline stays")
        expect(put(self.one, "gone/2", 2)[0], 202)
        feed.wait_for("gone/2", 2)
        expect(feed.n_resets, 0)

    def redis_that_cannot_save(self):
        """It takes no writes then. Its errors may have a client's bytes, which are not logged."""
        dump = os.path.join(os.path.dirname(SOCKET), "dump.rdb")
        os.mkdir(dump)
        redis('CONFIG SET save "3600 1000000"')
        redis("BGSAVE")
        wait_for(lambda: "rdb_last_bgsave_status:err" in redis("INFO persistence"),
                 "Redis saves in place of a folder")
        status = put(self.one, "saved", 1)[0]
        assert status >= 500, status
        expect(self.one.request("GET", "/readyz")[0], 503)
        wait_for(lambda: "MISCONF" in self.one.read_log(), "the log does not say why")
        os.rmdir(dump)
        redis("BGSAVE")
        wait_for(lambda: self.one.request("GET", "/readyz")[0] == 200,
                 "the server does not become ready again")
        redis('CONFIG SET save ""')
        expect(put(self.one, "saved", 1)[0], 202)

    def library_of_an_older_server(self):
        """A server replaces it by its own, and leaves a newer one."""
        with open(LIBRARY, encoding="utf-8") as file:
            text = file.read()
        own = int(re.search(r"^local VERSION = (\d+)$", text, re.M).group(1))
        for version, left in ((own - 1, own), (own + 1, own + 1)):
            send("FUNCTION", "LOAD", "REPLACE", text.replace(f"VERSION = {own}", f"VERSION = {version}"))
            server = Server(store="redis", options=f"unix: {SOCKET}, timeout: 1s")
            expect(redis("FCALL_RO kv1_version 0"), f":{left}\r\n")
            expect(put(server, "library", version)[0], 202)
            server.end()
        send("FUNCTION", "LOAD", "REPLACE", text)

    def expiry_after_the_setters_death(self):
        feed = Feed(self.two, "ttl")
        expect(put(self.one, "ttl", 1, ttl=1500)[0], 202)
        self.one.process.kill()
        self.one.process.wait(PATIENCE_S)
        feed.wait_for("ttl", 1)
        feed.wait_for("ttl", None)
        expect(get(self.two, "ttl"), 204)

    def end(self):
        self.one.end()
        self.two.end()


def main():
    report, tests = Report(), Tests()
    report.check("a restore that fails leaves no mark beside the socket", tests.restore_that_fails)
    report.check("what is written at one is read at the other, with the same revision",
                 tests.seen_at_the_other)
    report.check("what is written at one is told at the other, in order", tests.told_in_order)
    report.check("a list lacks no key whose deletion has not been told", tests.lists_wait_for_changes)
    report.check("a long value expires while Redis takes no writes", tests.long_value_ends_on_time)
    report.check("a subscription that begins while Redis is away is told what it misses",
                 tests.subscribed_while_redis_is_away)
    report.check("no increment at either is lost", tests.increments_of_both)
    report.check("long values are read and told at the other", tests.long_values)
    report.check("nothing is missed, or told twice, where connections are cut",
                 tests.cut_connections)
    report.check("where only the connection for long values is cut, only that is made anew",
                 tests.cut_bulk)
    report.check("subscribers see what is there where the log was trimmed", tests.trimmed_log)
    report.check("where Redis hangs, requests are answered, and all goes on behind it",
                 tests.redis_that_hangs)
    report.check("a value that Redis cuts the connection off for is answered, and all goes on",
                 tests.value_that_redis_cuts_off)
    report.check("an export has each key once, however many pages it takes",
                 tests.export_of_several_pages)
    report.check("a write that is answered strangely may have taken effect", tests.strange_answers)
    report.check("where a record was deleted by other means, its deadline stops nobody",
                 tests.record_that_is_gone)
    report.check("the library of an older server is replaced, and that of a newer one is left",
                 tests.library_of_an_older_server)
    report.check("a server is not ready while Redis cannot save", tests.redis_that_cannot_save)
    report.check("a key expires on time when the server that set it has died",
                 tests.expiry_after_the_setters_death)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
