#!/usr/bin/env python3
"""Hooks and sinks of several KvServers whose Redis fails over meanwhile, and expiries whose server is killed or stopped.
Prints TAP.
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from chaos import Client, Subscriber  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from redis_ack_test import replica_of, start_primary  # pylint: disable=wrong-import-position
from redis_chaos_test import tags_of  # pylint: disable=wrong-import-position
from redis_observers_test import Load, N_KEYS, events_of, metric, n_leases  # pylint: disable=wrong-import-position
from redis_servers import CLI, Cluster, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, get, put  # pylint: disable=wrong-import-position

N_WRITES = 30  # of a writer to a key
N_REPEATED = 8
HOOKED = "load/0"  # a script may log a hundred lines a second
N_BACKGROUND, N_DUE = 20_000, 2_000
AT_ONCE = 1000
FIRST_TTL_MS = 4000  # of the first key that is due; there is one for each millisecond
FAULT_MS = 500       # behind the end of the first one
LATE_S = 2           # the machine may be busy
HOUR_MS = 3_600_000

# In the server's log, which keeps the order. A write would fail during the failover.
SEEN = """
function on_set(key, value, meta)
  kv.log("seen", key, value, meta.revision)
end
"""

OBSERVERS = ("sinks: [{module: file, options: {path: '%folder/out'}, prefixes: ['load/']}]\n"
             f"scripts: [{{file: hook.lua, prefixes: ['{HOOKED}']}}]\n")


started = Started()


def start(more, options, files=None):
    return started.keep(Server(more, files=files, store="redis", options=options))


class Pair:
    """A master and its replica, which can be promoted to the master's port."""

    def __init__(self):
        self.master = start_primary()
        self.replica = replica_of(self.master)
        self.dead = []

    def options(self):
        return f"port: {self.master.port}"

    def cut(self):
        """The replica hears nothing of its master any more."""
        self.replica.stop()
        self.master.ask("CLIENT KILL TYPE replica")

    def fail_over(self):
        self.master.kill()
        self.replica.go_on()
        self.replica.ask("REPLICAOF NO ONE")
        self.replica.ask(f"CONFIG SET port {self.master.port}")
        self.replica.port = self.master.port
        self.dead.append(self.master)
        self.master = self.replica
        self.replica = replica_of(self.master)

    def end(self):
        for redis in self.dead + [self.master, self.replica]:
            redis.end()


class Masters(Cluster):
    """A cluster. With `ack: replicas`, the partitions of a lost master wait until it is back as a replica."""

    def options(self):
        return f'nodes: ["127.0.0.1:{self.nodes[0].port}"]'

    def fail_over(self):
        victim = max(self.masters(), key=lambda master: len(tags_of(master)))
        victim.kill()
        self.wait_for_masters()
        victim.start()


class Receiver:
    """Of a webhook: keeps each event, and answers while it may."""

    def __init__(self):
        receiver = self
        self.events, self.may_answer = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.may_answer.wait()
                receiver.events.append(event)
                try:
                    self.send_response(200)
                    self.end_headers()
                except OSError:  # the server is dead
                    pass

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sink(self):
        return f"sinks: [{{module: webhook, options: {{url: 'http://127.0.0.1:{self.server.server_port}'}}}}]\n"

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def has_all_in_order(values, n):
    """Whether each is there; behind a repetition, they go on from there."""
    return set(values) == set(range(n)) and values[0] == 0 and all(b <= a + 1 for a, b in zip(values, values[1:]))


# ---- hooks and sinks ----

def seen_by_hook(server, key):
    """Returns: values and revisions."""
    found = re.findall(rf"seen {re.escape(key)} (\d+) (\d+)", server.read_log())
    return [(int(value), int(revision)) for value, revision in found]


def kill(server):
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(PATIENCE_S)


def check_seen(name, facts):
    """facts: a function for each server, which returns the pairs of value and id that were seen there. Waits until all
    values were. Returns: how often something was seen again."""
    wait_for(lambda: {value for each in facts for value, _ in each()} == set(range(N_WRITES)), f"{name}: not all is seen")
    seen = [each() for each in facts]
    told = [fact for each in seen for fact in each]
    expect(len(set(told)), N_WRITES)  # each value has one id
    for each in seen:
        values = [value for value, _ in each]
        assert all(b <= a + 1 for a, b in zip(values, values[1:])), f"{name}: not in order: {values}"
    return len(told) - N_WRITES


def failover_under_load(place):
    """With `ack: replicas`."""
    servers = [start(OBSERVERS, f"{place.options()}, timeout: 15s, lease: 1s, ack: replicas", {"hook.lua": SEEN})
               for _ in range(2)]
    load = Load(servers, "load/", N_WRITES)
    load.wait_for_part(0.3)
    place.fail_over()
    load.wait()
    n_again = check_seen("hooks", [lambda server=server: seen_by_hook(server, HOOKED) for server in servers])
    for i in range(N_KEYS):
        n_again += check_seen(f"sinks, load/{i}", [
            lambda server=server, key=f"load/{i}": [(event["value"], event["id"]) for event in
                                                    events_of([server], "load/")[0] if event["key"] == key]
            for server in servers])
    print(f"#   {n_again} were seen again", flush=True)
    expect([metric(server, "kvserver_store_gaps_total") for server in servers], [0, 0])
    for server in servers:
        server.end()


def failover_without_the_cursor(place):
    """The replica has the changes, but not how far sinks have taken them; and the server that knows it is dead."""
    receiver = Receiver()
    options = f"{place.options()}, timeout: 5s, lease: 1s"
    holder = start(receiver.sink(), options)
    wait_for(lambda: n_leases(holder) == 1, "nobody has the lease")
    other = start(receiver.sink(), options)
    for i in range(N_REPEATED):
        expect(put(other, "load/repeated", i)[0], 202)

    def cursor():
        return int(place.master.ask("HGET kv{0}o cursor").split("\r\n")[1])

    def newest():
        return int(place.master.ask("GET kv{0}m").split("\r\n")[1])
    wait_for(lambda: place.replica.ask("GET kv{0}m") == place.master.ask("GET kv{0}m"), "the replica does not follow")
    place.cut()
    assert cursor() < newest()
    receiver.may_answer.set()
    wait_for(lambda: cursor() == newest(), "the cursor is not written")
    expect([event["value"] for event in receiver.events], list(range(N_REPEATED)))
    kill(holder)
    place.fail_over()
    wait_for(lambda: n_leases(other) == 1, "the other server does not take over")
    expect(put(other, "load/repeated", N_REPEATED)[0], 202)
    wait_for(lambda: receiver.events[-1]["value"] == N_REPEATED, "the sink does not go on")
    values = [event["value"] for event in receiver.events]
    assert has_all_in_order(values, N_REPEATED + 1), values
    expect(values.count(N_REPEATED - 1), 2)
    expect(len({(event["value"], event["id"]) for event in receiver.events}), N_REPEATED + 1)
    print(f"#   {len(values) - N_REPEATED - 1} were seen again", flush=True)
    for server in (holder, other):
        server.end()
    receiver.end()


# ---- expiries ----

class Expiries:
    """Servers with many expiring keys. The first one has the lease, and is the last one that has removed a key."""

    def __init__(self):
        self.redis = started.keep(Redis())
        sink = "sinks: [{module: file, options: {path: '%folder/out'}}]\n"
        self.servers = [start(sink, f"unix: {self.redis.socket}, timeout: 5s, lease: 1s") for _ in range(3)]
        self.first, *self.others = self.servers
        wait_for(lambda: n_leases(self.first) == 1, "nobody has the lease")
        self.set("background/", N_BACKGROUND, lambda i: HOUR_MS)
        self.let_first_expire()

    def set(self, prefix, n, ttl_ms):
        client = Client(self.others[0])
        for begin in range(0, n, AT_ONCE):
            sets = [{"type": "set", "payload": {"key": f"{prefix}{i}", "value": i, "ttl": ttl_ms(i)}}
                    for i in range(begin, min(begin + AT_ONCE, n))]
            expect(client.ask("POST", "/batch", json.dumps(sets).encode())[0], 200)
        client.close()

    def let_first_expire(self):
        self.set("first/", 1, lambda i: 500)
        for server in self.others:
            server.stop()
        try:
            wait_for(lambda: get(self.first, "first/0") == 204, "it does not expire")
        finally:
            for server in self.others:
                server.go_on()

    def deadlines(self):
        """Of the keys that are due, in the time of time.monotonic()."""
        words = subprocess.run([CLI, "-s", self.redis.socket, "ZRANGE", "kv{0}d", "0", str(N_DUE - 1), "WITHSCORES"],
                               check=True, capture_output=True, text=True).stdout.split()
        ahead_s = time.time() - time.monotonic()
        return {key: int(ms) / 1000 - ahead_s for key, ms in zip(words[::2], words[1::2])}

    def run(self, fault, and_then):
        subscribers = [Subscriber(server, "due/") for server in self.others]
        begin = time.monotonic()
        self.set("due/", N_DUE, lambda i: FIRST_TTL_MS - int(1000 * (time.monotonic() - begin)) + i)
        due = self.deadlines()
        assert all(key.startswith("due/") for key in due) and len(due) == N_DUE, "the machine is too slow"
        fault_at = min(due.values()) + FAULT_MS / 1000
        time.sleep(max(0, fault_at - time.monotonic()))
        fault_at = time.monotonic()
        fault(self.first)
        late, first_late = [], []
        for subscriber in subscribers:
            wait_for(lambda subscriber=subscriber: len(subscriber.ended_at) == N_DUE, "not all ends are told")
        and_then(self.first)
        for server in self.others:  # whatever is told twice is told before this
            expect(put(server, f"due/end/{server.port}", 1)[0], 202)
        for subscriber in subscribers:
            for server in self.others:
                wait_for(lambda key=f"due/end/{server.port}", subscriber=subscriber: key in subscriber.changes,
                         "it is not told")
            for key, deadline in due.items():
                expect([reason for _, _, reason in subscriber.changes[key]], ["set", "expire"])
                late.append(subscriber.ended_at[key] - deadline)
                if 0 <= deadline - fault_at < 0.1:
                    first_late.append(late[-1])
        late.sort()
        print(f"#   told late: p50 {late[len(late) // 2] * 1e3:.1f} ms, p99 {late[len(late) * 99 // 100] * 1e3:.1f} ms, "
              f"most {late[-1] * 1e3:.1f} ms; within 100 ms behind the fault up to {max(first_late, default=0) * 1e3:.1f} ms",
              flush=True)
        assert late[-1] < LATE_S, "an end is told late"
        for server in self.servers:
            server.end()
        self.redis.end()


def first_one_killed():
    Expiries().run(kill, lambda server: None)


def first_one_stopped():
    """When it goes on, it tells nothing again."""
    def go_on(server):
        server.go_on()
        wait_for(lambda: get(server, f"due/{N_DUE - 1}") == 204, "it does not go on")
    Expiries().run(Server.stop, go_on)


def main():
    require_redis()
    report = Report()
    for place_of, name, test in (
            (Pair, "hooks and sinks miss nothing when a replica is promoted under load", failover_under_load),
            (Pair, "changes are seen again, and none is missed, where the replica lacks the latest cursor",
             failover_without_the_cursor),
            (Masters, "hooks and sinks miss nothing when a master of a cluster is killed under load",
             failover_under_load)):
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        place = place_of()
        report.check(name, lambda test=test, place=place: test(place))
        place.end()
    report.check_each((("each end is told once, and soon, when the server that removes keys is killed", first_one_killed),
                       ("each end is told once, and soon, when that server stands still", first_one_stopped)))
    started.kill()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
