"""Servers that share a Redis, or a Redis Cluster: what a write and a read cost both sides, how evenly masters share
the work, and how late the other server tells changes and expiries. Nothing is pinned to a core: there are more
programs than cores. What matters is processor time."""

import os
import statistics
import subprocess
import tempfile

from harness import (BUILD, PORTS, Ratio, is_chosen, kvserver_yaml, processor_seconds, run_expiry, run_load, show,
                     show_figure, wait_until_ready)

CORES = f"0-{os.cpu_count() - 1}"
PARTITIONS = 24
N_CONNECTIONS = 16
SHARING = ("one", "two", "three", "four", "five", "six", "seven", "eight")
US = 1e6


def ask(port, *words):
    return subprocess.run(["redis-cli", "-p", str(port), *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def start_redis(servers, name, *arguments):
    folder = tempfile.mkdtemp(prefix=f"{name}-", dir=servers.folder.name)  # an empty one each time
    servers.start(name, ["redis-server", "--port", str(PORTS[name]), "--dir", folder, "--save", "",
                         "--appendonly", "no", *arguments], PORTS[name], CORES)


def start_kvserver(servers, name, where, threads=1, more=""):
    path = servers.write(f"{name}.yaml", kvserver_yaml(PORTS[name], threads, f"module: redis, redis: {{{where}}}", more))
    process = servers.start(name, [f"{BUILD}/kvserver", "-c", path], PORTS[name], CORES)
    wait_until_ready(PORTS[name])
    return process


def stop(servers, *names):
    for name in names:
        servers.stop(name)


def fields(text):
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def used_cpu(port):
    """Seconds, of Redis's main thread and all others."""
    cpu = fields(ask(port, "INFO", "cpu"))
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


def n_calls(port, command):
    stats = fields(ask(port, "INFO", "commandstats")).get(f"cmdstat_{command}", "calls=0")
    return int(stats.split(",")[0].split("=")[1])


class Usage:
    """Processor time of Redis and of one server for each call of a command."""

    def __init__(self, redis, command, process):
        self.redis, self.command, self.process = redis, command, process
        self.begin = self.read()

    def read(self):
        return used_cpu(self.redis), processor_seconds(self.process), n_calls(self.redis, self.command)

    def each_us(self):
        redis, server, n = (after - before for before, after in zip(self.begin, self.read()))
        return redis / n * US, server / n * US


def usage_of(kind, command, process, options):
    """Medians of the rounds."""
    rounds = []
    for _ in range(options.rounds):
        usage = Usage(PORTS["redis-store"], command, process)
        run_load(kind, PORTS["one"], connections=N_CONNECTIONS, depth=16, keys=options.shared_keys,
                 seconds=options.seconds)
        rounds.append(usage.each_us())
    return [statistics.median(side) for side in zip(*rounds)]


def measure_costs(servers, options, figures):
    process = servers.running["one"]
    run_load("fill", PORTS["one"], depth=16, keys=options.shared_keys)
    redis, server = usage_of("ws-set", "fcall", process, options)
    show_figure(figures, "redis: Redis's time for a set", redis, "us", 40)
    show_figure(figures, "redis: the server's time for a set, all threads", server, "us", 10)
    redis, server = usage_of("ws-get", "getrange", process, options)
    show_figure(figures, "redis: Redis's time for a get", redis, "us", None)
    show_figure(figures, "redis: the server's time for a get, all threads", server, "us", None)


def getrange(options):
    """The same reads by redis-benchmark."""
    n = int(400000 * options.seconds)
    command = ["redis-benchmark", "-p", str(PORTS["redis-store"]), "-r", str(options.shared_keys), "-n", str(n),
               "-P", "16", "-c", str(N_CONNECTIONS), "--csv", "GETRANGE", "kv{0}kkey:__rand_int__", "0", "65551"]
    last = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
    return float(last.split('","')[1])


def measure_reads(options, results):
    def get(options):
        return run_load("ws-get", PORTS["one"], connections=N_CONNECTIONS, depth=16, keys=options.shared_keys,
                        seconds=options.seconds)["rate"]
    ratio = Ratio("redis ws-get x16", get, "GETRANGE -P 16", getrange, 0.7)
    for _ in range(options.rounds):
        ratio.run_round(options)
    results["ratios"].append(ratio.result())
    show(ratio.result())


def show_told(figures, what, rate, marks, options):
    told = run_load("told", PORTS["one"], other=PORTS["two"], rate=rate, connections=N_CONNECTIONS,
                    keys=options.shared_keys, seconds=2 * options.seconds)
    show_figure(figures, f"{what}: told at the other server, {rate:,}/s, p50", told["p50_us"] / 1e3, "ms", marks[0])
    show_figure(figures, f"{what}: the same, p99", told["p99_us"] / 1e3, "ms", marks[1])


def show_expiry(figures, options):
    late = run_expiry(PORTS["one"], background=options.keys, rate=options.shared_expiries,
                      seconds=max(1, 2 * options.seconds))
    what = f"redis: expiry told late, {options.shared_expiries:,}/s, {options.keys:,} others"
    show_figure(figures, f"{what}, p50", late["p50_us"] / 1e3, "ms", None)
    show_figure(figures, f"{what}, p99", late["p99_us"] / 1e3, "ms", 15)


def measure_single(servers, options, results):
    where = f"port: {PORTS['redis-store']}"
    start_redis(servers, "redis-store")
    for name in ("one", "two"):
        start_kvserver(servers, name, where)
    measure_costs(servers, options, results["figures"])
    measure_reads(options, results)
    show_told(results["figures"], "redis", options.pace, (1, 10), options)
    show_expiry(results["figures"], options)
    stop(servers, "one", "two", "redis-store")


def start_cluster(servers):
    names = [f"node-{i}" for i in (1, 2, 3)]
    for name in names:
        start_redis(servers, name, "--cluster-enabled", "yes", "--cluster-port", str(PORTS[name.replace("node", "bus")]))
    subprocess.run(["redis-cli", "--cluster", "create", *(f"127.0.0.1:{PORTS[name]}" for name in names),
                    "--cluster-yes"], check=True, stdout=subprocess.DEVNULL)
    for name in names:
        while "cluster_state:ok" not in ask(PORTS[name], "CLUSTER", "INFO"):
            pass
    return names


class Masters:
    """Processor time and calls of the masters since the beginning."""

    def __init__(self, names):
        self.names = names
        self.begin = self.read()

    def read(self):
        return [(used_cpu(PORTS[name]), n_calls(PORTS[name], "fcall")) for name in self.names]

    def used(self):
        return [(cpu - cpu_before, n - n_before)
                for (cpu, n), (cpu_before, n_before) in zip(self.read(), self.begin)]


def set_at_full_rate(options):
    return run_load("ws-set", PORTS["one"], connections=N_CONNECTIONS, depth=16, keys=options.shared_keys,
                    seconds=options.rounds * options.seconds)["rate"]


def measure_order_by_key(servers, where, names, options, figures):
    for name in ("one", "two"):
        start_kvserver(servers, name, f"{where}, partitions: {PARTITIONS}, prefix: by-key, order: key")
    masters = Masters(names)
    rate = set_at_full_rate(options)
    used = masters.used()
    mean = [statistics.mean(side) for side in zip(*used)]
    what = f"redis cluster, {PARTITIONS} partitions, `order: key`"
    show_figure(figures, f"{what}: sets a second", rate, "/s", None)
    show_figure(figures, f"{what}: the busiest master's sets over the mean", max(n for _, n in used) / mean[1], "x", 1.1)
    show_figure(figures, f"{what}: the same of processor time", max(cpu for cpu, _ in used) / mean[0], "x", 1.2)
    show_figure(figures, f"{what}: masters' time for a set", mean[0] / mean[1] * US, "us", None)
    show_told(figures, what, options.cluster_pace, (None, None), options)
    stop(servers, "one", "two")


def measure_order_of_all(servers, where, options, figures):
    """The default."""
    for name in ("one", "two"):
        start_kvserver(servers, name, f"{where}, prefix: all")
    what = "redis cluster, 8 partitions, `order: all`"
    show_figure(figures, f"{what}: sets a second, one event loop", set_at_full_rate(options), "/s", None)
    show_told(figures, what, options.cluster_pace, (None, None), options)
    stop(servers, "one", "two")


def measure_many_servers(servers, where, names, options, figures):
    """What it costs the masters that more servers listen."""
    for n_servers in (2, 4, 8):
        for name in SHARING[:n_servers]:
            start_kvserver(servers, name, f"{where}, prefix: shared-by-{n_servers}, order: key")
        masters, what = Masters(names), f"redis cluster, 8 partitions, {n_servers} servers"
        show_told(figures, what, options.cluster_pace, (None, None), options)
        seconds, n = (sum(side) for side in zip(*masters.used()))
        show_figure(figures, f"{what}: masters' time for a set", seconds / n * US, "us", None)
        stop(servers, *SHARING[:n_servers])


def measure_cluster(servers, options, results):
    figures = results["figures"]
    names = start_cluster(servers)
    addresses = ", ".join(f'"127.0.0.1:{PORTS[name]}"' for name in names)
    where = f"nodes: [{addresses}]"
    measure_order_by_key(servers, where, names, options, figures)
    measure_order_of_all(servers, where, options, figures)
    measure_many_servers(servers, where, names, options, figures)
    stop(servers, *names)


def show_load_average(when):
    print(f"load average {os.getloadavg()[0]:.1f} {when}", flush=True)


def measure(servers, options, results):
    show_load_average("at the start")
    if is_chosen("redis single", options):
        measure_single(servers, options, results)
    if is_chosen("redis cluster", options):
        measure_cluster(servers, options, results)
    show_load_average("at the end")
