"""Runs KvServer and its peers in alternating rounds on one machine and compares them.

The server has one core, the load the other. A figure is the median of the rounds' ratios: both sides
of a ratio are measured one right after the other, so that a machine whose speed drifts does not
decide. Prints a table, and writes build/bench-results.json.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import against
import backup
import change_log
import console
import deflate
import durable
import redis_expiry
import redis_store
import tls
from harness import (BUILD, OUTPUT, PORTS, Ratio, Servers, is_chosen, kvserver_yaml, load, memory_of,
                     processes, redis_benchmark, run_expiry, run_load, says_200, show, show_figure)

RESULTS = os.path.join(OUTPUT, "bench-results.json")


def ratios():
    return [
        Ratio("http-get", load("http-get", "kvserver"), "bare libh2o", load("http-get", "bare"), 0.9),
        Ratio("http-get", load("http-get", "kvserver"), "webdis", load("webdis-get", "webdis"), 3.0),
        Ratio("http-get x16", load("http-get", "kvserver", depth=16), "bare libh2o x16",
              load("http-get", "bare", depth=16), 5.0),
        Ratio("http-post", load("http-post", "kvserver"), "bare libh2o", load("http-post", "bare"),
              0.9),
        Ratio("http-post, counting hook", load("http-post", "hooks"), "kvserver http-post",
              load("http-post", "kvserver"), 0.8),
        Ratio("ws-get x16", load("ws-get", "kvserver", depth=16), "redis get x16",
              redis_benchmark("get", 16, 600000), 1.2),
        Ratio("ws-set x16", load("ws-set", "kvserver", depth=16), "redis set x16",
              redis_benchmark("set", 16, 500000), 1.0),
        Ratio("ws-get x1", load("ws-get", "kvserver"), "redis get", redis_benchmark("get", 1, 80000),
              1.0),
        Ratio("fan-out 500", load("fan-out", "kvserver", connections=500, depth=16),
              "redis pub/sub", load("fan-out-redis", "redis", connections=500, depth=16), 1.5),
        Ratio("fan-out 500, prefix", load("fan-out-prefix", "kvserver", connections=500, depth=16),
              "key", load("fan-out", "kvserver", connections=500, depth=16), 0.9),
        Ratio("ws-set x16, 100,000 prefixes of others",
              load("ws-set", "kvserver", depth=16, prefixes=100000), "without",
              load("ws-set", "kvserver", depth=16), 0.9),
        Ratio("client, http", load("http-get", "sink-http"), "kvserver http-get",
              load("http-get", "kvserver"), None),
        Ratio("client, http x16", load("http-get", "sink-http", depth=16), "kvserver http-get x16",
              load("http-get", "kvserver", depth=16), None),
        Ratio("client, ws x16", load("ws-get", "sink-ws", depth=16), "kvserver ws-get x16",
              load("ws-get", "kvserver", depth=16), None),
    ]


def peak_memory_of_a_large_value(servers, options):
    """A 256 MiB value, sent and read back: the server's peak memory beyond an idle one's."""
    size = options.large_value
    body = servers.write("large.json", '{"value":"' + "x" * size + '"}')
    process = servers.start_kvserver()
    idle = memory_of(process, "VmRSS")
    url = f"http://127.0.0.1:{PORTS['kvserver']}/storage/large"
    run_curl(["-X", "POST", "--data-binary", f"@{body}", "-H", "Expect:", url])
    run_curl([url])
    peak = memory_of(process, "VmHWM")
    servers.stop("kvserver")
    return (peak - idle) / size


def run_curl(arguments):
    subprocess.run(["curl", "-sSf", "-o", os.devnull] + arguments, check=True)


def start_up_ms(servers, options):
    """From the start of the program to its first answer."""
    path = servers.write("kvserver.yaml", kvserver_yaml(PORTS["kvserver"]))
    times = []
    for _ in range(options.rounds):
        begin = time.monotonic()
        process = processes.start([f"{BUILD}/kvserver", "-c", path], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        while not says_200(PORTS["kvserver"], "/healthz"):
            time.sleep(0.0005)
        times.append((time.monotonic() - begin) * 1e3)
        process.terminate()
        process.wait()
    return statistics.median(times)


def expiry_lateness(servers, options):
    result = run_expiry(PORTS["kvserver"], background=options.keys, rate=options.expiries,
                        seconds=max(1, int(options.seconds)))
    return result["p50_us"] / 1e3, result["p99_us"] / 1e3, result["p999_us"] / 1e3


def two_threads(servers, options):
    """Two threads against one, each with all cores but little load, so that there is room."""
    rates = []
    for threads in (1, 2):
        servers.start_kvserver(threads, "0,1")
        run_load("fill", PORTS["kvserver"], depth=64, keys=100000)
        rates.append(run_load("ws-get", PORTS["kvserver"], depth=64, connections=32, keys=100000,
                              seconds=options.seconds)["rate"])
        servers.stop("kvserver")
    return rates[1] / rates[0]


def start_hooks(servers, name="hooks", build=None):
    """A server with a hook that counts the changes, where clients can read the number."""
    script = servers.write("count.lua", "function on_set(key)\n"
                           "  if key ~= 'count' then kv.incr('count') end\nend\n")
    servers.start_kvserver(name=name, build=build, more=f"scripts: [{{file: '{script}'}}]\n")


def measure_ratios(servers, options):
    chosen = [one for one in ratios() if is_chosen(one.name, options)]
    servers.start_kvserver()
    start_hooks(servers)
    servers.start_peers()
    for name in ("kvserver", "hooks"):
        run_load("fill", PORTS[name], depth=64, keys=options.keys)
    redis_benchmark("set", 64, 2 * options.keys)(
        argparse.Namespace(seconds=1, keys=options.keys))
    for _ in range(options.rounds):
        for one in chosen:
            one.run_round(options)
    rows = [one.result() for one in chosen]
    for row in rows:
        show(row)
    return rows


def measure_figures(servers, options):
    figures = []
    p50, p99, p999 = expiry_lateness(servers, options)
    for name in list(servers.running):
        servers.stop(name)
    show_figure(figures, "expiry told late, p50 (10,000/s, 1 M others)", p50, "ms", None)
    show_figure(figures, "expiry told late, p99", p99, "ms", 5)
    show_figure(figures, "expiry told late, p99.9", p999, "ms", 20)
    show_figure(figures, "peak memory of a 256 MiB value, over its size",
                peak_memory_of_a_large_value(servers, options), "x", 2.5)
    show_figure(figures, "start until /healthz answers", start_up_ms(servers, options), "ms", 50)
    show_figure(figures, "two threads over one", two_threads(servers, options), "x", None)
    return figures


def measure_memory_store(servers, options, results):
    results["ratios"] += measure_ratios(servers, options)
    if options.only is None:
        results["figures"] += measure_figures(servers, options)
    for name in list(servers.running):
        servers.stop(name)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", nargs="+", metavar="PART",
                        help="only the comparisons whose name has one of these in it")
    parser.add_argument("--part", choices=["memory", "durable", "tls", "deflate", "backup", "console",
                                           "redis"],
                        help="only these stores, what TLS, compression or a backup costs, the console, or servers "
                             "that share a Redis")
    parser.add_argument("--against", metavar="BUILD",
                        help="instead: this build beside another one, which lies in that folder")
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--smoke", action="store_true",
                        help="everything once, with little load: whether it runs, not how fast")
    options = parser.parse_args()
    options.many_keys = 10000000
    options.expiring_keys = 500000
    options.expiries = 10000
    options.pace = 10000
    options.cluster_pace = 2000
    options.shared_keys = 100000
    options.shared_expiries = 5000
    options.many_expiries = 10000
    options.fault_s = 2
    options.log_bytes = 256 << 20
    options.large_value = (256 << 20) - 64
    if options.smoke:
        options.rounds, options.seconds = 1, 0.2
        options.keys = options.many_keys = options.expiring_keys = 5000
        options.expiries = options.pace = options.shared_expiries = options.cluster_pace = 1000
        options.many_expiries, options.fault_s = 1000, 0.3
        options.shared_keys = 5000
        options.log_bytes = 1 << 20
        options.large_value = 1 << 20
    return options


def main():
    options = parse_options()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = {"rounds": options.rounds, "seconds": options.seconds, "ratios": [], "figures": []}
    servers = Servers()
    try:
        if options.against is not None:
            against.measure(servers, options, results, start_hooks)
        if options.against is None and options.part in (None, "tls"):
            tls.measure(servers, options, results)
        if options.against is None and options.part in (None, "deflate"):
            deflate.measure(servers, options, results)
        if options.against is None and options.part in (None, "backup"):
            backup.measure(servers, options, results)
        if options.against is None and options.part in (None, "console"):
            console.measure(servers, options, results)
        if options.against is None and options.part in (None, "redis"):
            redis_store.measure(servers, options, results)
            redis_expiry.measure(servers, options, results)
        if options.against is None and options.part in (None, "memory"):
            measure_memory_store(servers, options, results)
        if options.against is None and options.part in (None, "durable"):
            durable.measure(servers, options, results)
            if options.only is None:
                change_log.measure(servers, options, results["figures"])
    finally:
        servers.stop_all()
    with open(RESULTS, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    print(f"written to {os.path.relpath(RESULTS, os.getcwd())}")


if __name__ == "__main__":
    main()
