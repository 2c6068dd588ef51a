#!/usr/bin/env python3
"""The functions in Redis: what they answer to servers of other versions, and what they leave for those that read on after
a loss was accepted; and how a server starts. Prints TAP.
"""
import itertools
import os
import re
import socket
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, Started, wait_for  # pylint: disable=wrong-import-position
from redis_observers_test import events_of, metric  # pylint: disable=wrong-import-position
from redis_parts_test import load_library, older_library  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Redis, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import LIBRARY, expect, get, put  # pylint: disable=wrong-import-position

started = Started()
OBSERVED = "sinks: [{module: file, options: {path: '%folder/out'}}]\n"
N_KEYS = 20
N_LOOKS = 3
N_MANY = 32  # partitions
SOON_S = 20  # on a busy machine
ahead_s = itertools.count(3600, 3600)  # each time further


def call(redis, *words):
    """Sends a command whose words may be any text. Returns: the lines of its answer."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(str(word))}\r\n{word}\r\n" for word in words)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(redis.socket)
        peer.sendall(request.encode())
        answer = peer.recv(65536).decode(errors="replace")
    assert not answer.startswith("-"), answer
    return answer.split("\r\n")[:-1]


def write_ahead(redis, key):
    """A server whose clock, or that of its Redis, is ahead."""
    return call(redis, "FCALL", "kv1_set", 5, "kv{0}k" + key, "kv{0}m", "kv{0}s", "kv{0}d", "kv{0}x", "", "channel", 100,
                "0" * 16, len("kv{0}k") + 1, 0, 0, "", 0, 1, 10 ** 6 * int(time.time() + next(ahead_s)))


def start(more="", options=""):
    return started.keep(Server(more, store="redis", options=options))


class Tests:
    def __init__(self):
        self.redis = Redis()
        self.cluster = Cluster(n_replicas=0, node_timeout_ms=60_000)
        self.folder = tempfile.TemporaryDirectory(prefix="kv-library-")

    def server(self, more="", options=""):
        return start(more, f"unix: {self.redis.socket}, timeout: 2s, lease: 1s{options}")

    def await_seen(self, servers, keys):
        wait_for(lambda: {event["key"] for events in events_of(servers, "") for event in events} >= set(keys),
                 "the sink does not get a change")

    def lose_revision(self):
        """Returns: the epoch whose loss is to be accepted."""
        expect(call(self.redis, "DEL", "kv{0}m"), [":1"])
        return call(self.redis, "HGET", "kv{0}i", "epoch")[1]

    def version(self):
        return int(call(self.redis, "FCALL_RO", "kv1_version", 0)[0][1:])

    def n_calls(self):
        """Of functions that only read."""
        return int(re.search(r"cmdstat_fcall_ro:calls=(\d+)", " ".join(call(self.redis, "INFO", "commandstats")))[1])

    def look(self, *others):
        """Returns: what is behind the clock."""
        return call(self.redis, "FCALL_RO", "kv1_look", 2, "kv{0}i", "kv{0}m", *others)[2:]

    def answers_to_a_look(self):
        """Servers of version 12 and 13 read an epoch, and numbers by twos; older ones not even that."""
        self.server().end()
        newest, epoch = call(self.redis, "GET", "kv{0}m")[1], call(self.redis, "HGET", "kv{0}i", "epoch")[1]
        alone = [f":{newest}", f"${len(epoch)}", epoch]
        expect(self.look(), [*alone, f":{self.version()}"])
        expect(self.look(1, "kv{0}m", 2, "kv{0}none"), [*alone, ":1", f":{newest}", f":{self.version()}"])

    def library_of_an_older_server(self):
        """Nothing is asked of the server, whose own functions are soon there again, and stay."""
        server = self.server()
        with open(LIBRARY, encoding="utf-8") as file:
            own = file.read()
        version = self.version()
        for text in (older_library(), own.replace(f"VERSION = {version}", f"VERSION = {version - 1}")):
            load_library(self.redis, text)
            wait_for(lambda: self.version() == version, "the older functions stay")
        wait_for(lambda: metric(server, "kvserver_store_reconnects_total") == 2, "the server does not connect again")
        newer = own.replace(f"VERSION = {version}", f"VERSION = {version + 1}")
        load_library(self.redis, newer)
        n_before = self.n_calls()
        wait_for(lambda: self.n_calls() >= n_before + N_LOOKS, "the server does not look")
        expect(self.version(), version + 1)
        expect(metric(server, "kvserver_store_reconnects_total"), 2)
        expect(put(server, "key", 1)[0], 202)
        server.end()
        load_library(self.redis, own)

    def observers_of_one_redis(self):
        """The lost revision is all that is missing: each change is seen."""
        one = self.server(OBSERVED)
        expect(put(one, "before", 1)[0], 202)
        self.await_seen([one], ["before"])
        one.end_process()
        two = self.server(OBSERVED, f', accept_loss: "{self.lose_revision()}"')
        expect(put(two, "after", 2)[0], 202)
        self.await_seen([two], ["after"])
        expect(metric(two, "kvserver_store_gaps_total"), 0)
        two.end()
        one.folder.cleanup()

    def observers_of_a_cluster(self):
        cluster = self.cluster

        def server(epoch=None):
            options = f'nodes: ["127.0.0.1:{cluster.nodes[0].port}"], timeout: 3s, lease: 1s, prefix: observed'
            return start(OBSERVED, options + (f', accept_loss: "{epoch}"' if epoch else ""))
        one = server()
        keys = [f"key/{i}" for i in range(N_KEYS)]
        for key in keys:
            expect(put(one, key, 1)[0], 202)
        self.await_seen([one], keys)
        one.end()
        master = cluster.masters()[-1]
        kept = next(node for node in cluster.masters() if node is not master)
        tag = re.findall(r"observed\{(\d+)\}i", " ".join(call(kept, "KEYS", "observed{*}i")))[0]
        epoch = call(kept, "HGET", f"observed{{{tag}}}i", "epoch")[1]
        expect(call(master, "FLUSHALL"), ["+OK"])
        two = server(epoch)
        for key in keys:
            expect(put(two, key, 2)[0], 202)
        self.await_seen([two], keys)
        expect(metric(two, "kvserver_store_gaps_total"), 0)
        two.end()

    def connections_of_a_start(self):
        """Two for each partition, and few to learn where they are and whether all are there."""
        cluster = self.cluster

        def n_connections():
            """Of which three are these questions, and counted the next time."""
            return sum(int(re.search(r"total_connections_received:(\d+)", " ".join(call(node, "INFO", "stats")))[1])
                       for node in cluster.nodes)

        def start_and_end():
            start(options=f'nodes: ["127.0.0.1:{cluster.nodes[0].port}"], partitions: {N_MANY}').end()
        start_and_end()
        before = n_connections()
        start_and_end()
        n = n_connections() - before - len(cluster.nodes)
        assert n <= 2 * N_MANY + 3 * len(cluster.nodes), f"a server of {N_MANY} partitions makes {n} connections"

    def missing_store(self):
        """All masters have answered that there is none: nobody waits for it."""
        path = os.path.join(self.folder.name, "missing.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"modules: {os.environ['KV_TEST_MODULES']}\nstorage: {{module: redis, redis: {{timeout: 60s, "
                       f"prefix: missing, nodes: ['127.0.0.1:{self.cluster.nodes[0].port}']}}}}\n")
        result = processes.run([os.environ["KV_SERVER_PROGRAM"], "-c", path, "--export"], capture_output=True,
                               timeout=SOON_S, check=False)
        expect(result.returncode, 1)
        assert b"there is no store at 127.0.0.1:" in result.stderr, result.stderr

    def expire(self, ms):
        """As a server of a cluster, at that time. Returns: the deadlines and the keys that are left."""
        call(self.redis, "FCALL", "kv1_expire", 5, "e{0}k", "e{0}m", "e{0}s", "e{0}d", "e{0}x", ms, "channel", 100,
             "0" * 16, 64, "e{0}k", 8, 0)
        return call(self.redis, "ZRANGE", "e{0}d", 0, -1)[2::2], call(self.redis, "ZRANGE", "e{0}x", 0, -1)[2::2]

    def set_until(self, key, ms):
        call(self.redis, "FCALL", "kv1_set", 5, "e{0}k" + key, "e{0}m", "e{0}s", "e{0}d", "e{0}x", 1000, "channel", 100,
             "0" * 16, len("e{0}k") + 1, ms, 0, "", 0, 8, 0)

    def n_logged(self):
        return int(call(self.redis, "XLEN", "e{0}s")[0][1:])

    def record_that_comes_back(self):
        """In a cluster, the record of a due key may be at another node for a while: it expires once it is back."""
        self.server().end()
        call(self.redis, "SET", "e{0}m", 8)
        for key in ("here", "back", "gone"):
            self.set_until(key, 2000)
        for key in ("back", "gone"):
            call(self.redis, "RENAME", "e{0}k" + key, "away" + key)
        left, n = ["back", "gone"], self.n_logged()
        expect(self.expire(2000), (left, left))
        expect((self.expire(2999), self.n_logged()), ((left, left), n + 1))
        call(self.redis, "RENAME", "awayback", "e{0}kback")
        expect((self.expire(3001), self.n_logged()), ((["gone"], ["gone"]), n + 2))
        expect(call(self.redis, "EXISTS", "e{0}kback"), [":0"])
        ms = 3001
        while self.expire(ms)[0]:
            ms += 1000
        assert 60_000 < ms < 300_000, f"after {ms} ms it is taken for deleted"
        expect((self.expire(ms), self.n_logged()), (([], []), n + 2))

    def expiry_without_revision(self):
        """The key keeps its deadline."""
        self.server().end()
        call(self.redis, "SET", "e{0}m", 8)
        self.set_until("kept", 2000)
        newest = call(self.redis, "GET", "e{0}m")[1]
        call(self.redis, "DEL", "e{0}m")
        try:
            self.expire(2000)
        except AssertionError as fault:
            assert "KVGONE" in str(fault), fault
        else:
            raise AssertionError("it has expired")
        call(self.redis, "SET", "e{0}m", newest)
        expect(self.expire(2000), ([], []))

    def clock_that_went_back(self):
        """A new revision is larger than those in the log, so that the log takes it."""
        self.server().end()
        write_ahead(self.redis, "ahead")
        server = self.server(options=f', accept_loss: "{self.lose_revision()}"')
        expect(put(server, "ahead", 1)[0], 202)
        expect(get(server, "ahead"), 1)
        server.end()

    def lost_description(self):
        """It is made anew, with another epoch. Hooks and sinks miss nothing, and the log goes on."""
        one = self.server(OBSERVED)
        expect(put(one, "described", 1)[0], 202)
        self.await_seen([one], ["described"])
        one.end()
        write_ahead(self.redis, "not described")
        expect(call(self.redis, "DEL", "kv{0}i"), [":1"])
        two = self.server(OBSERVED)
        expect(get(two, "described"), 1)
        expect(put(two, "anew", 2)[0], 202)
        self.await_seen([two], ["anew"])
        expect(metric(two, "kvserver_store_gaps_total"), 0)
        two.end()

    def end(self):
        started.kill()
        self.redis.end()
        self.cluster.end()
        self.folder.cleanup()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check_each((
        ("a look tells the version of the functions, and older servers what they expect", tests.answers_to_a_look),
        ("an idle server replaces the functions of an older one", tests.library_of_an_older_server),
        ("hooks and sinks miss nothing when the loss of the revision is accepted", tests.observers_of_one_redis),
        ("nor in a cluster that has lost some partitions", tests.observers_of_a_cluster),
        ("a server connects to each node once to look at its partitions, and once to look for others' keys",
         tests.connections_of_a_start),
        ("that a cluster has no store is known at once", tests.missing_store),
        ("a record that is away when it is due expires once it is back", tests.record_that_comes_back),
        ("a key whose expiry fails stays due", tests.expiry_without_revision),
        ("a store goes on after its revision was lost and the clock set back", tests.clock_that_went_back),
        ("also after its description was lost", tests.lost_description)))
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
