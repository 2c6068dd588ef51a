#!/usr/bin/env python3
"""A slot of a Redis Cluster whose keys are at two masters, as `redis-cli --cluster fix` leaves it while it works, or the failover of
a master that was giving the slot away: its owner answers as if the keys at the other one did not exist. KvServers answer
503 for that partition instead. Prints TAP.
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from chaos import Subscriber, at_once  # pylint: disable=wrong-import-position
from kvserver import Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from redis_cluster_test import tags_of  # pylint: disable=wrong-import-position
from redis_servers import Cluster, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, get, put  # pylint: disable=wrong-import-position

N_KEYS = 60
N_OTHERS = 6
TTL_MS = 1500


class Slot:
    """One with keys of a partition, which are moved to another master. As in redis-cli, only the owner's mark says so."""

    def __init__(self, cluster, prefix):
        def keys_of(master, tag):
            return re.findall(rf"kv\{{{tag}\}}k({prefix}\S*)\r", master.ask(f"KEYS kv{{{tag}}}k{prefix}*"))
        places = [(len(keys_of(master, tag)), tag, master) for master in cluster.masters() for tag in tags_of(master)]
        _, self.tag, self.owner = max(places, key=lambda place: place[:2])
        self.other = next(master for master in cluster.masters() if master is not self.owner)
        self.keys = sorted(keys_of(self.owner, self.tag))
        self.number = self.owner.ask(f"CLUSTER KEYSLOT kv{{{self.tag}}}m")[1:].strip()
        self.ids = {node: node.ask("CLUSTER MYID").split()[1] for node in (self.owner, self.other)}
        self.masters = cluster.masters()

    def set(self, node, *words):
        expect(node.ask("CLUSTER SETSLOT", self.number, *words), "+OK\r\n")

    def migrate(self, source, target, names, *options):
        keys = (f"kv{{{self.tag}}}{name}" for name in names)
        answer = source.ask(f"MIGRATE 127.0.0.1 {target.port} \"\" 0 60000", *options, "KEYS", *keys)
        assert answer[:3] in ("+OK", "+NO"), answer

    def begin_move(self, names):
        self.set(self.other, "IMPORTING", self.ids[self.owner])
        self.set(self.owner, "MIGRATING", self.ids[self.other])
        self.migrate(self.owner, self.other, names)

    def give_back(self):
        """As `fix` does where the owner has the most keys."""
        self.set(self.owner, "STABLE")
        for command in ("DELSLOTS", "ADDSLOTS", "BUMPEPOCH"):
            words = () if command == "BUMPEPOCH" else (self.number,)
            answer = self.owner.ask("CLUSTER", command, *words)
            assert answer.startswith("+"), answer

    def migrate_all(self, source, target):
        while (names := re.findall(rf"kv\{{{self.tag}\}}(\S*)\r", source.ask(f"CLUSTER GETKEYSINSLOT {self.number} 10"))):
            self.migrate(source, target, names)

    def give_all(self):
        self.migrate_all(self.owner, self.other)

    def complete(self):
        """The rest of it: the keys at the other master come back."""
        self.migrate_all(self.other, self.owner)
        self.set(self.other, "STABLE")


class Tests:
    def __init__(self):
        self.cluster = Cluster(n_replicas=0, node_timeout_ms=60_000)
        self.started = Started()

    def server(self, timeout="2s"):
        nodes = f'nodes: ["127.0.0.1:{self.cluster.nodes[0].port}"]'
        return self.started.keep(Server(store="redis", options=f"{nodes}, timeout: {timeout}"))

    @staticmethod
    def fill(server, prefix, **more):
        for i in range(N_KEYS):
            expect(put(server, f"{prefix}/{i}", i, **more)[0], 202)

    @staticmethod
    def unready(server):
        wait_for(lambda: server.request("GET", "/readyz")[0] == 503, "the server is ready")

    @staticmethod
    def ready(server):
        wait_for(lambda: server.request("GET", "/readyz")[0] == 200, "the server does not get ready")

    def keys_at_two_masters(self):
        server = self.server()
        self.fill(server, "two")
        slot = Slot(self.cluster, "two/")
        away, here = slot.keys[::2], slot.keys[1::2]
        subscriber = Subscriber(server, "two/")
        slot.begin_move(["k" + key for key in away])
        slot.give_back()
        self.unready(server)
        at_once([lambda words=words: expect(server.request(*words)[0], 503) for words in (
            ("GET", "/storage/" + away[0]), ("GET", "/storage/" + here[0]), ("GET", "/storage?prefix=two/"),
            ("PUT", "/storage/" + away[0], '{"value":"new"}', {"If-None-Match": "*"}), ("DELETE", "/storage/" + away[1]))])
        wait_for(lambda: "redis-cli --cluster fix" in server.read_log(), "the log does not help")
        slot.complete()
        self.ready(server)
        for i in range(N_KEYS):
            expect(get(server, f"two/{i}"), i)
        expect(put(server, away[0], "changed")[0], 202)
        wait_for(lambda: subscriber.last(away[0])[1] == "changed", "the change is not told")
        expect(subscriber.n_resets, 0)
        server.end()

    def other_partitions(self):
        """Those whose keys are together go on: a write is answered once the split one cannot have any before it."""
        server = self.server()
        self.fill(server, "others")
        slot = Slot(self.cluster, "others/")
        slot.begin_move(["k" + slot.keys[0]])
        slot.give_back()
        self.unready(server)
        for key in [key for key in (f"others/{i}" for i in range(N_KEYS)) if key not in slot.keys][:N_OTHERS]:
            expect(put(server, key, "on")[0], 202)
            expect(get(server, key), "on")
        slot.complete()
        self.ready(server)
        server.end()

    def expiries(self):
        """Keys that are due meanwhile expire afterwards, once."""
        server = self.server()
        subscriber = Subscriber(server, "due/")
        self.fill(server, "due", ttl=TTL_MS)
        last = time.monotonic()
        slot = Slot(self.cluster, "due/")
        slot.begin_move(["k" + key for key in slot.keys[::2]])
        slot.give_back()
        self.unready(server)
        time.sleep(max(0, last + TTL_MS / 1000 - time.monotonic()))
        slot.complete()
        self.ready(server)
        for i in range(N_KEYS):
            key = f"due/{i}"
            wait_for(lambda key=key: subscriber.last(key)[1] is None and key in subscriber.changes, f"the end of {key} is not told")
            expect([reason for _, _, reason in subscriber.changes[key]], ["set", "expire"])
        expect(subscriber.n_resets, 0)
        server.end()

    def log_at_the_other_master(self):
        """Also if all but some records are there, nothing is written in their place: the repair would stop at it."""
        server = self.server()
        self.fill(server, "log", ttl=3_600_000)
        slot = Slot(self.cluster, "log/")
        subscriber = Subscriber(server, "log/")
        slot.begin_move(["m", "s", "i", "d", "x", "o"])
        slot.give_back()
        self.unready(server)
        expect(put(server, slot.keys[0], "new", ttl=3_600_000)[0], 503)
        expect(slot.owner.ask(f"EXISTS kv{{{slot.tag}}}m kv{{{slot.tag}}}s kv{{{slot.tag}}}d kv{{{slot.tag}}}x"), ":0\r\n")
        slot.complete()
        self.ready(server)
        expect(put(server, slot.keys[0], "new")[0], 202)
        wait_for(lambda: subscriber.last(slot.keys[0])[1] == "new", "the change is not told")
        expect(subscriber.n_resets, 0)
        server.end()

    def start_meanwhile(self):
        """A server that starts then does not take the keys for lost."""
        server = self.server()
        self.fill(server, "start")
        slot = Slot(self.cluster, "start/")
        server.end()
        slot.begin_move(["m", "i", "k" + slot.keys[0]])
        slot.give_back()
        try:
            self.server("1s")
        except AssertionError as fault:
            assert "redis-cli --cluster fix" in str(fault) and "accept_loss" not in str(fault), fault
        else:
            raise AssertionError("the server has started")
        slot.complete()
        server = self.server()
        for i in range(N_KEYS):
            expect(get(server, f"start/{i}"), i)
        server.end()

    def start_during_a_move(self):
        """While the slot is marked, Redis refuses what it cannot see: a server starts."""
        server = self.server()
        self.fill(server, "move")
        server.end()
        slot = Slot(self.cluster, "move/")
        slot.begin_move(["k" + slot.keys[0]])
        server = self.server()
        slot.set(slot.owner, "STABLE")
        slot.complete()
        for i in range(N_KEYS):
            expect(get(server, f"move/{i}"), i)
        server.end()

    def fix(self):
        """redis-cli itself, after a move that was interrupted."""
        server = self.server("10s")
        self.fill(server, "fix")
        slot = Slot(self.cluster, "fix/")
        slot.begin_move(["k" + key for key in slot.keys[::2]])
        slot.give_back()
        code, output = self.cluster.call("fix")
        assert code == 0 and self.cluster.call("check")[0] == 0, output
        self.ready(server)
        for i in range(N_KEYS):
            expect(get(server, f"fix/{i}"), i)
        server.end()

    def fix_without_a_mark(self):
        """It does not look for keys of a slot that is not marked anywhere."""
        server = self.server("10s")
        self.fill(server, "unmarked")
        slot = Slot(self.cluster, "unmarked/")
        slot.begin_move(["k" + key for key in slot.keys[::2]])
        for node in (slot.owner, slot.other):
            slot.set(node, "STABLE")
        self.unready(server)
        slot.set(slot.other, "IMPORTING", slot.ids[slot.owner])
        code, output = self.cluster.call("fix")
        assert code == 0, output
        self.ready(server)
        for i in range(N_KEYS):
            expect(get(server, f"unmarked/{i}"), i)
        server.end()

    def keys_at_both(self):
        """A target that dies while it takes keys leaves them at both masters, if its replica has them already."""
        server = self.server()
        self.fill(server, "both")
        slot = Slot(self.cluster, "both/")
        subscriber = Subscriber(server, "both/")
        slot.begin_move(["k" + key for key in slot.keys[::3]])
        slot.migrate(slot.owner, slot.other, ["k" + key for key in slot.keys[1::3]], "COPY")
        slot.set(slot.other, "STABLE")
        code, output = self.cluster.call("fix")
        assert code != 0 and "Value check failed" in output, output
        self.cluster.repair()
        self.check(server, subscriber, slot, "both")
        server.end()

    def check(self, server, subscriber, slot, prefix):
        """Nothing is lost, and subscribers miss nothing."""
        self.ready(server)
        for i in range(N_KEYS):
            expect(get(server, f"{prefix}/{i}"), i)
        expect(put(server, slot.keys[0], "changed")[0], 202)
        wait_for(lambda: subscriber.last(slot.keys[0])[1] == "changed", "the change is not told")
        expect(subscriber.n_resets, 0)

    def nobody_claims_it(self):
        """Each of two masters says that the other one has the slot, as Redis 7.0 can leave it if a slot is moved soon after a
        failover."""
        server = self.server()
        self.fill(server, "nobody")
        slot = Slot(self.cluster, "nobody/")
        subscriber = Subscriber(server, "nobody/")
        slot.begin_move([])
        slot.give_all()
        slot.set(slot.owner, "NODE", slot.ids[slot.other])
        slot.set(slot.other, "STABLE")
        self.unready(server)
        wait_for(lambda: "do not agree" in server.read_log(), "the log does not help")
        self.cluster.repair()
        self.check(server, subscriber, slot, "nobody")
        server.end()

    def end(self):
        self.started.kill()
        self.cluster.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check_each((
        ("a partition whose keys are at two masters is not answered for", tests.keys_at_two_masters),
        ("the others go on", tests.other_partitions),
        ("keys that are due meanwhile expire afterwards", tests.expiries),
        ("nothing is written in place of what is at the other master", tests.log_at_the_other_master),
        ("a server that starts meanwhile loses nothing", tests.start_meanwhile),
        ("a server starts while a slot is being moved", tests.start_during_a_move),
        ("`redis-cli --cluster fix` makes it whole", tests.fix),
        ("also if no mark is left, once one is set", tests.fix_without_a_mark),
        ("also if some keys are at both masters", tests.keys_at_both),
        ("also if each of two masters says that the other one has the slot", tests.nobody_claims_it)))
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
