#!/usr/bin/env python3
"""The client in Chromium: the pages of the READMEs, a worker, React, a page that is back, and as many mirrors as
200 tabs have, which last through a cable that is pulled, a server that is killed, and a page that is frozen.
Prints TAP.
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

REACT = "/usr/share/nodejs"  # Debian's node-react and node-react-dom
MIRRORS = 200
PAGE = """<!doctype html><title>mirrors</title><script type="module">
import { connect } from "/client.js";
const timing = { connect: 5000, quiet: 500, patience: 3000, retry: [50, 500] };
globalThis.clients = Array.from({ length: %d }, () => connect(undefined, { timing }));
globalThis.maps = clients.map(kv => kv.map({ prefix: "m/" }));
globalThis.look = () => maps.map(map => map.synced ? Object.fromEntries(map) : null);
</script>""" % MIRRORS

# These clients do not reconnect by themselves, so whatever happens was caused by the event under test.
BACK = """<!doctype html><title>back</title><script type="module">
import { connect } from "/client.js";
const kv = connect(undefined, { timing: { retry: [3600000, 3600000] } });
globalThis.map = kv.map({ prefix: "m/" });
globalThis.state = () => kv.state;
</script>"""

WORKER_PAGE = """<!doctype html><title>worker</title><script>
const worker = new Worker("/worker.js", { type: "module" });
worker.onmessage = ({ data }) => { globalThis.seen = data; };
</script>"""
WORKER = """import { connect } from "/client.js";
const kv = connect();
const map = kv.map({ prefix: "w/" });
map.subscribe(() => postMessage(Object.fromEntries(map)));
await kv.set("w/worker", 1);
"""

REACT_PAGE = """<!doctype html><title>React</title>
<script type="importmap">{"imports": {"react": "/react-module.js"}}</script>
<script src="/react.js"></script><script src="/react-dom.js"></script><main></main>
<script type="module">
import { connect } from "/client.js";
import { useKey, usePrefix } from "/hooks.js";
const { createElement, StrictMode, useState } = React;
const kv = connect();
globalThis.renders = 0;
function Room({ id }) {
  const topic = useKey(kv, `room/${id}/topic`);
  const users = usePrefix(kv, `room/${id}/users/`);
  globalThis.renders++;
  return createElement("p", null, `${topic} (${[...users.values()].join()})`);
}
function App() {
  const [id, setId] = useState("42");
  globalThis.choose = setId;
  return id && createElement(Room, { id });
}
ReactDOM.createRoot(document.querySelector("main")).render(createElement(StrictMode, null, createElement(App)));
</script>"""
REACT_MODULE = "export const { useMemo, useSyncExternalStore } = React;"


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def react_files():
    """Returns: the files of the page with React; none if React is not installed."""
    try:
        return {"public/react.js": text_of(f"{REACT}/react/umd/react.development.js"),
                "public/react-dom.js": text_of(f"{REACT}/react-dom/umd/react-dom.development.js"),
                "public/hooks.js": text_of(os.path.join(HERE, "../../core/web/client/react.js")),
                "public/react-module.js": REACT_MODULE, "public/react.html": REACT_PAGE}
    except FileNotFoundError:
        return {}


def page_of(readme):
    """Returns: the first page shown."""
    return re.search(r"```html\n(.*?)```", text_of(os.path.join(HERE, "../..", readme)), re.S).group(1)


class Site:
    """A durable server that serves pages, behind a cable."""

    def __init__(self):
        self.server = Server("pages: {folder: public}\n", store="rocksdb", options="path: %folder/data",
                             files={"public/todo.html": page_of("README.md"),
                                    "public/room.html": page_of("core/web/client/README.md"),
                                    "public/mirrors.html": PAGE, "public/back.html": BACK,
                                    "public/worker.html": WORKER_PAGE, "public/worker.js": WORKER, **react_files()})
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


def test_worker(report, browser, site):
    def is_live():
        browser.open(site.url("/worker.html"))
        wait_for(lambda: browser.run("return globalThis.seen") == {"w/worker": 1}, "the worker sets nothing")
        site.put("w/page", 2)
        wait_for(lambda: browser.run("return globalThis.seen") == {"w/worker": 1, "w/page": 2}, "it does not follow")

    report.check("a worker writes and follows", is_live)


def test_react(report, browser, site):
    def shows(text):
        wait_for(lambda: browser.run("return document.querySelector('main').textContent") == text, f"it does not show {text}")

    def follows():
        browser.open(site.url("/react.html"))
        shows("undefined ()")
        site.put("room/42/topic", "lunch")
        site.put("room/42/users/ann", "Ann")
        shows("lunch (Ann)")
        site.put("room/42/users/bob", "Bob")
        site.server.request("DELETE", "/storage/room/42/users/ann")
        shows("lunch (Bob)")

    def follows_another():
        site.put("room/7/topic", "notes")
        browser.run("choose('7')")
        shows("notes ()")
        browser.run("choose('')")
        shows("")
        renders = browser.run("return renders")
        site.put("room/7/topic", "unseen")
        browser.run("choose('42')")
        shows("lunch (Bob)")
        assert browser.run("return renders") < renders + 20, "it renders again and again"
        expect_silence(browser)

    why_not = "" if react_files() else "there is no React (Debian: node-react-dom)"
    for name, test in (("components follow a key and a prefix", follows),
                       ("components follow what they are told to, and no longer when they are gone", follows_another)):
        report.skip(name, why_not) if why_not else report.check(name, test)


def expect_silence(browser):
    complaints = [text for text in browser.read_log() if "favicon" not in text]
    assert not complaints, complaints


def test_return(report, browser, site):
    """A page that learns that it may succeed reconnects at once, before its next attempt is due."""
    def returns(learn):
        browser.open(site.url("/back.html"))
        wait_for(lambda: browser.run("return state?.()") == "open", "it does not connect")
        site.cable.pull()
        wait_for(lambda: browser.run("return state()") == "offline", "it does not learn that the connection is lost")
        site.put("m/while-away", 1)
        site.cable.plug()
        learn()
        wait_for(lambda: browser.run("return state()") == "open" and browser.run("return map.get('m/while-away')") == 1,
                 "it does not come back")
        site.server.request("DELETE", "/storage/m/while-away")

    def is_online():
        browser.set_offline(True)
        browser.set_offline(False)

    def is_visible():
        page = browser.call("GET", "/window")
        other = browser.call("POST", "/window/new", {"type": "tab"})["handle"]
        browser.call("POST", "/window", {"handle": other})
        browser.call("DELETE", "/window")
        browser.call("POST", "/window", {"handle": page})
        browser.command("Page.bringToFront")

    report.check("it connects at once when the machine is online again", lambda: returns(is_online))
    report.check("it connects at once when the page is seen again", lambda: returns(is_visible))


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
            test_worker(report, browser, site)
            test_react(report, browser, site)
            test_return(report, browser, site)
            test_mirrors(report, browser, site)
        finally:
            browser.close()
    finally:
        site.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
