"""Expiry at full size in servers that share a Redis, or a Redis Cluster: how late a server tells of keys that another one
removes, and how late it is when that one is killed, or stands still for a while."""

import json
import signal
import statistics
import time
import urllib.request

from harness import PORTS, is_chosen, run_load, show_figure, wait_until_ready
from redis_store import ask, show_load_average, start_cluster, start_kvserver, start_redis, stop

VICTIM, SURVIVOR = "one", "two"
TTL_S = 2  # of the load's keys
N_FIRST, FIRST_TTL_MS = 64, 200  # enough for a key in each partition
MOST_ROUNDS = 3
# Its prefix has no key, but so it has the lease of hooks and sinks as well.
SINK = "sinks: [{module: file, options: {path: '%s'}, prefixes: ['none/']}]\n"


class Place:
    """Two servers over one store. The last one that has removed a key goes on to do so."""

    def __init__(self, servers, redis, where):
        self.servers, self.redis, self.where = servers, redis, where
        start_kvserver(servers, SURVIVOR, where)

    def start_victim(self):
        sink = SINK % f"{self.servers.folder.name}/sink.out"
        start_kvserver(self.servers, VICTIM, self.where, more=sink)
        self.let_victim_expire()

    def let_victim_expire(self):
        for i in range(N_FIRST):
            body = json.dumps({"value": 1, "ttl": FIRST_TTL_MS}).encode()
            urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:{PORTS[VICTIM]}/storage/first-{i}", body, method="PUT")).close()
        survivor = self.servers.running[SURVIVOR]
        survivor.send_signal(signal.SIGSTOP)
        time.sleep(FIRST_TTL_MS / 1000)
        while any("first-" in ask(port, "KEYS", "*kfirst-*") for port in self.redis):
            pass
        survivor.send_signal(signal.SIGCONT)
        wait_until_ready(PORTS[SURVIVOR])

    def stop(self):
        stop(self.servers, VICTIM, SURVIVOR)

    def load(self, options, seconds, **more):
        return run_load("expiry", PORTS[SURVIVOR], rate=options.many_expiries, seconds=seconds, **more)

    # ---- the measurements; each returns what the load says ----

    def undisturbed(self, options, background=0):
        self.let_victim_expire()
        return self.load(options, 2 * options.fault_s, background=background)

    def fail(self, options, fault, seconds, **more):
        process = self.servers.running[VICTIM]
        return self.load(options, seconds, victim=process.pid, signal=int(fault),
                         fault=int(1000 * (TTL_S + options.fault_s)), **more)

    def killed(self, options):
        self.let_victim_expire()
        result = self.fail(options, signal.SIGKILL, 2 * options.fault_s + 1)
        stop(self.servers, VICTIM)
        self.start_victim()
        return result

    def stopped(self, options):
        self.let_victim_expire()
        resume_s = TTL_S + 2 * options.fault_s + 1
        result = self.fail(options, signal.SIGSTOP, 3 * options.fault_s + 1, resume=int(1000 * resume_s))
        wait_until_ready(PORTS[VICTIM])
        return result


def show_late(figures, what, results, phase, marks):
    """Medians of the rounds, and the latest of all."""
    for name, mark in marks.items():
        values = [result[f"{phase}{name}_us"] / 1e3 for result in results]
        is_most = name == "most"
        show_figure(figures, f"{what}, {'latest' if is_most else name}",
                    max(values) if is_most else statistics.median(values), "ms", mark)


def show_counts(figures, what, results):
    n_keys = sum(result["keys"] for result in results)
    for name in ("missing", "twice"):
        show_figure(figures, f"{what}, {name}", sum(result[name] for result in results), f"of {n_keys:,}", 0)


def measure_at(place, name, options, figures):
    n_rounds = min(options.rounds, MOST_ROUNDS)
    what = f"{name}: {options.many_expiries:,} expiries/s told at the other server"
    place.start_victim()
    results = [place.undisturbed(options, 0 if i else options.keys) for i in range(n_rounds)]
    show_late(figures, what, results, "", {"p50": None, "p99": 10, "most": None})
    show_counts(figures, what, results)
    for fault, run in (("killed", place.killed), ("stopped", place.stopped)):
        what = f"{name}: the server that removes keys is {fault}"
        results = [run(options) for _ in range(n_rounds)]
        show_late(figures, f"{what}: before", results, "", {"p99": None})
        show_late(figures, f"{what}: in the second after it", results, "handover_",
                  {"p50": None, "p99": None, "most": 50})
        show_late(figures, f"{what}: later", results, "afterwards_", {"p99": None})
        show_counts(figures, what, results)
    place.stop()


def measure_single(servers, options, figures):
    start_redis(servers, "redis-store")
    measure_at(Place(servers, [PORTS["redis-store"]], f"port: {PORTS['redis-store']}"), "redis", options, figures)
    stop(servers, "redis-store")


def measure_cluster(servers, options, figures):
    names = start_cluster(servers)
    addresses = ", ".join(f'"127.0.0.1:{PORTS[name]}"' for name in names)
    where = f"nodes: [{addresses}], prefix: expiry, order: key"
    measure_at(Place(servers, [PORTS[name] for name in names], where), "redis cluster", options, figures)
    stop(servers, *names)


def measure(servers, options, results):
    if is_chosen("redis expiry", options):
        measure_single(servers, options, results["figures"])
    if is_chosen("cluster expiry", options):
        measure_cluster(servers, options, results["figures"])
    show_load_average("after the expiries")
