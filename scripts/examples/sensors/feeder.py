#!/usr/bin/env python3
"""Writes how busy this machine is, once a second: one key for each reading, which expires by itself."""
import http.client
import json
import os
import time
import urllib.parse

SERVER = urllib.parse.urlsplit(os.environ.get("KVSERVER_URL", "http://localhost:3000"))
EVERY_S = float(os.environ.get("EVERY", "1"))


def read_processor():
    """Ticks since the start: busy, and all."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def read_memory():
    """The percentage in use."""
    with open("/proc/meminfo", encoding="ascii") as file:
        sizes = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in file)}
    return 100 - 100 * sizes["MemAvailable"] / sizes["MemTotal"]


def send(readings):
    """All of a moment in one request. The TTL is the length of the chart."""
    now = int(time.time() * 1000)
    batch = [{"type": "set", "payload": {"key": f"sensor/{name}/{now}", "value": round(value, 1), "ttl": "2m"}}
             for name, value in readings.items()]
    connection = http.client.HTTPConnection(SERVER.hostname, SERVER.port, timeout=5)
    try:
        connection.request("POST", "/batch", json.dumps(batch))
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200 or '"error"' in text:
            print(answer.status, text, flush=True)
    finally:
        connection.close()


def main():
    before = read_processor()
    while True:
        time.sleep(EVERY_S)
        now = read_processor()
        share = 100 * (now[0] - before[0]) / max(1, now[1] - before[1])
        before = now
        try:
            send({"processor": share, "memory": read_memory()})
        except OSError as fault:
            print(f"not sent: {fault}", flush=True)   # the next one will be


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
