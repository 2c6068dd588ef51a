#!/usr/bin/env python3
"""A Redis Cluster whose masters have different clocks, from the beginning or later: writes wait for the clocks, and
operators can see why. Prints TAP.
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from chaos import at_once  # pylint: disable=wrong-import-position
from kvserver import CLOCK, NO_CLOCK, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import SKIPPED, Cluster, require_redis  # pylint: disable=wrong-import-position
from store_redis_test import expect, put  # pylint: disable=wrong-import-position

AHEAD_MS = 3000
FAR_AHEAD_MS = 6000
MOST_CALLS_A_SECOND = 200  # of a server that waits for a clock
N_KEYS = 40  # so every master has some, whichever seed the store draws


def clock(ahead_ms):
    return {"LD_PRELOAD": CLOCK, "KV_CLOCK_AHEAD_MS": str(ahead_ms)}


def metric(server, name):
    return float(re.search(rf"^kvserver_store_{name} (\S+)$", server.request("GET", "/metrics")[2].decode(), re.M)[1])


def put_all(server, prefix):
    """At once, to several partitions. Returns: the statuses."""
    statuses = set()
    at_once([lambda key=f"{prefix}{i}": statuses.add(put(server, key, 1)[0]) for i in range(N_KEYS)])
    return statuses


class Tests:
    def __init__(self):
        self.cluster = Cluster(n_replicas=0, node_timeout_ms=60_000, more=lambda i: clock(0),
                               arguments=("--appendonly", "yes", "--appendfsync", "always"))

    def server(self, timeout_s):
        return Server(store="redis",
                      options=f'nodes: ["127.0.0.1:{self.cluster.nodes[0].port}"], timeout: {timeout_s}s')

    def set_clock(self, ahead_ms):
        node = self.cluster.nodes[1]
        node.kill()
        node.environment.update(clock(ahead_ms))
        node.start()
        wait_for(lambda: "cluster_state:ok" in node.ask("CLUSTER INFO"), "the master does not come back")

    def n_calls(self):
        """Of functions, at a master whose clock is behind."""
        found = re.search(r"cmdstat_fcall_ro:calls=(\d+)", self.cluster.nodes[0].ask("INFO commandstats"))
        return int(found[1]) if found else 0

    def clocks_that_agree(self):
        server = self.server(2)
        expect(put(server, "key", 1)[0], 202)
        expect(metric(server, "clock_difference_seconds") < 0.5, True)
        expect(metric(server, "late_results_total"), 0)
        server.end()

    def one_that_is_ahead_at_the_start(self):
        """It slows down a server whose timeout is longer, and keeps one from starting whose timeout is not."""
        self.set_clock(AHEAD_MS)
        server = self.server(20)
        begin, n_calls = time.monotonic(), self.n_calls()
        expect(put_all(server, "key/"), {202})
        took_s, n_calls = time.monotonic() - begin, self.n_calls() - n_calls
        assert took_s > AHEAD_MS / 2000, "no write has waited"
        assert n_calls < MOST_CALLS_A_SECOND * took_s, f"{n_calls} calls in {took_s:.1f} s"
        apart_s = metric(server, "clock_difference_seconds")
        assert AHEAD_MS / 1000 - 0.5 < apart_s <= AHEAD_MS / 1000 + 0.1, apart_s
        wait_for(lambda: re.search(r"the clock at 127.0.0.1:\d+ is \d+ ms ahead", server.read_log()), "no warning")
        expect(server.request("GET", "/readyz")[0], 200)
        server.end()
        try:
            self.server(2).end()
        except AssertionError as fault:
            assert "ms ahead of that at" in str(fault), fault
        else:
            raise AssertionError("the server has started")

    def one_that_runs_away(self):
        """Writes end unknown, the server is not ready, and says why; it is again when the clock is right again."""
        self.set_clock(0)
        server = self.server(2)
        expect(put(server, "away", 1)[0], 202)
        self.set_clock(FAR_AHEAD_MS)
        wait_for(lambda: server.request("GET", "/readyz")[0] == 503, "the server is still ready")
        wait_for(lambda: "ms ahead of that at" in server.read_log(), "the log does not say why")

        def is_late():
            put_all(server, "away/")
            return metric(server, "late_results_total") > 0
        wait_for(is_late, "all writes are answered in time")
        assert "are not answered in time" in server.read_log()
        self.set_clock(0)
        wait_for(lambda: server.request("GET", "/readyz")[0] == 200, "the server is not ready again")
        wait_for(lambda: put_all(server, "away/") == {202}, "not all is written again")
        expect(metric(server, "clock_difference_seconds") < 0.5, True)
        server.end()

    def end(self):
        self.cluster.end()


def main():
    require_redis()
    if CLOCK is None:
        print("1..0 # SKIP " + NO_CLOCK)
        return SKIPPED
    report, tests = Report(), Tests()
    report.check("clocks that agree", tests.clocks_that_agree)
    report.check("a clock that is ahead slows down all writes, or keeps a server from starting",
                 tests.one_that_is_ahead_at_the_start)
    report.check("operators see that a clock has run away", tests.one_that_runs_away)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
