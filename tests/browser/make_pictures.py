#!/usr/bin/env python3
"""Makes the README's pictures from the running console: core/web/console-light.webp and -dark.webp.

    KV_SERVER_PROGRAM=build/kvserver KV_TEST_MODULES=build/modules tests/browser/make_pictures.py [SECONDS]

For so many seconds (120) clients are busy, so that there is something to see.
"""
import base64
import json
import math
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from kvserver import Server  # pylint: disable=wrong-import-position
from webdriver import Browser

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../core/web")
WIDTH, HEIGHT = 1280, 720
PEOPLE = ["ana", "bo", "cy", "dora", "emil", "fay"]
PLACES = ["at the desk", "typing…", "in a meeting", "away", "on the train"]
SHOWN = "room/42/users/dora"


def put(server, key, value, ttl=None):
    body = {"value": value} | ({"ttl": ttl} if ttl else {})
    server.request("PUT", f"/storage/{key}", json.dumps(body, ensure_ascii=False).encode())


def fill(server):
    put(server, "config/flags", {"new-checkout": True, "beta": ["ana", "emil"]})
    put(server, "count/visits", 128_331)
    put(server, "room/42/topic", "Lunch at noon?")
    put(server, "room/7/topic", "Release notes")
    for n, name in enumerate(PEOPLE):
        put(server, f"user/{name}", {"name": name.title(), "since": 2019 + n})
        put(server, f"session/{random.Random(n).getrandbits(48):012x}", {"user": name}, f"{20 + 7 * n}m")


def live(server, rng, started):
    """One round of changes by clients."""
    name = rng.choice(PEOPLE)
    if rng.random() < 0.35:
        put(server, f"room/42/users/{name}", {"at": rng.choice(PLACES), "cursor": [rng.randrange(1200), rng.randrange(800)]},
            "45s")
    wave = 6 + 5 * math.sin((time.monotonic() - started) / 9)
    messages = [{"type": "increment", "payload": {"key": "count/visits"}}]
    messages += [{"type": "get", "payload": {"key": f"user/{rng.choice(PEOPLE)}"}} for _ in range(int(wave * rng.uniform(4, 7)))]
    server.request("POST", "/batch", json.dumps(messages))
    if rng.random() < 0.05:
        put(server, "room/42/topic", rng.choice(["Lunch at noon?", "Lunch at one?", "Who brings cake?"]))


def look(browser, server):
    browser.command("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=2,
                    mobile=False)
    browser.open(f"http://localhost:{server.port}/console/#{SHOWN.replace('/', '%2F')}")


def take(browser, scheme):
    browser.prefer(scheme)
    browser.run("return new Promise(painted => requestAnimationFrame(() => requestAnimationFrame(painted)))")
    picture = browser.command("Page.captureScreenshot", format="webp", quality=82)["data"]
    with open(os.path.join(FOLDER, f"console-{scheme}.webp"), "wb") as file:
        file.write(base64.b64decode(picture))


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120
    server, rng, started = Server(), random.Random(42), time.monotonic()
    try:
        browser = Browser()
        try:
            fill(server)
            for name in PEOPLE:
                put(server, f"room/42/users/{name}", {"at": PLACES[0], "cursor": [640, 360]}, "45s")
            look(browser, server)
            while time.monotonic() < started + seconds:
                live(server, rng, started)
                time.sleep(0.25)
            put(server, SHOWN, {"at": "in a meeting", "cursor": [514, 227], "since": 1795900142, "typing": False,
                                "colors": ["#3b5bdb", "#1f8a54"]}, "45s")
            put(server, "room/42/users/bo", {"at": "typing…", "cursor": [88, 402]}, "45s")
            time.sleep(0.4)
            for scheme in "light", "dark":
                take(browser, scheme)
        finally:
            browser.close()
    finally:
        server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
