#!/usr/bin/env python3
"""A Redis Cluster, or a Redis, that loses a part of the store: nobody's data is hidden or overwritten by it, and an
operator can go on with what is left. Prints TAP.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_cluster_test import tags_of  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, get, put  # pylint: disable=wrong-import-position

N_PARTITIONS = 8
N_KEYS = 100
MISSING = 204


def fnv(*texts):
    """The hash of stores of format 1."""
    result = 0xcbf29ce484222325
    for byte in "".join(texts).encode():
        result = (result ^ byte) * 0x100000001b3 % 2 ** 64
    result ^= result >> 32
    return result * 0x9e3779b97f4a7c15 % 2 ** 64


class Tests:
    def __init__(self):
        self.cluster = Cluster(n_replicas=0, node_timeout_ms=60_000)  # no master is replaced

    def flush(self):
        for master in self.cluster.masters():
            expect(master.ask("FLUSHALL"), "+OK\r\n")

    def options(self, epoch=None):
        accepted = f', accept_loss: "{epoch}"' if epoch else ""
        return f'nodes: ["127.0.0.1:{self.cluster.nodes[0].port}"], timeout: 3s{accepted}'

    def server(self, epoch=None):
        return Server(store="redis", options=self.options(epoch))

    def refusal(self, *arguments):
        """Returns: what a server says that does not start."""
        try:
            server = self.server(*arguments)
        except AssertionError as fault:
            return str(fault)
        server.end()
        raise AssertionError("the server has started")

    def accepted(self):
        """Returns: the epoch that a server asks for, and all that it says."""
        text = self.refusal()
        found = re.search(r'accept_loss: "([0-9a-z]+)"', text)
        assert found, text
        return found[1], text

    def places(self):
        """By the number of each partition: its master and its tag."""
        tags = sorted((int(master.ask(f"CLUSTER KEYSLOT kv{{{tag}}}m")[1:]), tag, master)
                      for master in self.cluster.masters() for tag in tags_of(master))
        return [(master, tag) for _, tag, master in tags]

    def ask_all(self, command):
        """Returns: the last line of the answer for each partition, whose tag is put for `@`."""
        return [master.ask(command.replace("@", tag)).split("\r\n")[-2] for master, tag in self.places()]

    def epochs(self):
        return set(self.ask_all("HGET kv{@}i epoch"))

    def write_keys(self):
        server = self.server()
        for i in range(N_KEYS):
            expect(put(server, f"key/{i}", i)[0], 202)
        return server

    def keys_at(self, master):
        return {int(i) for i in re.findall(r"kkey/(\d+)\r", master.ask("KEYS kv{*}kkey/*"))}

    def check_what_is_left(self, server, lost):
        assert 0 < len(lost) < N_KEYS, lost
        for i in range(N_KEYS):
            expect(get(server, f"key/{i}"), MISSING if i in lost else i)
        for i in range(N_KEYS):
            expect(put(server, f"key/{i}", "again")[0], 202)
            expect(get(server, f"key/{i}"), "again")

    def check_acceptance(self, lost):
        """What a new server asks for brings back what is left, and changes nothing later on."""
        epoch, text = self.accepted()
        before = self.epochs()
        expect(self.refusal("0" * 32).count(f'accept_loss: "{epoch}"'), 1)
        expect(self.epochs(), before)
        first = self.server(epoch)
        self.check_what_is_left(first, lost)
        second = self.server(epoch)
        third = self.server()
        expect(get(second, "key/1"), "again")
        expect(get(third, "key/1"), "again")
        expect(len(self.epochs()), 1)
        assert epoch not in self.epochs(), "the epoch is still the same"
        for server in (first, second, third):
            expect(server.request("GET", "/readyz")[0], 200)
            server.end()
        return text

    def lose(self, number, lose):
        self.flush()
        server = self.write_keys()
        master = self.places()[number][0]
        lost = self.keys_at(master)
        tags = tags_of(master)
        lost_parts = [i for i, (at, _) in enumerate(self.places()) if at is master]
        lose(master)
        wait_for(lambda: server.request("GET", "/readyz")[0] == 503, "the loss is not noticed")
        wait_for(lambda: "has to be started anew, and then says how to go on" in server.read_log(), "the log does not help")
        left = [tag for other in self.cluster.masters() for tag in tags_of(other)]
        text = self.check_acceptance(lost)
        expect(sorted(left + tags), sorted(tag for _, tag in self.places()))
        assert "these are lost: " + ", ".join(map(str, lost_parts)) + "." in text, text
        expect(server.request("GET", "/readyz")[0], 503)
        server.end()

    def flushed_master(self):
        self.lose(N_PARTITIONS - 1, lambda master: master.ask("FLUSHALL"))

    def flushed_first_master(self):
        self.lose(0, lambda master: master.ask("FLUSHALL"))

    def empty_disk(self):
        def lose(master):
            master.kill()
            master.start()
            wait_for(lambda: "cluster_state:ok" in master.ask("CLUSTER INFO"), "the master does not come back")
        self.lose(0, lose)

    def lost_revision(self):
        """Only the newest revision of a partition is lost: no key is, but the epoch changes."""
        self.flush()
        server = self.write_keys()
        master, tag = self.places()[2]
        expect(master.ask(f"DEL kv{{{tag}}}m"), ":1\r\n")
        wait_for(lambda: server.request("GET", "/readyz")[0] == 503, "the loss is not noticed")
        server.end()
        epoch, text = self.accepted()
        assert "these are lost: 2." in text, text
        server = self.server(epoch)
        for i in range(N_KEYS):
            expect(get(server, f"key/{i}"), i)
        server.end()

    def made_anew_by_an_older_server(self):
        """One that did not look at all partitions, and has given those of the first master an epoch of their own."""
        epoch = "0123456789abcdef" * 2
        self.make_store_of_format_1(epoch)
        server = self.write_keys()
        server.end()
        places = self.places()
        master = places[0][0]
        n_lost = sum(at is master for at, _ in places)
        lost = self.keys_at(master)
        expect(master.ask("FLUSHALL"), "+OK\r\n")
        self.make(places[:n_lost], "f" * 32)
        wanted, text = self.accepted()
        expect(wanted, epoch)
        assert "these have another epoch: " + ", ".join(map(str, range(n_lost))) + "." in text, text
        self.check_acceptance(lost)

    @staticmethod
    def make(places, epoch):
        for i, (master, tag) in enumerate(places):
            master.ask(f"HSET kv{{{tag}}}i format 1 partitions {N_PARTITIONS} epoch {epoch}")
            master.ask(f"SET kv{{{tag}}}m {N_PARTITIONS * 10 ** 14 + i}")

    def make_store_of_format_1(self, epoch):
        self.flush()
        server = self.server()
        places = self.places()
        server.end()
        self.flush()
        self.make(places, epoch)

    def store_of_format_1(self):
        """It keeps its way to distribute keys, also after a loss."""
        epoch = "0123456789abcdef" * 2
        self.make_store_of_format_1(epoch)
        self.write_keys().end()
        expect(self.ask_all("HGET kv{@}i format"), ["1"] * N_PARTITIONS)
        places = self.places()
        for i in range(N_KEYS):
            master, tag = places[(fnv(epoch, f"key/{i}") >> 32) * N_PARTITIONS >> 32]
            expect(master.ask(f"EXISTS kv{{{tag}}}kkey/{i}"), ":1\r\n")
        lost = self.keys_at(places[3][0])
        expect(places[3][0].ask("FLUSHALL"), "+OK\r\n")
        self.check_acceptance(lost)
        expect(self.ask_all("HGET kv{@}i format"), ["2"] * N_PARTITIONS)  # so older servers leave it alone

    def seed_of_a_new_store(self):
        """Clients that know the epoch cannot tell in which partition a key is."""
        self.flush()
        server = self.write_keys()
        seeds = set(self.ask_all("HGET kv{@}i seed"))
        expect(len(seeds), 1)
        assert re.fullmatch("[0-9a-f]{32}", seeds.pop())
        epoch, places = self.epochs().pop(), self.places()
        n_foretold = 0
        for i in range(N_KEYS):
            master, tag = places[(fnv(epoch, f"key/{i}") >> 32) * N_PARTITIONS >> 32]
            n_foretold += master.ask(f"EXISTS kv{{{tag}}}kkey/{i}") == ":1\r\n"
        assert n_foretold < N_KEYS / 2, f"{n_foretold} keys are where the epoch says"
        server.end()

    def store_that_was_being_made(self):
        """A server died before it had made all partitions of a new store: the next one makes the rest."""
        self.flush()
        self.server().end()
        places, epochs = self.places(), self.epochs()
        expect(places[0][0].ask(f"HSET kv{{{places[0][1]}}}i making 1"), ":0\r\n")
        for master, tag in places[1:]:
            expect(master.ask(f"DEL kv{{{tag}}}i kv{{{tag}}}m"), ":2\r\n")
        self.write_keys().end()
        expect(len(self.places()), N_PARTITIONS)
        expect(self.epochs(), epochs)
        expect(places[0][0].ask(f"HGET kv{{{places[0][1]}}}i making"), "$1\r\n0\r\n")

    def lose_last_master(self):
        """Returns: the lost keys, and the epoch that a server asks for."""
        self.flush()
        self.write_keys().end()
        master = self.places()[-1][0]
        lost = self.keys_at(master)
        expect(master.ask("FLUSHALL"), "+OK\r\n")
        return lost, self.accepted()[0]

    def interrupted_acceptance(self):
        """A server died while it accepted a loss: another one continues, to the same epoch."""
        lost, epoch = self.lose_last_master()
        self.server(epoch).end()
        (after,) = self.epochs()
        master, tag = self.places()[3]
        expect(master.ask(f"HSET kv{{{tag}}}i epoch {epoch}"), ":0\r\n")
        expect(self.accepted()[0], after)  # clients may know that epoch by now
        server = self.server(epoch)
        self.check_what_is_left(server, lost)
        expect(self.epochs(), {after})
        server.end()

    def full_masters(self):
        """That Redis has no memory left does not keep a server from accepting a loss."""
        lost, epoch = self.lose_last_master()
        for each in self.cluster.masters():
            expect(each.ask("CONFIG SET maxmemory 1"), "+OK\r\n")
        try:
            server = self.server(epoch)
            expect(put(server, "key/0", "full")[0], 507)
        finally:
            for each in self.cluster.masters():
                each.ask("CONFIG SET maxmemory 0")
        self.check_what_is_left(server, lost)
        server.end()

    def mixed_stores(self):
        """Keys that two stores have placed differently are never mixed."""
        epochs = ["0123456789abcdef" * 2, "f" * 32]
        self.make_store_of_format_1(epochs[0])
        self.write_keys().end()
        master, tag = self.places()[1]
        expect(master.ask(f"HSET kv{{{tag}}}i epoch {epochs[1]}"), ":0\r\n")
        for arguments in ((), *((epoch,) for epoch in epochs)):
            assert "partitions of several stores are mixed" in self.refusal(*arguments)
        expect(self.epochs(), set(epochs))

    def export_of_a_damaged_store(self):
        self.flush()
        server = self.write_keys()
        server.end_process()
        expect(self.places()[0][0].ask("FLUSHALL"), "+OK\r\n")
        result = server.run("--export")
        assert result.returncode != 0 and b"these are lost: 0" in result.stderr, result
        server.folder.cleanup()

    @staticmethod
    def lost_revision_of_one_redis():
        redis = Redis()

        def server(more=""):
            return Server(store="redis", options=f"unix: {redis.socket}, timeout: 1s{more}")
        one = server()
        expect(put(one, "key", 1)[0], 202)
        expect(redis.ask("DEL kv{0}m"), ":1\r\n")
        wait_for(lambda: one.request("GET", "/readyz")[0] == 503, "the loss is not noticed")
        epoch = redis.ask("HGET kv{0}i epoch").split("\r\n")[1]
        wait_for(lambda: f'accept_loss: "{epoch}"' in one.read_log(), "the log does not help")
        two = server(f', accept_loss: "{epoch}"')
        expect(get(two, "key"), 1)
        expect(put(two, "key", 2)[0], 202)
        assert epoch not in redis.ask("HGET kv{0}i epoch")
        for each in (one, two):
            each.end()
        redis.end()

    def end(self):
        self.cluster.end()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check("a master that lost all is accepted, and the rest is used again", tests.flushed_master)
    report.check("also if it had the first partition", tests.flushed_first_master)
    report.check("also if it came back with an empty disk", tests.empty_disk)
    report.check("a partition whose revision is lost keeps its keys", tests.lost_revision)
    report.check("partitions that an older server made anew are accepted", tests.made_anew_by_an_older_server)
    report.check("a store of format 1 keeps its way to distribute keys", tests.store_of_format_1)
    report.check("clients cannot tell the partition of a key", tests.seed_of_a_new_store)
    report.check("a new store is completed after its maker's death", tests.store_that_was_being_made)
    report.check("an acceptance is completed after a server's death", tests.interrupted_acceptance)
    report.check("a loss is accepted while Redis is full", tests.full_masters)
    report.check("the keys of two stores are not mixed", tests.mixed_stores)
    report.check("an export says which partitions are lost", tests.export_of_a_damaged_store)
    report.check("a single Redis whose revision is lost keeps its keys", tests.lost_revision_of_one_redis)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
