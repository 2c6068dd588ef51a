#!/usr/bin/env python3
"""Two KvServers, and a sink, that follow a master by Redis Sentinel. Prints TAP."""
import os
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import Report, Server, wait_for  # pylint: disable=wrong-import-position
from ports import reserve_port  # pylint: disable=wrong-import-position
from redis_servers import CLI, Guarded, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import Feed, expect, get, put  # pylint: disable=wrong-import-position

N_KEYS = 8
N_WRITERS = 4


def is_ready(server):
    return server.request("GET", "/readyz")[0] == 200


class Load:
    """Writers at both servers, and what each key was last acknowledged to be."""

    def __init__(self, servers, prefix):
        self.servers, self.prefix = servers, prefix
        self.acknowledged = [dict() for _ in range(N_WRITERS)]
        self.answers = set()
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in range(N_WRITERS)]
        for thread in self.threads:
            thread.start()
        wait_for(lambda: self.least() > 3, "nothing is written")

    def write(self, n):
        i = 0
        while not self.is_over.is_set():
            i += 1
            for key in range(N_KEYS):
                status = put(self.servers[n % len(self.servers)], f"{self.prefix}{n}/{key}", i)[0]
                self.answers.add(status)
                if status == 202:
                    self.acknowledged[n][key] = i

    def least(self):
        return min(seen.get(key, 0) for seen in self.acknowledged for key in range(N_KEYS))

    def go_on(self):
        """Waits until all keys have been written again."""
        before = [dict(seen) for seen in self.acknowledged]
        wait_for(lambda: all(seen[key] > then[key] for seen, then in zip(self.acknowledged, before)
                             for key in range(N_KEYS)), "nothing is written behind it")

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def end(self, feeds):
        """Nothing acknowledged is lost, and subscribers are told all, in order and once, without a reset."""
        self.stop()
        assert self.answers <= {202, 503, 504}, self.answers
        for n in range(N_WRITERS):
            for key in range(N_KEYS):
                name, acknowledged = f"{self.prefix}{n}/{key}", self.acknowledged[n][key]
                assert get(self.servers[0], name) >= acknowledged, "an acknowledged write is lost"
                expect(put(self.servers[-1], name, "end")[0], 202)
                for feed in feeds:
                    feed.wait_for(name, "end")
                    told = [value for at, value in feed.told if at == name and value != "end"]
                    expect(told, sorted(set(told)))
                    assert told[-1] >= acknowledged, "an acknowledged write is not told"
        for feed in feeds:
            expect(feed.n_resets, 0)


class Tests:
    def __init__(self):
        self.guarded = Guarded()
        self.servers = [self.server(", ack: replicas, timeout: 10s") for _ in range(2)]

    def options(self, master="main", more=""):
        sentinels = ", ".join(f'"127.0.0.1:{each.port}"' for each in self.guarded.sentinels)
        return f"sentinels: [{sentinels}], master: {master}{more}"

    def server(self, more="", lines=""):
        return Server(lines, store="redis", options=self.options(more=more))

    def master_that_is_killed(self):
        """Twice; and each time it comes back as a replica."""
        feeds = [Feed(server, "kill/") for server in self.servers]
        load = Load(self.servers, "kill/")
        for _ in range(2):
            victim = self.guarded.master()
            victim.kill()
            self.guarded.wait_for_another(victim)
            load.go_on()
            victim.start()
            wait_for(lambda victim=victim: "master_link_status:up" in victim.ask("INFO replication"),
                     "it does not become a replica")
        load.end(feeds)
        for server in self.servers:
            assert "the sentinels say that the master is at" in server.read_log()

    def master_that_is_demoted(self):
        """By an operator: it lives on as a replica, and nothing more is written to it by clients. Until it is told,
        it has the replica that is not promoted, so one replica is not enough to keep what is written meanwhile."""
        self.guarded.settle()
        servers = [self.server(", ack: replicas, replicas: 2, timeout: 10s") for _ in range(2)]
        feeds = [Feed(server, "demote/") for server in servers]
        load = Load(servers, "demote/")
        try:
            old = self.guarded.master()
            self.guarded.demote()
            self.guarded.wait_for_another(old)
            load.go_on()
            expect(old.ask("CLIENT LIST TYPE normal").count("cmd=fcall"), 0)
            load.end(feeds)
        finally:
            load.stop()
            for server in servers:
                server.end()

    def master_that_hangs(self):
        """When it wakes, it believes that it is a master still, until the sentinels demote it."""
        feeds = [Feed(server, "hang/") for server in self.servers]
        load = Load(self.servers, "hang/")
        old = self.guarded.master()
        old.stop()
        try:
            self.guarded.wait_for_another(old)
            load.go_on()
        finally:
            old.go_on()
        load.go_on()
        wait_for(lambda: "master_link_status:up" in old.ask("INFO replication"), "it does not become a replica")
        load.end(feeds)

    def sentinels_that_are_lost(self):
        """Those that are left suffice; without any, the server stays with the master that it has."""
        sentinels = self.guarded.sentinels
        server = self.servers[0]
        sentinels[0].kill()
        other = self.server()
        other.end()
        for sentinel in sentinels[1:]:
            sentinel.kill()
        wait_for(lambda: "no sentinel says where the master is" in server.read_log(), "it is not logged")
        expect(put(server, "lost", 1)[0], 202)
        for sentinel in sentinels:
            sentinel.start()
        wait_for(lambda: "a sentinel says again where" in server.read_log(), "it is not logged")

    def says_what_is_wrong(self):
        def fails(options, text):
            server = Server()
            server.end_process()
            path = server.write("wrong.yaml", f"listen: [{{port: 0}}]\nmodules: {os.environ['KV_TEST_MODULES']}\n"
                                f"storage: {{module: redis, redis: {{{options}, timeout: 300ms}}}}\n")
            outcome = processes.run([os.environ["KV_SERVER_PROGRAM"], "-c", path], check=False, capture_output=True,
                                    text=True, timeout=60)
            assert outcome.returncode != 0 and text in outcome.stderr, outcome.stderr
            server.folder.cleanup()
        fails(self.options(master="other"), '(a sentinel) knows no master "other"')
        port = reserve_port()
        fails(f'sentinels: ["127.0.0.1:{port}"], master: main',
              f"cannot connect to Redis at 127.0.0.1:{port} (a sentinel): Connection refused")
        fails(self.options(more=", sentinel_password: wrong"), "(a sentinel): AUTH: ERR AUTH")

    def login(self):
        """The sentinels' users are not Redis's; theirs need only the rights of the README."""
        for sentinel in self.guarded.sentinels:
            answer = sentinel.ask("ACL SETUSER seer on >guard allchannels -@all +auth "
                                  "+sentinel|get-master-addr-by-name +sentinel|master")
            assert answer.startswith("+OK"), answer
        server = self.server(", sentinel_user: seer, sentinel_password: guard")
        expect(put(server, "login", 1)[0], 202)
        server.end()

    def sink_follows(self):
        """Nothing that is written while the master is replaced is missing in the stream."""
        self.guarded.settle()
        sentinels = self.options(more=", name: changes, timeout: 2s")
        server = Server(f"sinks: [{{module: redis, options: {{{sentinels}}}}}]\n")
        feed = [f"sink/{i}" for i in range(60)]

        def entries(node=None):
            node = node or self.guarded.master()
            return [] if node is None else [key for key in feed if key in read_stream(node)]
        for key in feed[:20]:
            expect(put(server, key, 1)[0], 202)
        for node in self.guarded.nodes:  # what is not replicated may be lost with the master
            wait_for(lambda node=node: entries(node) == feed[:20], "the stream lacks something")
        old = self.guarded.master()
        old.kill()
        for key in feed[20:40]:
            expect(put(server, key, 1)[0], 202)
        self.guarded.wait_for_another(old)
        wait_for(lambda: entries() == feed[:40], "the stream lacks something behind the failover")
        old.start()
        wait_for(lambda: "master_link_status:up" in old.ask("INFO replication"), "it does not become a replica")
        old = self.guarded.master()
        self.guarded.demote()
        self.guarded.wait_for_another(old)
        for key in feed[40:]:
            expect(put(server, key, 1)[0], 202)
        wait_for(lambda: entries() == feed, "the stream lacks something behind the demotion")
        server.end()

    def end(self):
        for server in self.servers:
            server.end()
        self.guarded.end()


def read_stream(master):
    return subprocess.run([CLI, "-s", master.socket, "XRANGE", "changes", "-", "+"], check=True,
                          capture_output=True, text=True).stdout.split("\n")


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check("nothing acknowledged is lost or told twice when a master is killed, and the next one",
                 tests.master_that_is_killed)
    report.check("nothing is when a master is demoted by an operator", tests.master_that_is_demoted)
    report.check("nothing is when a master hangs and wakes", tests.master_that_hangs)
    report.check("lost sentinels do no harm", tests.sentinels_that_are_lost)
    report.check("wrong names, addresses and passwords are told", tests.says_what_is_wrong)
    report.check("a user with few rights is enough at the sentinels", tests.login)
    report.check("the sink follows the master", tests.sink_follows)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
