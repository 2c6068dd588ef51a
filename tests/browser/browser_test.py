#!/usr/bin/env python3
"""Pages in Chromium: EventSource, WebSocket and fetch across origins, allowed and refused; compressed
messages; and following keys without a gap or a repetition across reloads and lost connections. Prints TAP.
"""
import functools
import http.client
import http.server
import json
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from cable import Cable  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for
from webdriver import Browser

ALLOWED, REFUSED = "allowed.example", "refused.example"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class Pages:
    """Serves this folder, as the origin of the page."""

    def __init__(self):
        handler = functools.partial(Quiet, directory=os.path.dirname(os.path.abspath(__file__)))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host, server):
        return f"http://{host}:{self.port}/page.html?server={server}"


DELETED = "deleted"  # whose revision HTTP does not say


class Writer:
    """Changes keys below a prefix until it is stopped, and records the revisions, or DELETED."""

    def __init__(self, server, prefix):
        self.revisions = []
        self.is_stopping = False
        self.thread = threading.Thread(target=self.run, args=(server, prefix), daemon=True)
        self.thread.start()

    def run(self, server, prefix):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        n = 0
        while not self.is_stopping:
            method = "DELETE" if n % 7 == 6 else "PUT"
            connection.request(method, f"/storage/{prefix}{(n - n // 7) % 5}", json.dumps({"value": n}))
            answer = connection.getresponse()
            answer.read()
            self.revisions.append(DELETED if method == "DELETE"
                                  else int(answer.getheader("etag").strip('"')))
            n += 1
            time.sleep(0.005)
        connection.close()

    def stop(self):
        self.is_stopping = True
        self.thread.join()
        return self.revisions

    def await_more(self, n=50):
        target = len(self.revisions) + n
        wait_for(lambda: len(self.revisions) >= target, "the writer does not get on")


def expect(got, expected):
    assert got == expected, f"expected {expected}, got {got}"


def test_origins(report, browser, pages, server):
    address = f"localhost:{server.port}"

    def reads(host, expected):
        browser.open(pages.url(host, address))
        expect(browser.run("return tryEvents()"), "synced" if expected else "error")
        expect(browser.run("return trySocket()"), "open kvserver.v1" if expected else "error")

    def writes(host, is_allowed):
        browser.open(pages.url(host, address))
        answer = browser.run("return tryFetch('PUT', '/storage/page', '{\"value\": 1}',"
                             " {'If-None-Match': '*', 'Content-Type': 'application/json'})")
        if not is_allowed:
            expect(answer, "error")
            expect(server.request("GET", "/storage/page")[0], 204)
            return
        expect(answer["status"], 202)
        assert answer["etag"], "the page does not see the ETag"
        expect(browser.run("return tryFetch('GET', '/storage/page')")["body"], '{"value":1}')
        patched = browser.run("return tryFetch('PATCH', '/storage/page', '{\"increment\": 2}')")
        expect(patched["body"], '{"value":3}')
        listed = browser.run("return tryFetch('GET', '/storage?prefix=page')")
        expect(listed["status"], 200)

    report.check("a page of another origin reads and subscribes to nothing",
                 lambda: reads(REFUSED, False))
    report.check("a page of another origin writes nothing", lambda: writes(REFUSED, False))
    report.check("a page whose origin is listed reads by EventSource and WebSocket",
                 lambda: reads(ALLOWED, True))
    report.check("a page whose origin is listed writes", lambda: writes(ALLOWED, True))


RECEIVED = 'kvserver_websocket_compression_bytes_total{direction="in"'


def test_compression(report, browser, pages, server):
    expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    def passes(length):
        browser.open(pages.url(ALLOWED, f"localhost:{server.port}"))
        expect(browser.run("return tryLongValue(arguments[0])", length), expected)
        metrics = server.request("GET", "/metrics")[2].decode().split("\n")
        deflated, plain = (float(line.split()[1]) for line in metrics if line.startswith(RECEIVED))
        assert 0 < deflated < plain, (deflated, plain)

    for length in (5000, 100000, 3000000):
        report.check(f"a value of {length} bytes passes compressed both ways",
                     lambda length=length: passes(length))


def test_following(report, browser, pages, server):
    cable = Cable(server.port)
    browser.open(pages.url(ALLOWED, f"localhost:{cable.port}"))
    writer = None

    def record(way):
        return browser.run("return seen[arguments[0]]", way)

    def is_synced():
        return all(record(way).get("mark") for way in ("socket", "events"))

    def follow():
        browser.run("followBySocket('p/'); followByEvents('p/')")

    def told(way):
        changes = record(way)["changes"]
        assert sorted(changes, key=lambda change: change["revision"]) == changes, "out of order"
        return [DELETED if change["reason"] == "delete" else change["revision"]
                for change in changes]

    def begin():
        nonlocal writer
        follow()
        wait_for(is_synced, "`synced` does not come")
        writer = Writer(server, "p/")

    def reload():
        for _ in range(5):
            writer.await_more()
            browser.reload()
            follow()

    def lose_connections():
        for _ in range(5):
            opened = [record(way)["opened"] for way in ("socket", "events")]
            writer.await_more()
            browser.set_offline(True)
            cable.pull()
            writer.await_more()
            cable.plug()
            browser.set_offline(False)
            wait_for(lambda: all(record(way)["opened"] > n for way, n in
                                 zip(("socket", "events"), opened)), "the page does not come back")

    def end():
        writer.await_more()
        revisions = writer.stop()
        for way in ("socket", "events"):
            wait_for(lambda way=way: len(told(way)) >= len(revisions),
                     f"{way}: the last changes do not arrive")
            expect(record(way)["resets"], 0)
            assert told(way) == revisions, f"{way}: not what was written"

    report.check("a page follows a prefix", begin)
    if writer is not None:
        report.check("it goes on after reloads", reload)
        report.check("it goes on after its connections were lost", lose_connections)
        report.check("each change has come once, in order, both ways", end)
    cable.close()


def main():
    if shutil.which("chromedriver") is None:
        print("1..0 # SKIP there is no chromedriver (Debian: chromium-driver)")
        return 77
    pages = Pages()
    server = Server(f"origins: ['http://{ALLOWED}:{pages.port}']\nwebsocket: {{deflate: true}}\n")
    report = Report()
    try:
        browser = Browser()
        try:
            test_origins(report, browser, pages, server)
            test_compression(report, browser, pages, server)
            test_following(report, browser, pages, server)
        finally:
            browser.close()
    finally:
        server.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
