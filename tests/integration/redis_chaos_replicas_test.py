#!/usr/bin/env python3
"""The faults of redis_chaos on masters with two replicas each, where a write has to be at both. So no failover loses what
was acknowledged, whichever replica is promoted, and the other one confirms what the promoted one says. Prints TAP.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import Report  # pylint: disable=wrong-import-position
from redis_chaos_test import CHOSEN, Chaos  # pylint: disable=wrong-import-position
from redis_servers import Cluster, require_redis  # pylint: disable=wrong-import-position


def main():
    require_redis()
    report, chaos = Report(), Chaos(Cluster(n_replicas=2))
    for fault in (chaos.kill, chaos.cut, chaos.stop):
        if CHOSEN.search(fault.__name__):
            report.check(fault.__name__, lambda fault=fault: chaos.rounds(fault, "replicas, replicas: 2"))
    chaos.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
