#!/usr/bin/env python3
"""The client in Chromium: the pages of the READMEs, and mirrors that last through a cable that is pulled,
a server that is killed, and a page that is frozen. Prints TAP.
"""
import json
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from cable import Cable  # pylint: disable=wrong-import-position
from kvserver import Report, Server, wait_for
from webdriver import Browser

MIRRORS = 20
PAGE = """<!doctype html><title>mirrors</title><script type="module">
import { connect } from "/client.js";
const timing = { connect: 5000, quiet: 500, patience: 3000, retry: [50, 500] };
globalThis.clients = Array.from({ length: %d }, () => connect(undefined, { timing }));
globalThis.maps = clients.map(kv => kv.map({ prefix: "m/" }));
globalThis.look = () => maps.map(map => map.synced ? Object.fromEntries(map) : null);
</script>""" % MIRRORS


def page_of(readme):
    """Returns: the page that it shows first."""
    with open(os.path.join(HERE, "../..", readme), encoding="utf-8") as file:
        return re.search(r"```html\n(.*?)```", file.read(), re.S).group(1)


class Site:
    """A durable server that gives out pages, behind a cable."""

    def __init__(self):
        self.server = Server("pages: {folder: public}\n", store="rocksdb", options="path: %folder/data",
                             files={"public/todo.html": page_of("README.md"),
                                    "public/room.html": page_of("core/web/client/README.md"),
                                    "public/mirrors.html": PAGE})
        self.cable = Cable(self.server.port)

    def url(self, path):
        return f"http://localhost:{self.cable.port}{path}"

    def put(self, key, value):
        status = self.server.request("PUT", f"/storage/{key}", json.dumps({"value": value}))[0]
        assert status == 202, status

    def state(self, prefix):
        body = self.server.request("GET", f"/storage?prefix={prefix}&values=true&limit=1000")[2]
        return {entry["key"]: entry["value"] for entry in json.loads(body)["keys"]}

    def kill_and_restart(self):
        self.server.process.kill()
        self.server.process.wait()
        self.server.log.close()
        self.server.start()
        self.cable.to_port = self.server.port

    def end(self):
        self.cable.close()
        self.server.end()


def test_readmes(report, browser, site):
    def texts():
        return browser.run("return [...document.querySelectorAll('li')].map(item => item.textContent)")

    def todo_is_live():
        site.put("todo/1", "Try it")
        browser.open(site.url("/todo.html"))
        wait_for(lambda: texts() == ["Try it"], "the value does not appear")
        browser.run("document.querySelector('input').value = 'More';"
                    "document.querySelector('form').requestSubmit()")
        wait_for(lambda: "More" in texts() and "More" in site.state("todo/").values(), "nothing is added")
        browser.run("document.querySelector('li').click()")
        wait_for(lambda: texts() == ["More"], "nothing is deleted")

    def room_is_live():
        site.put("room/42/hello", "world")
        browser.open(site.url("/room.html"))
        wait_for(lambda: "room/42/hello: world" in texts(), "the value does not appear")
        site.put("room/42/hello", "again")
        wait_for(lambda: "room/42/hello: again" in texts(), "the change does not appear")
        browser.run("document.querySelector('button').click()")
        wait_for(lambda: len(texts()) == 2 and len(site.state("room/42/")) == 2, "nothing is added")

    report.check("the page of the project's README is live", todo_is_live)
    report.check("the page of the client's README is live", room_is_live)


def test_mirrors(report, browser, site):
    n = 0

    def are_all_right():
        expected = site.state("m/")
        return all(mirror == expected for mirror in browser.run("return look()"))

    def write():
        nonlocal n
        for _ in range(20):
            n += 1
            site.put(f"m/{n % 30}", n)
        site.server.request("DELETE", f"/storage/m/{(n + 7) % 30}")

    def check(name, upset, mend):
        def run():
            write()
            upset()
            write()
            mend()
            write()
            wait_for(are_all_right, "the mirrors are not as the store")

        report.check(name, run)

    def pull():
        browser.set_offline(True)
        site.cable.pull()

    def plug():
        site.cable.plug()
        browser.set_offline(False)

    def nothing():
        pass

    browser.open(site.url("/mirrors.html"))
    wait_for(lambda: browser.run("return !!globalThis.look"), "the page does not load")
    check(f"{MIRRORS} mirrors follow", nothing, nothing)
    check("they last through a cable that is pulled", pull, plug)
    check("they last through a kill of the server", site.kill_and_restart, nothing)
    check("they last while the page is frozen",
          lambda: browser.command("Page.setWebLifecycleState", state="frozen"),
          lambda: browser.command("Page.setWebLifecycleState", state="active"))


def main():
    if shutil.which("chromedriver") is None:
        print("1..0 # SKIP there is no chromedriver (Debian: chromium-driver)")
        return 77
    site = Site()
    report = Report()
    try:
        browser = Browser()
        try:
            test_readmes(report, browser, site)
            test_mirrors(report, browser, site)
        finally:
            browser.close()
    finally:
        site.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
