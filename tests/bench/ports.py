"""Ports that are free, so that several runs on one machine do not reach each other's servers.

They lie below the range from which Linux takes ports for connections: there, a load's own connections
could take a port before its server listens on it. As a program, prints one port."""

import os
import random
import socket

LOWEST = 10000


def highest():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return max(int(file.read().split()[0]) - 1, LOWEST + 1000)


def bound_to_a_free_port(above):
    while True:
        sock = socket.socket()
        try:
            sock.bind(("127.0.0.1", random.randint(LOWEST, above)))
            return sock
        except OSError:
            sock.close()


def free_ports(n):
    """Different ones, as all are held until the last is found."""
    random.seed(os.urandom(8))
    above = highest()
    socks = [bound_to_a_free_port(above) for _ in range(n)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


if __name__ == "__main__":
    print(free_ports(1)[0])
