"""The console in Chromium: how soon it is painted, and what its frames take while a prefix with many keys is listed,
scrolled through, and changed."""

import http.client
import json
import os
import shutil
import statistics
import sys
import threading

from harness import PORTS, ROOT, is_chosen, show_figure

sys.path.insert(0, os.path.join(ROOT, "tests/browser"))
from webdriver import Browser  # pylint: disable=wrong-import-position

FRAME_MS = 1000 / 60
BATCH = 10000

# Times frames until a condition holds that is looked at in each, after `act`.
FRAMES = """
window.frames_of = (act, isOver) => new Promise(resolve => {
  const frames = [], began = performance.now();
  let last;
  const step = now => {
    if (last !== undefined) frames.push(now - last);
    last = now;
    if (isOver(frames.length, performance.now() - began)) return resolve(frames);
    act(frames.length);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
});
window.tree = document.getElementById("tree");
window.row = name => [...tree.querySelectorAll(".row:not([hidden])")].find(row => row.querySelector(".name").textContent === name);
"""
LIST = """const last = arguments[0];
let idle = 0;
return frames_of(() => { tree.scrollTop = tree.scrollHeight; },
  () => (idle = tree.querySelector(".row.end:not([hidden])") ? 0 : idle + 1) > 5 && row(last))"""
SCROLL = """const n = arguments[0];
return frames_of(i => { tree.scrollTop = tree.scrollHeight * (Math.sin(i / 7) / 2 + 0.5); }, i => i === n)"""
WATCH = "const ms = arguments[0]; tree.scrollTop = 0; return frames_of(() => {}, (_, passed) => passed > ms)"


def send(messages):
    connection = http.client.HTTPConnection("127.0.0.1", PORTS["kvserver"])
    connection.request("POST", "/batch", json.dumps(messages))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200, answer.status


def put(key, value):
    return {"type": "set", "payload": {"key": key, "value": value}}


def fill(n):
    for first in range(0, n, BATCH):
        send([put(f"many/{i:07}", i) for i in range(first, min(first + BATCH, n))])


class Changes:
    """A thousand a second, of keys that are in view, and of others."""

    def __init__(self):
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        n = 0
        while not self.is_over.wait(0.02):
            send([put(f"many/{i % 2 and i * 37 % 1000 or i % 20:07}", n + i) for i in range(20)])
            n += 20

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def open_console(browser, is_cached):
    """Returns: the milliseconds until it was painted with content, and until keys were shown."""
    browser.open("about:blank")
    browser.command("Network.setCacheDisabled", cacheDisabled=not is_cached)
    browser.open(f"http://localhost:{PORTS['kvserver']}/console/")
    shown = browser.run("""return new Promise(resolve => {
      const look = () => document.querySelector("#tree .row:is(.folder, .key)") ? resolve(performance.now()) : requestAnimationFrame(look);
      look();
    })""")
    painted = browser.run("""return new Promise(resolve => new PerformanceObserver((list, observer) => {
      const [entry] = list.getEntriesByName("first-contentful-paint");
      if (!entry) return;
      observer.disconnect();
      resolve(entry.startTime);
    }).observe({ type: "paint", buffered: true }))""")
    browser.run(FRAMES)
    return painted, shown


def quantile(values, q):
    return sorted(values)[min(int(len(values) * q), len(values) - 1)]


def show_frames(figures, name, frames):
    missed = sum(frame > 1.5 * FRAME_MS for frame in frames) / len(frames)
    for what, value, unit in (("p50", quantile(frames, 0.5), "ms"), ("p99", quantile(frames, 0.99), "ms"),
                              ("longest", max(frames), "ms"), ("late", missed * 100, "%")):
        show_figure(figures, f"{name}, {what}", value, unit, None)


def measure_paint(browser, options, figures):
    for is_cached, what in ((False, "first visit"), (True, "files in the cache")):
        rounds = [open_console(browser, is_cached) for _ in range(options.rounds + 1)][1:]
        for column, name, mark in ((0, "first paint", 200), (1, "keys are shown", None)):
            times = [one[column] for one in rounds]
            show_figure(figures, f"console: {name}, {what}", statistics.median(times), "ms", mark)
            show_figure(figures, f"console: {name}, {what}, least", min(times), "ms", None)


def measure_frames(browser, n, options, figures):
    listed, scrolled, changed = [], [], []
    for _ in range(options.rounds):
        open_console(browser, True)
        browser.run("return new Promise(resolve => { row('many/').click(); const look = () =>"
                    " row('0000000') ? resolve() : requestAnimationFrame(look); look(); })")
        listed += browser.run(LIST, f"{n - 1:07}")
        scrolled += browser.run(SCROLL, 20 if options.smoke else 200)
        with Changes():
            changed += browser.run(WATCH, options.seconds * 1000)
    for name, frames in ((f"listing {n} keys", listed), (f"scrolling through {n} keys", scrolled),
                         ("1,000 changes a second", changed)):
        show_frames(figures, f"console: {name}", frames)


def measure(servers, options, results):
    if not is_chosen("console", options):
        return
    if shutil.which("chromedriver") is None:
        print("console: left out, as there is no chromedriver (Debian: chromium-driver)")
        return
    n = 5000 if options.smoke else 100000
    servers.start_kvserver(more="console: true\n")
    fill(n)
    browser = Browser()
    try:
        browser.resize(1440, 860)
        measure_paint(browser, options, results["figures"])
        measure_frames(browser, n, options, results["figures"])
    finally:
        browser.close()
    servers.stop("kvserver")
