#!/usr/bin/env python3
"""with_cluster.py COMMAND [ARGUMENT]...: runs the command beside a Redis Cluster of three masters without
replicas. Their addresses, with commas between them, stand for each `@nodes` in the arguments and in
KV_TEST_STORE_OPTIONS.
Returns what the command does; 77 where there is no redis-server of version 7 or later.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
import processes
from redis_servers import Cluster, require_redis  # pylint: disable=wrong-import-position


def main():
    require_redis()
    cluster = Cluster(n_replicas=0)
    try:
        nodes = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
        command = [argument.replace("@nodes", nodes) for argument in sys.argv[1:]]
        options = os.environ.get("KV_TEST_STORE_OPTIONS", "").replace("@nodes", nodes)
        environment = {**os.environ, "KV_TEST_STORE_OPTIONS": options}
        return processes.run(command, env=environment, check=False).returncode
    finally:
        cluster.end()


if __name__ == "__main__":
    sys.exit(main())
