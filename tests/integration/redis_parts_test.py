#!/usr/bin/env python3
"""KvServers below which only a part fails: one kind of connection, one master of a Redis Cluster, or the functions.
Prints TAP.
"""
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import redis_faults_test  # pylint: disable=wrong-import-position
from chaos import Subscriber, lose_nothing  # pylint: disable=wrong-import-position
from kvserver import Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from redis_ack_test import replica_of, start_primary  # pylint: disable=wrong-import-position
from redis_servers import CLI, Cluster, Proxy, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import LIBRARY, expect, get, put, put_until_done  # pylint: disable=wrong-import-position

N_WRITERS = 8
N_CUTS = 8
N_FLUSHES = 6
TIMEOUT_S = 1
FENCE_TIMEOUT_S = 5  # a replica may not answer at once on a busy machine
LATE_S = 5  # behind the timeout: the machine may be busy
N_KEYS = 60


started = Started()
keep = started.keep


def start(options):
    return keep(Server(store="redis", options=options))


def await_ready(servers):
    for server in servers:
        wait_for(lambda server=server: server.request("GET", "/readyz")[0] == 200, "a server is not ready again")


def under_load(servers, prefix, fault, n_writers=N_WRITERS):
    """Nothing may be lost, and nobody is reset. Returns: what happened."""
    def make(load):
        fault(load)
        await_ready(servers)
    return lose_nothing(servers, prefix, n_writers, make)


def older_library():
    """As of version 9: lists lack the newest revision, and looks say nothing of other partitions."""
    with open(LIBRARY, encoding="utf-8") as file:
        text = file.read()
    for pattern, other in ((r"^local VERSION = \d+$", "local VERSION = 9"), (r"^  if keys\[2\] then page\[3\].*\n", ""),
                           (r"^  for i = 1, #argv, 2 do\n    local newest = (?s:.*?)\n  end\n", ""),
                           (r"^  answer\[#answer \+ 1\] = VERSION\n", "")):
        before, text = text, re.sub(pattern, other, text, flags=re.M)
        assert text != before, pattern
    return text


def load_library(redis, text):
    subprocess.run([CLI, "-s", redis.socket, "-x", "FUNCTION", "LOAD", "REPLACE"], input=text, check=True,
                   capture_output=True, text=True)


# ---- one kind of connection ----

def fence_that_is_cut():
    """The connection over which a server waits for replicas, alone."""
    primary = keep(start_primary())
    replica = keep(replica_of(primary))
    servers = [start(f"port: {primary.port}, timeout: {FENCE_TIMEOUT_S}s, ack: replicas") for _ in range(2)]

    def cut():
        waiting = re.findall(r"^id=(\d+) .* cmd=wait\b", primary.ask("CLIENT LIST"), re.M)
        return sum(primary.ask("CLIENT KILL ID", number).startswith(":1") for number in waiting)

    def fault(load):
        for _ in range(N_CUTS):
            load.wait_until_all_write(3)
            wait_for(cut, "there is no such connection")
    facts = under_load(servers, "fence/", fault)
    assert facts["longest_s"] < FENCE_TIMEOUT_S + LATE_S, "a writer has waited long"
    for server in servers:
        server.end()
    replica.end()
    primary.end()


def lane_that_is_silent():
    """It is not closed, and other connections of the server go on. So do other servers."""
    redis = keep(Redis())
    proxy = Proxy(redis.socket)
    held, other = servers = [start(f"unix: {path}, timeout: {TIMEOUT_S}s") for path in (proxy.path, redis.socket)]

    def fault(load):
        proxy.hold()
        for method, statuses in (("PUT", (503, 504)), ("GET", (503,))):
            begin = time.monotonic()
            status = held.request(method, "/storage/silent", '{"value": 1}' if method == "PUT" else None)[0]
            took = time.monotonic() - begin
            assert status in statuses, status
            assert took < TIMEOUT_S + LATE_S, f"a {method} was answered after {took:.1f} s"
        wait_for(lambda: held.request("GET", "/readyz")[0] == 503, "the server says that it is ready")
        expect(put(other, "silent/other", 1)[0], 202)
        proxy.let_go()
        await_ready([held])
        expect(get(held, "silent/other"), 1)
    under_load(servers, "lane/", fault)
    for server in servers:
        server.end()
    proxy.end()
    redis.end()


# ---- one master of several ----

class Tests:
    lengths = redis_faults_test.Tests.lengths
    strange_keys = redis_faults_test.Tests.strange_keys

    def __init__(self):
        self.cluster = Cluster(n_replicas=0, node_timeout_ms=60_000)  # no master is replaced
        self.one = self.server()
        self.two = self.server()
        self.servers = [self.one, self.two]

    def server(self, timeout_s=5):
        return start(f'nodes: ["127.0.0.1:{self.cluster.nodes[0].port}"], timeout: {timeout_s}s')

    def fill(self, prefix):
        for i in range(N_KEYS):
            expect(put(self.one, f"{prefix}{i}", "before")[0], 202)

    def keys_at(self, master, prefix):
        """Returns: tags and keys."""
        return re.findall(r"kv\{(\d+)\}k(\S+)\r", master.ask(f"KEYS kv{{*}}k{prefix}*"))

    def log_that_is_trimmed_at_one(self):
        """Subscribers of a server that has missed a change there start again from the newest states of all masters."""
        self.fill("trim/")
        stopped, other = Subscriber(self.one, "trim/"), Subscriber(self.two, "trim/")
        master = self.cluster.masters()[1]
        tag, key = self.keys_at(master, "trim/")[0]
        elsewhere = self.keys_at(self.cluster.masters()[2], "trim/")[0][1]
        n_resets = other.n_resets
        self.one.stop()
        try:
            master.ask("CLIENT KILL TYPE pubsub")  # the other server connects again
            for name in (key, elsewhere):
                put_until_done(self.two, name, "after")
            expect(master.ask(f"DEL kv{{{tag}}}s"), ":1\r\n")
        finally:
            self.one.go_on()
        wait_for(lambda: stopped.n_resets > 0, "there is no reset")
        expect(put(self.two, f"trim/{N_KEYS}", "end")[0], 202)
        for subscriber in (stopped, other):
            wait_for(lambda subscriber=subscriber: subscriber.last(f"trim/{N_KEYS}")[1] == "end", "it is not told")
            wait_for(lambda subscriber=subscriber: [
                i for i in range(N_KEYS)
                if subscriber.last(f"trim/{i}")[1] != ("after" if f"trim/{i}" in (key, elsewhere) else "before")] == [],
                "not all of the newest states are told")
        expect(other.n_resets, n_resets)

    def functions_that_are_gone_at_one(self):
        """They are loaded again. Meanwhile nothing is executed there, so every answer is known."""
        def fault(load):
            for i in range(N_FLUSHES):
                load.wait_until_all_write(3)
                self.cluster.masters()[i % 3].ask("FUNCTION FLUSH")
        facts = under_load(self.servers, "flush/", fault, 2 * N_WRITERS)
        expect(facts["unknown"], 0)

    def functions_of_an_older_server(self):
        """At one master after the other: writes go on with them, and a list loads the present ones again."""
        self.fill("older/")

        def fault(load):
            for master in self.cluster.masters():
                load_library(master, older_library())
                load.wait_until_all_write(3)
        facts = under_load(self.servers, "beside/", fault)
        expect(facts["unknown"], 0)
        for server in self.servers:
            for master in self.cluster.masters():
                load_library(master, older_library())
            names = json.loads(server.request("GET", "/storage?limit=1000&prefix=older/")[2])["keys"]
            expect(sorted(name["key"] for name in names), sorted(f"older/{i}" for i in range(N_KEYS)))
            versions = [master.ask("FCALL_RO kv1_version 0") for master in self.cluster.masters()]
            assert ":9\r\n" not in versions, versions

    def start_at_one_without_functions(self):
        master = self.cluster.masters()[2]
        self.fill("start/")
        key = self.keys_at(master, "start/")[0][1]
        master.ask("FUNCTION FLUSH")
        server = self.server()
        expect(put(server, key, "after")[0], 202)
        expect(get(self.one, key), "after")
        server.end()

    def one_that_is_full(self):
        """Only its keys are refused, nothing of them changes, and they can be deleted."""
        self.fill("full/")
        subscribers = [Subscriber(server, "full/") for server in self.servers]
        full, *others = self.cluster.masters()
        (_, key), (_, gone) = self.keys_at(full, "full/")[:2]
        spared = [self.keys_at(master, "full/")[0][1] for master in others]
        full.ask("CONFIG SET maxmemory 1")
        try:
            for server in self.servers:
                expect(put(server, key, "never")[0], 507)
                expect(put(server, key, "never", ttl=1)[0], 507)
                for name in spared:
                    expect(put(server, name, server.port)[0], 202)
            for server in self.servers:
                expect(get(server, key), "before")
                expect(server.request("GET", "/storage/" + key)[1].get("KV-TTL"), None)
                expect([get(server, name) for name in spared], [self.two.port] * 2)
                expect(server.request("GET", "/readyz")[0], 200)
            expect(self.one.request("DELETE", "/storage/" + gone)[0], 200)
        finally:
            full.ask("CONFIG SET maxmemory 0")
        expect(put(self.two, key, "after")[0], 202)
        for subscriber in subscribers:
            wait_for(lambda subscriber=subscriber: subscriber.last(key)[1] == "after", "the write is not told")
            expect([value for _, value, _ in subscriber.changes[key]], ["before", "after"])
            expect(subscriber.last(gone)[1], None)
            expect(subscriber.n_resets, 0)

    def keys_with_braces(self):
        """The part of a key between braces does not choose its slot."""
        subscriber = Subscriber(self.two, "brace/")
        for i, key in enumerate(("{", "}", "{}", "{0}", "{a}{b}", "}{", "kv{1}m")):
            key = "brace/" + key
            path = key.replace("{", "%7B").replace("}", "%7D")
            expect(put(self.one, path, i)[0], 202)
            expect(get(self.two, path), i)
            wait_for(lambda key=key, i=i: subscriber.last(key)[1] == i, "the key is not told")

    def end(self):
        for server in self.servers:
            server.end()
        self.cluster.end()


# ---- the functions ----

class Versions:
    """A server beside one of a version whose functions answer lists without the newest revision."""

    def __init__(self):
        self.redis = Redis()
        self.servers = [start(f"unix: {self.redis.socket}, timeout: {TIMEOUT_S}s") for _ in range(2)]
        self.older = older_library()
        for i in range(3):
            expect(put(self.servers[0], f"version/{i}", i)[0], 202)

    def call(self, *words):
        return subprocess.run([CLI, "-s", self.redis.socket, *words], check=True, capture_output=True, text=True).stdout

    def names(self, server, prefix):
        status, _, body = server.request("GET", "/storage?prefix=" + prefix)
        return [item["key"] for item in json.loads(body)["keys"]] if status == 200 else status

    def loaded_by_an_older_server(self):
        """As it does after FUNCTION FLUSH. Lists of newer servers load their own, and are soon answered."""
        for prefix, expected in (("version/", [f"version/{i}" for i in range(3)]), ("none/", [])):
            for server in self.servers:
                self.call("FUNCTION", "FLUSH")
                load_library(self.redis, self.older)
                seen = []

                def is_listed(server=server, prefix=prefix, expected=expected, seen=seen):
                    seen.append(self.names(server, prefix))
                    return seen[-1] == expected
                wait_for(is_listed, "a newer server answers no list")
                assert all(each == 503 for each in seen[:-1]), seen
                expect(put(server, "version/written", prefix)[0], 202)
                expect(server.request("DELETE", "/storage/version/written")[0], 200)
        await_ready(self.servers)

    def asked_by_an_older_server(self):
        """It does not name the key of the newest revision, and is answered as it expects."""
        answer = self.call("--no-raw", "FCALL_RO", "kv1_scan", "1", "kv{0}x", "", "kv{0}k", "[version/", "version/", "2",
                           "10000", "15")
        items = re.findall(r"^\d+\) (.*)$", answer, re.M)
        expect(items[:3] + items[4:5], ["(integer) 1", '"version/1"', '"version/0"', '"version/1"'])

    def end(self):
        for server in self.servers:
            server.end()
        self.redis.end()


def main():
    require_redis()
    report = Report()
    report.check_each((
        ("where only the connection that waits for replicas is cut, nothing is lost", fence_that_is_cut),
        ("a connection that is silent is noticed, and nothing is lost", lane_that_is_silent)))
    versions = Versions()
    report.check_each((
        ("a server answers lists after an older one has loaded its library", versions.loaded_by_an_older_server),
        ("an older server's lists are answered by a newer library", versions.asked_by_an_older_server)))
    versions.end()
    tests = Tests()
    report.check_each((
        ("where the log of one master was trimmed, subscribers get the newest states", tests.log_that_is_trimmed_at_one),
        ("functions that are gone at one master are loaded again", tests.functions_that_are_gone_at_one),
        ("writes and lists go on with the functions of an older server", tests.functions_of_an_older_server),
        ("a server starts where one master lacks the functions", tests.start_at_one_without_functions),
        ("where one master is full, only its keys are refused", tests.one_that_is_full),
        ("values around 64 KiB, and long ones, are whole", tests.lengths),
        ("keys may be empty, and have any character", tests.strange_keys),
        ("keys may have braces", tests.keys_with_braces)))
    tests.end()
    started.kill()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
