#!/usr/bin/env python3
"""The metrics of a running server: both formats are well formed, the figures follow what clients
do, no key is in them, and the alerts and the dashboard name only existing metrics. Prints TAP.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Redis  # pylint: disable=wrong-import-position

MONITORING = os.path.join(HERE, "../../conf/monitoring")
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"}
SAMPLE = re.compile(r'([a-z_:]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
SUFFIXES = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_sum", "_count"}}

HOOK = '''
function before_set(key)
  if key == "refused" then kv.refuse("no") end
  if key == "faulty" then error("a fault") end
end
'''


class Metrics:
    """A parsed text of metrics; malformed lines fail the test."""

    def __init__(self, text, is_openmetrics):
        self.types, self.samples = {}, {}
        family = None
        lines = text.split("\n")
        assert lines.pop() == "", "the last line has no end"
        if is_openmetrics:
            assert lines.pop() == "# EOF"
        for line in lines:
            if line.startswith("# "):
                _, keyword, name, value = line.split(" ", 3)
                assert keyword in ("HELP", "TYPE", "UNIT"), line
                if keyword == "HELP":
                    assert name not in self.types, f"{name} is there twice"
                if keyword == "UNIT":
                    assert name.endswith("_" + value), line
                if keyword == "TYPE":
                    family = name[:-6] if name.endswith("_total") else name
                    self.types[name] = value
                    self.suffixes = SUFFIXES[value]
            else:
                self.take(line, family)

    def take(self, line, family):
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line}"
        name, labels, value = match.groups()
        assert name.startswith(family) and name[len(family):] in self.suffixes, line
        key = (name, tuple(sorted(LABEL.findall(labels or ""))))
        assert key not in self.samples, f"twice: {line}"
        self.samples[key] = float(value)

    def names(self):
        return {name for name, _ in self.samples}

    def value(self, name, **labels):
        return sum(value for (one, has), value in self.samples.items()
                   if one == name and set(labels.items()) <= set(has))

    def check_histograms(self):
        for (name, labels), value in self.samples.items():
            if not name.endswith("_count"):
                continue
            buckets = [(float("inf") if dict(has)["le"] == "+Inf" else float(dict(has)["le"]), n)
                       for (one, has), n in self.samples.items()
                       if one == name[:-6] + "_bucket" and set(labels) <= set(has)]
            counts = [n for _, n in sorted(buckets)]
            assert counts == sorted(counts) and counts[-1] == value, f"{name} {labels}"


def read(server, headers=None):
    status, answered, body = server.request("GET", "/metrics", headers=headers)
    assert status == 200, status
    is_openmetrics = answered["content-type"].startswith("application/openmetrics-text")
    return Metrics(body.decode(), is_openmetrics), answered, body.decode()


def expect(got, expected):
    assert got == expected, f"expected {expected}, got {got}"


def test_formats(report, server):
    def prometheus():
        metrics, headers, _ = read(server)
        expect(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        metrics.check_histograms()

    def openmetrics():
        metrics, headers, _ = read(server, OPENMETRICS)
        expect(headers["content-type"],
               "application/openmetrics-text; version=1.0.0; charset=utf-8")
        metrics.check_histograms()

    def methods():
        expect(server.request("POST", "/metrics", "{}")[0], 405)
        status, headers, body = server.request("HEAD", "/metrics")
        expect((status, body), (200, b""))
        assert int(headers["content-length"]) > 1000

    report.check("the text is that of Prometheus", prometheus)
    report.check("the text is that of OpenMetrics, where asked for", openmetrics)
    report.check("it is read, not written", methods)


def test_figures(report, server):
    def difference(act, name, **labels):
        before = read(server)[0].value(name, **labels)
        act()
        return read(server)[0].value(name, **labels) - before

    def commands():
        def act():
            server.request("PUT", "/storage/a", '{"value":1}')
            server.request("GET", "/storage/a")
            server.request("GET", "/storage/a")
            server.request("GET", "/storage/missing")
        expect(difference(act, "kvserver_commands_total", operation="get", outcome="ok"), 2)
        expect(difference(act, "kvserver_commands_total", operation="get", outcome="missing"), 1)
        expect(difference(act, "kvserver_command_duration_seconds_count", operation="get"), 3)
        expect(difference(act, "kvserver_http_responses_total", code="204"), 1)

    def traffic():
        def act():
            server.request("PUT", "/storage/traffic", json.dumps({"value": "x" * 50000}))
            server.request("GET", "/storage/traffic")
        received = difference(act, "kvserver_received_bytes_total", transport="http")
        sent = difference(act, "kvserver_sent_bytes_total", transport="http")
        assert 50000 < received < 60000, received
        assert 50000 < sent < 250000, sent  # and the metrics themselves

    def conditions():
        expect(difference(lambda: server.request("PUT", "/storage/a", '{"value":1}',
                                                 {"If-Match": '"7"'}),
                          "kvserver_commands_total", outcome="condition_failed"), 1)

    def expiry():
        before = read(server)[0].value("kvserver_expiry_lateness_seconds_count")
        for i in range(10):
            server.request("PUT", f"/storage/ttl{i}", '{"value":1,"ttl":"50ms"}')
        wait_for(lambda: read(server)[0].value("kvserver_expiry_lateness_seconds_count")
                 == before + 10, "ten keys do not expire")

    def hooks():
        refused = difference(lambda: server.request("PUT", "/storage/refused", '{"value":1}'),
                             "kvserver_hook_refusals_total", hook="before_set")
        failed = difference(lambda: server.request("PUT", "/storage/faulty", '{"value":1}'),
                            "kvserver_hook_faults_total", hook="before_set")
        expect((refused, failed), (1, 1))

    def sinks():
        server.request("PUT", "/storage/for-the-sink", '{"value":1}')
        wait_for(lambda: read(server)[0].value("kvserver_sink_queue_events") == 0
                 and read(server)[0].value("kvserver_sink_delivered_events_total") > 0,
                 "the sink does not deliver")

    def connections():
        # The server may notice the end of an earlier request's connection later.
        wait_for(lambda: read(server)[0].value("kvserver_connections") == 1,
                 "connections that ended still count")
        metrics = read(server)[0]
        assert metrics.value("kvserver_connections_accepted_total") > 10
        assert metrics.value("kvserver_connection_memory_limit_bytes") > 0

    def certificates():
        days = (read(server)[0].value("kvserver_certificate_expiry_time_seconds", address="listen[1]") - time.time()) / 86400
        assert 29 < days <= 30, days

    def keys_are_secret():
        server.request("PUT", "/storage/a-secret-key", '{"value":"a-secret-value"}')
        server.request("GET", "/storage?prefix=a-secret")
        for headers in (None, OPENMETRICS):
            assert "secret" not in read(server, headers)[2]

    for name, test in (("commands count by operation and outcome", commands),
                       ("conditions that fail count", conditions),
                       ("keys that expire count", expiry),
                       ("hooks count", hooks), ("sinks count", sinks),
                       ("connections count", connections),
                       ("bytes count by transport", traffic),
                       ("the expiry of certificates is told", certificates),
                       ("no key and no value is revealed", keys_are_secret)):
        report.check(name, test)


def figure(server, name, **labels):
    return read(server)[0].value(name, **labels)


class Subscriber:
    """An event stream. One that is narrow reads only when asked to, and the kernel keeps little for it."""

    def __init__(self, server, query, since=None, is_narrow=False):
        self.socket = socket.socket()
        if is_narrow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", server.port))
        last = "" if since is None else f"Last-Event-ID: {since}\r\n"
        self.socket.sendall(f"GET /events?{query} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n".encode())
        self.text = b""

    def read_until(self, mark):
        while mark not in self.text:
            came = self.socket.recv(65536)
            assert came, f"the stream has ended without {mark}"
            self.text += came

    def last_id(self):
        return re.findall(rb"\nid: (\S+)\n", self.text)[-1].decode()

    def close(self):
        self.socket.close()


def put(server, key, value):
    status = server.request("PUT", f"/storage/{key}", json.dumps({"value": value}))[0]
    expect(status, 202)


def test_subscriptions(report, server):
    def there_are():
        def counts():
            metrics = read(server)[0]
            return [metrics.value("kvserver_subscriptions", to="key"),
                    metrics.value("kvserver_subscriptions", to="prefix"),
                    metrics.value("kvserver_event_streams")]
        wait_for(lambda: counts() == [0, 0, 0], "there are subscriptions before the test")
        some = [Subscriber(server, "key=s/1&key=s/2"), Subscriber(server, "prefix=s/"),
                Subscriber(server, "key=s/3&prefix=t/")]
        wait_for(lambda: counts() == [3, 2, 3], "three keys and two prefixes do not count")
        some.pop().close()
        wait_for(lambda: counts() == [2, 1, 2], "the end of a stream does not count")
        for one in some:
            one.close()
        wait_for(lambda: counts() == [0, 0, 0], "subscriptions of ended streams still count")

    def states():
        put(server, "u/1", 0)
        put(server, "u/2", 0)
        before = figure(server, "kvserver_states_sent_total")
        some = [Subscriber(server, "prefix=u/&initial=true") for _ in range(3)]
        for one in some:
            one.read_until(b"event: synced")
        expect(figure(server, "kvserver_states_sent_total") - before, 3 * 2)
        for i in range(1, 11):
            put(server, "u/1", i)
        for one in some:
            one.read_until(b'"value":10}')
            one.close()
        expect(figure(server, "kvserver_states_sent_total") - before, 3 * (2 + 10))
        expect(figure(server, "kvserver_states_collapsed_total"), 0)

    def resumes():
        def counts():
            metrics = read(server)[0]
            return [metrics.value("kvserver_subscription_syncs_total", reason=reason)
                    for reason in ("initial", "since", "reset")]
        put(server, "v/1", 0)
        before = counts()
        first = Subscriber(server, "prefix=v/&initial=true")
        first.read_until(b"event: synced")
        put(server, "v/1", 1)
        first.read_until(b'"value":1}')
        first.close()
        second = Subscriber(server, "prefix=v/&initial=true", since=first.last_id())
        second.read_until(b"event: synced")
        assert b"event: reset" not in second.text
        third = Subscriber(server, "prefix=v/&initial=true", since=f"{'0' * 32}-1")
        third.read_until(b"event: synced")
        assert b"event: reset" in third.text
        second.close()
        third.close()
        expect([now - then for now, then in zip(counts(), before)], [1, 1, 1])

    report.check("subscriptions and event streams count while they are there", there_are)
    report.check("states that are sent to subscribers count", states)
    report.check("subscriptions count by how they began", resumes)


def test_memory(report):
    limit = 16 << 20
    server = Server(more="threads: 1\nlimits: {memory: 16MiB, unsent_per_connection: 256KiB, value: 1MiB, "
                    "message: 2MiB}\ntimeouts: {stalled_reader: 10m}\n")

    def held():
        value = figure(server, "kvserver_connection_memory_bytes")
        assert value <= 1.25 * limit, value
        return value

    def collapse():
        slow = Subscriber(server, "prefix=w/", is_narrow=True)
        wait_for(lambda: figure(server, "kvserver_subscriptions", to="prefix") == 1, "there is no subscription")
        before = figure(server, "kvserver_states_sent_total")
        changes = 150  # more than the buffers of the kernel and the limit of the connection hold
        for i in range(changes):
            put(server, f"w/{i % 4}", f"{i}-" + "x" * 100000)
        held()
        put(server, "w/last", "last")
        slow.read_until(b'"last"}')
        collapsed = figure(server, "kvserver_states_collapsed_total")
        sent = figure(server, "kvserver_states_sent_total") - before
        told = slow.text.count(b"\ndata: ")
        expect(sent, told)
        assert 1 <= collapsed <= 5 and sent < changes + 1, (collapsed, sent)
        slow.close()

    def memory():
        expect(figure(server, "kvserver_connection_memory_limit_bytes"), limit)
        put(server, "long", "x" * 1000000)
        wait_for(lambda: held() < 100000, "memory of ended connections still counts")
        some = [Subscriber.__new__(Subscriber) for _ in range(8)]
        for one in some:
            one.socket = socket.socket()
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.socket.connect(("127.0.0.1", server.port))
            one.socket.sendall(b"PUT /storage/part HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
                               + b" " * 500000)
        wait_for(lambda: held() > 8 * 400000, "unfinished requests do not count")
        assert held() < 8 * 1100000
        for one in some:
            one.close()
        wait_for(lambda: held() < 100000, "memory of closed connections still counts")

    report.check("states that collapse for slow subscribers count", collapse)
    report.check("memory of connections counts, against limits.memory", memory)
    server.end()


LONG_HOOK = '''
function before_set(key)
  if key == "slow" then for i = 1, 20000000 do end end
end
'''


def test_loops(report):
    server = Server(files={"hook.lua": LONG_HOOK},
                    more="threads: 1\nscripts: [{file: hook.lua, limits: {instructions: 1000000000, time: 1m}}]\n")

    def lag():
        def longer_than(seconds):
            metrics = read(server)[0]
            below = max((dict(labels)["le"] for name, labels in metrics.samples
                         if name == "kvserver_loop_turn_duration_seconds_bucket"
                         and float(dict(labels)["le"]) <= seconds), key=float)
            return (metrics.value("kvserver_loop_turn_duration_seconds_count")
                    - metrics.value("kvserver_loop_turn_duration_seconds_bucket", le=below))
        began = time.monotonic()  # the turn that answers with the first figure counts in the second one
        busy = figure(server, "kvserver_loop_busy_seconds_total", loop="0")
        put(server, "slow", 1)
        took = time.monotonic() - began
        spent = figure(server, "kvserver_loop_busy_seconds_total", loop="0") - busy
        assert 0 < spent <= time.monotonic() - began, (spent, took)
        assert spent > 0.01, spent
        assert longer_than(spent / 4) >= 1, "the long turn is not in the histogram"

    report.check("turns of a loop count with their durations", lag)
    server.end()


def test_store(report, durable):
    def commits():
        names = ("kvserver_store_commits_total", "kvserver_store_journal_written_bytes_total",
                 "kvserver_store_sync_duration_seconds_count", "kvserver_store_sync_duration_seconds_sum")
        before = [figure(durable, name) for name in names]
        keys = figure(durable, "kvserver_store_keys")
        for i in range(10):
            put(durable, f"store/{i}", "x" * 1000)
        records, written, syncs, seconds = (figure(durable, name) - then for name, then in zip(names, before))
        assert 10 <= records <= 20, records  # one client that waits: each write has a record of its own
        assert 10 * 1000 <= written <= 20 * 1500, written
        assert 10 <= syncs <= 20 and seconds > 0, (syncs, seconds)
        wait_for(lambda: figure(durable, "kvserver_store_keys") == keys + 10, "the keys do not count")

    report.check("commits, syncs and the journal of a durable store count", commits)


def test_key_sets(report):
    good = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1",
                                 "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})
    server = Server(files={"keys.json": good},
                    more="access: {jwt: [{issuer: a, keys: keys.json, grants: {read: [a/]}}, "
                    "{issuer: b, keys: 'https://127.0.0.1:1/keys', grants: {read: [a/]}}], "
                    "anonymous: {read: [a/]}, tokens: [{name: monitor, admin: [metrics], sha256: "
                    "105b1190953880ed6984b47621dbbd65799e2c07646d4e4327dd7bf205b414c4}]}\n")
    headers = {"Authorization": "Bearer every-token-1234567890"}

    def value(name, **labels):
        return read(server, headers)[0].value(name, **labels)

    def loads():
        wait_for(lambda: value("kvserver_key_set_loads_total", outcome="failed") >= 1,
                 "a fetch that fails does not count")
        loaded = value("kvserver_key_set_loads_total", outcome="ok")
        assert loaded >= 1
        expect(value("kvserver_key_sets_failing"), 1)
        expect(value("kvserver_key_sets_missing"), 1)
        server.write("keys.json", "{")
        wait_for(lambda: value("kvserver_key_sets_failing") == 2, "a broken file does not count")
        expect(value("kvserver_key_sets_missing"), 1)
        server.write("keys.json", good + "\n")
        wait_for(lambda: value("kvserver_key_sets_failing") == 1, "the mended file still counts")
        assert value("kvserver_key_set_loads_total", outcome="ok") > loaded

    report.check("key sets count, and those that cannot be loaded", loads)
    server.end()


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def named_in(text):
    return set(re.findall(r"\b(?:kvserver|process)_[a-z_]+", text))


def names_of_redis():
    """Those of the store redis; without a Redis, those that the alerts name."""
    if shutil.which("redis-server") is None or not os.path.exists(
            os.path.join(os.environ["KV_TEST_MODULES"], "store/redis.so")):
        return {"kvserver_store_gaps_total"}
    redis = Redis()
    server = Server(store="redis", options=f"port: {redis.port}")
    try:
        return read(server)[0].names()
    finally:
        server.end()
        redis.end()


def test_monitoring(report, server, durable, shared):
    def alerts():
        promtool("check", "rules", os.path.join(MONITORING, "alerts.yml"))
        promtool("test", "rules", os.path.join(HERE, "alerts_test.yml"))

    def names():
        assert read(shared)[0].value("kvserver_store_clock_difference_seconds") == 1.5  # a module's is in nanoseconds
        there = read(server)[0].names() | read(durable)[0].names() | read(shared)[0].names() | names_of_redis()
        with open(os.path.join(MONITORING, "alerts.yml"), encoding="utf-8") as file:
            named = named_in(file.read())
        with open(os.path.join(MONITORING, "grafana.json"), encoding="utf-8") as file:
            named |= named_in(json.dumps(json.load(file)["panels"]))
        assert named <= there, f"there is no {', '.join(sorted(named - there))}"

    if shutil.which("promtool") is None:
        report.skip("promtool takes text and alerts", "there is no promtool (Debian: prometheus)")
    else:
        report.check("promtool takes the text",
                     lambda: promtool("check", "metrics", text=read(server)[2]))
        report.check("promtool takes the alerts, and they fire as they should", alerts)
    report.check("alerts and dashboard name metrics that there are", names)


def make_certificate(server):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.pem"],
                   cwd=server.folder.name, check=True, capture_output=True)


def main():
    files = {"hook.lua": HOOK}
    server = Server(files=files, more="threads: 2\nscripts: [{file: hook.lua}]\n"
                    "sinks: [{module: file, options: {path: events}}]\n", before=make_certificate,
                    also=", {host: 127.0.0.1, port: 0, tls: {cert: server.pem, key: server.key}}")
    durable = Server(store="lmdb", options="path: store, map_size: 64MiB")
    shared = Server(store="remote", modules=os.path.join(os.path.dirname(os.environ["KV_SERVER_PROGRAM"]), "modules-test"))
    report = Report()
    try:
        test_formats(report, server)
        test_figures(report, server)
        test_subscriptions(report, server)
        test_memory(report)
        test_loops(report)
        test_store(report, durable)
        test_key_sets(report)
        test_monitoring(report, server, durable, shared)
    finally:
        shared.end()
        server.end()
        durable.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
