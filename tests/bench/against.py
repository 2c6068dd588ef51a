"""Two builds side by side: the measures of run.py and durable.py with another build of KvServer as the
peer, in alternating order. Both are loaded by this build's load generator.

Beside the rate stands the rate by the server's time on the processors (all its threads), which depends
less on what else the machine has to do."""

from durable import start_store
from harness import PORTS, Ratio, is_chosen, processor_seconds, run_load, show

MARK = 0.95
BEFORE = "-before"

MEASURES = [
    ("http-get", "http-get", {}),
    ("http-get x16", "http-get", {"depth": 16}),
    ("http-post", "http-post", {}),
    ("http-post x16", "http-post", {"depth": 16}),
    ("ws-get x1", "ws-get", {}),
    ("ws-get x16", "ws-get", {"depth": 16}),
    ("ws-set x16", "ws-set", {"depth": 16}),
    ("fan-out 500", "fan-out", {"connections": 500, "depth": 16}),
]
OF_DURABLE_STORES = ("http-get", "http-post", "ws-get x16", "ws-set x16")


class Comparison:
    """One measure of both builds: the ratio of the rates, and of the rates by processor time."""

    def __init__(self, servers, server, name, kind, settings):
        self.servers, self.server, self.kind, self.settings = servers, server, kind, settings
        self.name = f"{server} {name}"
        self.by_time = Ratio(self.name, None, "the other build", None, MARK)
        self.by_processor = Ratio("  by processor time", None, "the other build", None, MARK)

    def load(self, server, options):
        process = self.servers.running[server]
        begin = processor_seconds(process)
        rate = run_load(self.kind, PORTS[server], seconds=options.seconds, keys=options.keys,
                        **self.settings)["rate"]
        return rate, rate * options.seconds / (processor_seconds(process) - begin)

    def run_round(self, options, is_odd):
        order = [self.server, self.server + BEFORE]
        found = {server: self.load(server, options)
                 for server in (reversed(order) if is_odd else order)}
        mine, other = (found[server] for server in order)
        self.by_time.rounds.append((mine[0], other[0]))
        self.by_processor.rounds.append((mine[1], other[1]))


def comparisons(servers, options):
    chosen = [Comparison(servers, "memory", *measure) for measure in MEASURES]
    chosen.append(Comparison(servers, "hooks", "http-post", "http-post", {}))
    chosen += [Comparison(servers, "rocksdb", *measure) for measure in MEASURES
               if measure[0] in OF_DURABLE_STORES]
    return [one for one in chosen if is_chosen(one.name, options)]


def start_servers(servers, names, options, start_hooks):
    starts = {
        "memory": lambda name, build: servers.start_kvserver(name=name, build=build),
        "hooks": lambda name, build: start_hooks(servers, name, build),
        "rocksdb": lambda name, build: start_store(servers, name, module="rocksdb", build=build),
    }
    for suffix, build in (("", None), (BEFORE, options.against)):
        for name in names:
            starts[name](name + suffix, build)
            run_load("fill", PORTS[name + suffix], depth=64, keys=options.keys)


def measure(servers, options, results, start_hooks):
    chosen = comparisons(servers, options)
    start_servers(servers, sorted({one.server for one in chosen}), options, start_hooks)
    for number in range(options.rounds):
        for one in chosen:
            one.run_round(options, number % 2 == 1)
    for one in chosen:
        for row in (one.by_time.result(), one.by_processor.result()):
            results["ratios"].append(row)
            show(row)
