#!/usr/bin/env python3
"""The metrics of a running server: both formats are well formed, the figures follow what clients
do, no key is in them, and the alerts and the dashboard name only existing metrics. Prints TAP.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import Report, Server, wait_for  # pylint: disable=wrong-import-position

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


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def named_in(text):
    return set(re.findall(r"\b(?:kvserver|process)_[a-z_]+", text))


def test_monitoring(report, server, durable, shared):
    def alerts():
        promtool("check", "rules", os.path.join(MONITORING, "alerts.yml"))
        promtool("test", "rules", os.path.join(HERE, "alerts_test.yml"))

    def names():
        assert read(shared)[0].value("kvserver_store_clock_difference_seconds") == 1.5  # a module's is in nanoseconds
        there = read(server)[0].names() | read(durable)[0].names() | read(shared)[0].names()
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
        test_monitoring(report, server, durable, shared)
    finally:
        shared.end()
        server.end()
        durable.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
