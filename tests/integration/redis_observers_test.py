#!/usr/bin/env python3
"""Hooks and sinks of several KvServers on one Redis, and on a Redis Cluster: each change is seen at one server, in
order per key and with the same id, whoever is killed or stopped meanwhile. Prints TAP.
"""
import json
import os
import re
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import PATIENCE_S, Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from ports import reserve_port  # pylint: disable=wrong-import-position
from redis_cluster_test import WebSocket, partitions, revision_of  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, get, put  # pylint: disable=wrong-import-position

N_KEYS = 12
N_WRITERS = 4
N_WRITES = 25  # of a writer to a key
LEASE_S = 1
END_S = 1.5  # each lease may take half a second
CONNECTED_S = 6  # longer than the TTL of a key that its connection holds

# The list under seen/ has the states that it sees of a key, in that order.
COUNTING = """
function on_set(key, value, meta)
  local seen, why = kv.update("seen/" .. key, function(old)
    local all = old or kv.array {}
    all[#all + 1] = value
    return all
  end)
  if not seen then error(why) end
end
"""

LOOPING = """
function on_set(key, value)
  kv.set("loop/" .. (value + 1), value + 1)
end
"""

EXPIRING = """
function on_expire(key, value)
  kv.set("gone/" .. key, value)
end
"""


class Load:
    """Writes numbers to keys, each key in order, at the servers by turns. A write that fails is sent again."""

    def __init__(self, servers, prefix, n_writes=N_WRITES):
        self.servers, self.prefix, self.n_writes = list(servers), prefix, n_writes
        self.n_done = 0
        self.faults = []
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(N_WRITERS)]
        for thread in self.threads:
            thread.start()

    def run(self, n):
        try:
            for i in range(self.n_writes):
                for key in range(n, N_KEYS, N_WRITERS):
                    self.write(f"{self.prefix}{key}", i, n + i)
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def write(self, key, value, turn):
        until = time.monotonic() + PATIENCE_S
        while True:
            server = self.servers[turn % len(self.servers)]
            try:
                status = put(server, key, value)[0]
            except OSError:
                status = 0
            if status == 202:
                self.n_done += 1
                return
            assert time.monotonic() < until, f"{key} cannot be written: {status}"
            turn += 1
            time.sleep(0.01)

    def wait_for_part(self, part):
        wait_for(lambda: self.faults or self.n_done >= part * N_KEYS * self.n_writes, "writes take too long")

    def leave(self, server):
        """It gets no more writes."""
        self.servers.remove(server)

    def wait(self):
        for thread in self.threads:
            thread.join()
        if self.faults:
            raise self.faults[0]


def metric(server, name):
    found = re.search(rf"^{name}\S* (\d+)", server.request("GET", "/metrics")[2].decode(), re.M)
    return int(found.group(1))


def n_leases(server):
    return metric(server, "kvserver_store_leases")


def events_of(servers, prefix):
    """What the file of each server has: lists of events."""
    events = []
    for server in servers:
        path = os.path.join(server.folder.name, "out")
        lines = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")
        parsed = [json.loads(line) for line in lines[:-1] if line.endswith("}")]
        events.append([event for event in parsed if event["key"].startswith(prefix)])
    return events


class Tests:
    """The servers of a test share a store of their own."""

    def __init__(self, kind):
        self.kind = kind
        self.redis = Cluster(n_replicas=0) if kind == "a Redis Cluster" else Redis()
        self.n_stores = 0
        self.started = Started()
        self.n_parts = 8 if kind == "a Redis Cluster" else 1

    def end(self):
        self.redis.end()

    def options(self):
        if self.n_parts == 1:
            place = f"unix: {self.redis.socket}"
        else:
            place = f'nodes: ["127.0.0.1:{self.redis.nodes[0].port}"]'
        return f"{place}, prefix: kv{self.n_stores}, timeout: 5s, lease: {LEASE_S}s"

    def server(self, script=COUNTING, prefix="load/", has_observers=True, more="", log_entries=None):
        options = self.options() + (f", log_entries: {log_entries}" if log_entries else "")
        observers = (f"sinks: [{{module: file, options: {{path: '%folder/out'}}, prefixes: ['{prefix}']}}]\n"
                     f"scripts: [{{file: hook.lua, prefixes: ['{prefix}']}}]\n")
        return self.started.keep(Server((observers if has_observers else "") + more, files={"hook.lua": script},
                                        store="redis", options=options))

    def servers(self, n, **more):
        self.n_stores += 1
        servers = [self.server(**more) for _ in range(n)]
        self.await_leases(servers)
        return servers

    def await_leases(self, servers):
        wait_for(lambda: sum(n_leases(server) for server in servers) == self.n_parts, "nobody has the leases")

    def holder(self, servers):
        return max(servers, key=n_leases)

    def check_sinks(self, servers, prefix="load/", n_writes=N_WRITES, may_repeat=False):
        """Waits until the sinks have everything. Returns: how often something came again."""
        n = N_KEYS * n_writes

        def told():
            return [event for events in events_of(servers, prefix) for event in events]
        wait_for(lambda: len({(event["key"], event["value"]) for event in told()}) == n,
                 "sinks do not get everything")
        ids = {}
        for event in told():
            expect(ids.setdefault((event["key"], event["value"]), event["id"]), event["id"])
        for events in events_of(servers, prefix):
            for key in {event["key"] for event in events}:
                values = [event["value"] for event in events if event["key"] == key]
                expect(values, sorted(values))
                if not may_repeat:
                    expect(values, sorted(set(values)))
        n_again = len(told()) - n
        assert may_repeat or n_again == 0, f"{n_again} events came again"
        return n_again

    def check_hooks(self, server, prefix="load/", n_writes=N_WRITES, may_repeat=False):
        for key in range(N_KEYS):
            name = f"seen/{prefix}{key}"
            wait_for(lambda name=name: set(range(n_writes)) <= set(get(server, name) or []),
                     "hooks do not see everything")
            seen = get(server, name)
            expect(list(dict.fromkeys(seen)) if may_repeat else seen, list(range(n_writes)))

    # ---- the tests

    def exactly_once(self):
        servers = self.servers(2)
        Load(servers, "load/").wait()
        self.check_sinks(servers)
        self.check_hooks(servers[0])
        expect(sum(n_leases(server) for server in servers), self.n_parts)
        for server in servers:
            server.end()

    def holder_killed(self):
        servers = self.servers(3)
        dead = self.holder(servers)
        load = Load(servers, "load/", 2 * N_WRITES)
        load.wait_for_part(0.4)
        load.leave(dead)
        dead.process.send_signal(signal.SIGKILL)
        dead.process.wait(PATIENCE_S)
        load.wait()
        others = [server for server in servers if server is not dead]
        self.await_leases(others)
        n_again = self.check_sinks(servers, n_writes=2 * N_WRITES, may_repeat=True)
        print(f"# {n_again} events came again", flush=True)
        self.check_hooks(others[0], n_writes=2 * N_WRITES, may_repeat=True)
        for server in servers:
            server.end()

    def holder_stopped(self):
        """It does not believe to be the holder when it goes on."""
        servers = self.servers(2)
        stopped = self.holder(servers)
        other = servers[1 - servers.index(stopped)]
        load = Load(servers, "load/", 2 * N_WRITES)
        load.wait_for_part(0.4)
        load.leave(stopped)
        stopped.stop()
        # Writes of it that are under way are not answered until it goes on.
        wait_for(lambda: n_leases(other) == self.n_parts, "the other server does not take over")
        before = len(events_of([stopped], "load/")[0])
        stopped.go_on()
        load.wait()
        wait_for(lambda: n_leases(stopped) == 0, "both have the lease")
        expect(n_leases(other), self.n_parts)
        n_again = self.check_sinks(servers, n_writes=2 * N_WRITES, may_repeat=True)
        after = len(events_of([stopped], "load/")[0])
        print(f"# {n_again} events came again, {after - before} after it had gone on", flush=True)
        self.check_hooks(other, n_writes=2 * N_WRITES, may_repeat=True)
        for server in servers:
            server.end()

    def holder_ended(self):
        """In order: nothing is left out, and nothing comes again, whatever is under way."""
        servers = self.servers(2)
        ended = self.holder(servers)
        other = servers[1 - servers.index(ended)]
        load = Load(servers, "load/")
        load.wait_for_part(0.4)
        load.leave(ended)
        ended.end_process()
        load.wait()
        self.check_sinks(servers)
        self.check_hooks(other)
        other.end()

    def everybody_ended(self):
        """The next server continues where the last one has ended."""
        first, = self.servers(1)
        bare = self.server(has_observers=False)
        Load([first], "load/").wait()
        first.end_process()
        expect(n_leases(bare), 0)
        for key in range(N_KEYS):
            expect(put(bare, f"load/{key}", N_WRITES)[0], 202)
        next_one = self.server()
        self.check_sinks([first, next_one], n_writes=N_WRITES + 1)
        self.check_hooks(next_one, n_writes=N_WRITES + 1)
        for server in (bare, next_one):
            server.end()

    def operators_see_the_holder(self):
        """And how far hooks and sinks are, also where nobody takes what they send."""
        self.n_stores += 1
        away = f"sinks: [{{module: webhook, options: {{url: 'http://127.0.0.1:{reserve_port()}'}}}}]\n"
        first, bare = self.server(), self.server(has_observers=False)
        self.await_leases([first])
        other = self.server(has_observers=False, more=away)
        expect(put(bare, "load/1", 1)[0], 202)

        def holders(server, lease):
            listed = partitions(server)
            expect([each["lease"] for each in listed], [lease] * self.n_parts)
            return {each["holder"] for each in listed}
        wait_for(lambda: all("lease" in each for each in partitions(other)), "the holder is not known")
        holder, = holders(first, "here")
        expect(holders(other, "elsewhere"), {holder})
        expect([each for each in partitions(bare) if "lease" in each or "behind" in each], [])
        for server in (first, other):
            wait_for(lambda server=server: all(each["behind"] == 0 for each in partitions(server)),
                     "hooks and sinks do not take all")
            wait_for(lambda server=server: max(each["cursor"] for each in partitions(server))
                     >= revision_of(bare, "load/1"), "the cursor does not move")
        first.end()
        self.await_leases([other])
        expect(len(holders(other, "here") - {holder}), 1)
        before = max(each["cursor"] for each in partitions(other))
        expect(put(bare, "load/1", 2)[0], 202)
        wait_for(lambda: max(each["behind"] for each in partitions(other)) > 1000, "it is not said to be behind")
        expect(max(each["cursor"] for each in partitions(other)), before)
        bare.end()  # the other one would try for ten seconds to deliver

    def trimmed_log(self):
        """What is no longer in the log is missed, which is said."""
        first, = self.servers(1)
        first.end_process()
        bare = self.server(has_observers=False, log_entries=100)
        for i in range(1000):
            expect(put(bare, f"load/{i % N_KEYS}", i)[0], 202)
        next_one = self.server()
        wait_for(lambda: metric(next_one, "kvserver_store_gaps_total") > 0, "the gap is not counted")
        wait_for(lambda: "have missed changes" in next_one.read_log(), "the log does not tell of the gap")
        expect(put(bare, "load/0", "end")[0], 202)
        wait_for(lambda: [event for event in events_of([next_one], "load/")[0] if event["value"] == "end"],
                 "it does not go on behind the gap")
        for server in (bare, next_one):
            server.end()

    def log_trimmed_to_nothing(self):
        """The cursor moves over what is missed: so the next server does not miss it again."""
        first, = self.servers(1)
        expect(put(first, "load/0", "before")[0], 202)
        wait_for(lambda: events_of([first], "load/")[0], "it is not seen")
        first.end_process()
        bare = self.server(has_observers=False)
        expect(put(bare, "load/0", "missed")[0], 202)
        for node in getattr(self.redis, "nodes", [self.redis]):
            for key in re.findall(r"kv\d+\{\d+\}s\r", node.ask(f"KEYS kv{self.n_stores}{{*}}s")):
                node.ask("DEL", key.strip())
        next_one = self.server()
        wait_for(lambda: metric(next_one, "kvserver_store_gaps_total") >= 1, "the gap is not counted")
        wait_for(lambda: all(each["behind"] == 0 for each in partitions(next_one)), "it stays behind")
        next_one.end_process()
        last = self.server()
        self.await_leases([last])
        expect(put(bare, "load/0", "end")[0], 202)
        wait_for(lambda: [event["value"] for event in events_of([last], "load/")[0]] == ["end"], "it does not go on")
        expect(metric(last, "kvserver_store_gaps_total"), 0)
        for server in (bare, last):
            server.end()

    def leases_left_at_once(self):
        """A Redis that hangs does not delay the end of a server for each partition."""
        server, = self.servers(1)
        nodes = getattr(self.redis, "nodes", [self.redis])
        for node in nodes:
            node.stop()
        begin = time.monotonic()
        try:
            server.end_process()
            took = time.monotonic() - begin
        finally:
            for node in nodes:
                node.go_on()
        print(f"#   it ended within {took:.2f} s", flush=True)
        assert took < END_S, f"it ended after {took:.1f} s"

    def hooks_that_lead_to_hooks(self):
        """The limit of depth holds wherever the next hook runs."""
        servers = self.servers(2, script=LOOPING, prefix="loop/")
        expect(put(servers[0], "loop/0", 0)[0], 202)
        wait_for(lambda: get(servers[1], "loop/8") == 8, "hooks do not lead to hooks")
        wait_for(lambda: any("8 deep" in server.read_log() for server in servers), "the limit is not told")
        expect(get(servers[1], "loop/9"), 204)
        for server in servers:
            server.end()

    def imports(self):
        """They are no changes for hooks and sinks of any server."""
        servers = self.servers(1)
        other = self.server()
        dump = "".join(json.dumps({"key": f"load/{i}", "value": 0}) + "\n" for i in range(N_KEYS))
        path = other.write("dump", dump)
        other.end_process()
        imported = other.run("--import", path)
        assert imported.returncode == 0, imported.stderr
        for i in range(1, N_WRITES + 1):
            for key in range(N_KEYS):
                expect(put(servers[0], f"load/{key}", i)[0], 202)
        wait_for(lambda: len(events_of(servers, "load/")[0]) >= N_KEYS * N_WRITES, "events do not come")
        expect([event for event in events_of(servers, "load/")[0] if event["value"] == 0], [])
        servers[0].end()

    def timers_of_the_dead(self):
        """A key expires, and its hook runs, when the server that set it, and had the lease, is dead."""
        servers = self.servers(2, script=EXPIRING, prefix="ttl/")
        dead = self.holder(servers)
        other = servers[1 - servers.index(dead)]
        expect(put(dead, "ttl/1", 1, ttl=500)[0], 202)
        dead.process.send_signal(signal.SIGKILL)
        dead.process.wait(PATIENCE_S)
        wait_for(lambda: get(other, "gone/ttl/1") == 1, "its hook does not run")
        for server in servers:
            server.end()

    def keys_of_connections(self):
        """They last as long as their connection, and expire when its server is dead."""
        servers = self.servers(2, script=EXPIRING, prefix="online/")
        dead, other = servers
        peer = WebSocket(dead)
        peer.send({"type": "set", "payload": {"key": "online/1", "value": 1, "ttl": "5s", "while_connected": True}},
                  {"type": "get", "payload": {"key": "online/1"}})
        peer.wait_for('"value":1')
        until = time.monotonic() + CONNECTED_S
        while time.monotonic() < until:
            expect(get(other, "online/1"), 1)
            time.sleep(0.1)
        dead.process.send_signal(signal.SIGKILL)
        dead.process.wait(PATIENCE_S)
        wait_for(lambda: get(other, "online/1") == 204, "the key stays")
        wait_for(lambda: get(other, "gone/online/1") == 1, "its hook does not run")
        for server in servers:
            server.end()


def main():
    require_redis()
    report = Report()
    kinds = [kind for kind in ("a single Redis", "a Redis Cluster") if not sys.argv[1:] or sys.argv[1] in kind]
    for kind in kinds:
        tests = Tests(kind)
        report.check_each(((f"{kind}: {name}", test) for name, test in (
                ("each change is seen once, at one server", tests.exactly_once),
                ("where the holder is killed, another one continues", tests.holder_killed),
                ("a holder that was stopped leaves the rest to the next one", tests.holder_stopped),
                ("a holder that ends leaves nothing out, and nothing comes again", tests.holder_ended),
                ("a server continues where the last one has ended", tests.everybody_ended),
                ("operators see which server has the lease, and how far its hooks and sinks are",
                 tests.operators_see_the_holder),
                ("what is no longer in the log is missed, and that is told", tests.trimmed_log),
                ("what is missed as the log has nothing is missed once", tests.log_trimmed_to_nothing),
                ("all leases are left at once", tests.leases_left_at_once),
                ("hooks that lead to hooks end at the limit of depth", tests.hooks_that_lead_to_hooks),
                ("imports are not seen", tests.imports),
                ("a key expires for hooks when the server that set it is dead", tests.timers_of_the_dead),
                ("a connection's key lasts until its server is dead", tests.keys_of_connections))), run=tests.started.run, chosen=sys.argv[2:])
        tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
