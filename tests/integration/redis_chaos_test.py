#!/usr/bin/env python3
"""Two KvServers on one Redis Cluster, under load, while masters are killed, cut off, stopped, and lose slots. With
`ack: replicas` no acknowledged write may be lost, untold or told twice; with `ack: primary` a loss must be
told by a `reset`. Nothing may be told that has vanished.
KV_TEST_ROUNDS says how often each fault is made (1 unless given). Prints TAP, and for each fault what happened.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from chaos import Client, text_of, under_load  # pylint: disable=wrong-import-position
from kvserver import CLOCK, NO_CLOCK, PATIENCE_S, Report, Server, Started  # pylint: disable=wrong-import-position
from redis_servers import CLI, Cluster, require_redis  # pylint: disable=wrong-import-position

ROUNDS = int(os.environ.get("KV_TEST_ROUNDS", "1"))
CHOSEN = re.compile(os.environ.get("KV_TEST_FAULTS", ""))  # those whose name matches it somewhere
N_WRITERS = 32
SKEWS_MS = (200, 0, -200, -200, 200, 0)  # of the masters and the replicas
N_FILLED = 12_000
FILL_AT_ONCE = 2_000
MOST_MOVES = 10       # until one can be broken
LOG_TAIL = 4000      # characters
CUT_S = 1
WAIT_S = 1
AGREE_S = 15         # after a move, until all nodes know of it
LONGEST_MOVE_S = 10  # that a writer may wait while slots are moved, also on a busy machine


def tags_of(master):
    """What is between the braces of the keys of its partitions."""
    return sorted(set(re.findall(r"kv\{(\d+)\}m\r", master.ask("KEYS kv{*}m"))))


def slots_of(master):
    line = next(line for line in master.ask("CLUSTER NODES").split("\n") if "myself" in line)
    slots = []
    for part in line.split()[8:]:
        if not part.startswith("["):
            first, _, last = part.partition("-")
            slots += range(int(first), int(last or first) + 1)
    return slots


class Chaos:
    def __init__(self, cluster=None):
        self.cluster = cluster or Cluster()
        self.n_rounds = 0
        self.has_filled = False
        self.has_repaired = False  # in this round
        self.started = Started()

    def server(self, ack, more=""):
        node = f"127.0.0.1:{self.cluster.nodes[0].port}"
        return self.started.keep(Server(store="redis", options=f'nodes: ["{node}"], timeout: 10s, ack: {ack}{more}'))

    def victim(self):
        """The master with the most partitions."""
        return max(self.cluster.masters(), key=lambda master: len(tags_of(master)))

    # ---- faults ----

    def nothing(self, load):
        load.wait_until_all_write(20)

    def kill(self, load):
        victim = self.victim()
        victim.kill()
        self.cluster.wait_for_masters()
        time.sleep(WAIT_S)
        victim.start()

    def cut(self, load):
        """The replicas hear nothing of their master any more, which is written to and then killed."""
        victim = self.victim()
        replicas = self.cluster.replicas_of(victim)
        for replica in replicas:
            replica.stop()
        victim.ask("CLIENT KILL TYPE replica")
        time.sleep(CUT_S)
        victim.kill()
        for replica in replicas:
            replica.go_on()
        self.cluster.wait_for_masters()
        time.sleep(WAIT_S)
        victim.start()

    def stop(self, load):
        """A master that hangs until it has been replaced, and still has what was sent to it meanwhile."""
        victim = self.victim()
        victim.stop()
        try:
            self.cluster.wait_for_masters(but=victim)
            time.sleep(WAIT_S)
        finally:
            victim.go_on()

    def fill(self):
        """So that there is something to move."""
        if self.has_filled:
            return
        server = self.server("primary", ", order: key")
        client = Client(server)
        for first in range(0, N_FILLED, FILL_AT_ONCE):
            sets = ",".join(f'{{"type":"set","payload":{{"key":"fill/{i}","value":{i}}}}}'
                            for i in range(first, first + FILL_AT_ONCE))
            status = client.ask("POST", "/batch", f"[{sets}]".encode())[0]
            assert status == 200, status
        client.close()
        server.end()
        self.has_filled = True

    def choose_slots(self):
        """Returns: a master, and how many of its first slots it takes to move one partition away."""
        def n_before(master):
            partitions = {int(master.ask(f"CLUSTER KEYSLOT kv{{{tag}}}m")[1:]) for tag in tags_of(master)}
            slots = slots_of(master)
            return next(i + 1 for i, slot in enumerate(slots) if slot in partitions)
        sources = [master for master in self.cluster.masters() if len(tags_of(master)) > 1]
        return min(((n_before(master), i, master) for i, master in enumerate(sources)))[::2]

    def reshard(self, pipeline, meanwhile=None):
        n, source = self.choose_slots()
        target = min((node for node in self.cluster.masters() if node is not source),
                     key=lambda node: len(tags_of(node)))
        ids = [node.ask("CLUSTER MYID").split()[1] for node in (source, target)]
        with tempfile.TemporaryFile("w+") as output, \
                processes.start([CLI, "--cluster", "reshard", f"127.0.0.1:{source.port}",
                                 "--cluster-from", ids[0], "--cluster-to", ids[1], "--cluster-slots", str(n),
                                 "--cluster-yes", "--cluster-pipeline", str(pipeline)],
                                stdout=output, stderr=subprocess.STDOUT) as process:
            if meanwhile is not None:
                meanwhile(target, tags_of(source), process)
            process.wait(2 * PATIENCE_S)
            output.seek(0)
            assert meanwhile is not None or process.returncode == 0, output.read()[-500:]

    def await_agreement(self):
        """Redis 7.0 may leave two masters which each say that the other one has the slot: README.md tells how to repair that."""
        until = time.monotonic() + AGREE_S
        while self.cluster.call("check")[0] != 0:
            if time.monotonic() > until:
                print("#   repaired:\n# " + self.cluster.describe().replace("\n", "\n# "), flush=True)
                self.cluster.repair()
                self.has_repaired = True
                return
            time.sleep(1)

    def reshard_in_small_steps(self, load):
        self.fill()
        self.reshard(10)
        self.await_agreement()

    def reshard_in_large_steps(self, load):
        self.fill()
        self.reshard(10_000)
        self.await_agreement()

    def reshard_and_kill(self, load):
        """The target is killed while a partition moves there; its replica takes over, and the slot is repaired."""
        self.fill()

        def kill_target(target, tags, process):
            slots = {target.ask(f"CLUSTER KEYSLOT kv{{{tag}}}m")[1:].strip() for tag in tags}
            while not slots & set(re.findall(r"\[(\d+)-<-", target.ask("CLUSTER NODES"))):
                if process.poll() is not None:  # it was too fast
                    return
            target.kill()
            killed.append(target)
            self.cluster.wait_for_masters()
            target.start()
        killed = []
        for _ in range(MOST_MOVES):
            if not killed:
                self.reshard(10, kill_target)
        assert killed, "all moves were too fast"
        self.cluster.settle()  # else fix may ask the old target for keys, and take away the only mark
        self.cluster.repair()

    # ---- rounds ----

    def round(self, fault, servers, ack):
        self.n_rounds += 1
        self.has_repaired = False
        self.cluster.settle()
        begin = time.monotonic()
        try:
            facts = under_load(servers, f"round{self.n_rounds}/", N_WRITERS, fault)
            self.check(facts, fault, ack)
        except AssertionError as failure:
            raise AssertionError("\n".join([f"round {self.n_rounds}: {failure}", self.cluster.describe(),
                                            *(server.read_log()[-LOG_TAIL:] for server in servers)])) from failure
        print(f"#   {fault.__name__}, ack: {ack}, {time.monotonic() - begin:.1f} s: {text_of(facts)}", flush=True)
        return facts

    def check(self, facts, fault, ack):
        if ack.startswith("replicas"):
            assert facts["lost"] == 0 and facts["resets"] == 0, facts
        if fault in (self.reshard_in_small_steps, self.reshard_in_large_steps) and not self.has_repaired:
            assert facts["longest_s"] < LONGEST_MOVE_S, facts

    def rounds(self, fault, ack):
        self.cluster.settle()
        servers = [self.server(ack) for _ in range(2)]
        all_facts = [self.round(fault, servers, ack) for _ in range(ROUNDS)]
        for server in servers:
            server.end()
        total = {name: sum(facts[name] for facts in all_facts) for name in all_facts[0]}
        total["longest_s"] = max(facts["longest_s"] for facts in all_facts)
        print(f"# {fault.__name__}, ack: {ack}, {ROUNDS} rounds: {text_of(total)}", flush=True)

    def other_number_of_partitions(self):
        """Is refused."""
        self.server("primary").end()
        node = f"127.0.0.1:{self.cluster.nodes[0].port}"
        try:
            Server(store="redis", options=f'nodes: ["{node}"], partitions: 4').end()
        except AssertionError as fault:
            assert "has 8 partitions, the configuration 4" in str(fault), fault
        else:
            raise AssertionError("it has started")

    def end(self):
        self.started.kill()
        self.cluster.end()


def wrong_clocks():
    """A master is 200 ms ahead, another one behind; a replica that takes over may have another clock than its master.
    Revisions do not go back."""
    chaos = Chaos(Cluster(more=lambda i: {"LD_PRELOAD": CLOCK, "KV_CLOCK_AHEAD_MS": str(SKEWS_MS[i])}))
    for fault in (chaos.nothing, chaos.kill):
        chaos.rounds(fault, "replicas")
    chaos.end()


def main():
    require_redis()
    report, chaos = Report(), Chaos()
    report.check("another number of partitions is refused", chaos.other_number_of_partitions)
    for fault in (chaos.kill, chaos.cut, chaos.stop, chaos.reshard_in_small_steps, chaos.reshard_in_large_steps,
                  chaos.reshard_and_kill):
        for ack in ("primary", "replicas"):
            name = f"{fault.__name__}, ack: {ack}"
            if CHOSEN.search(name):
                report.check(name, lambda fault=fault, ack=ack: chaos.rounds(fault, ack))
    chaos.end()
    if CLOCK is None:
        report.skip("wrong clocks", NO_CLOCK)
    elif CHOSEN.search("wrong clocks"):
        report.check("wrong clocks", wrong_clocks)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
