"""A Redis Cluster of three masters and three replicas, and what may be done to it.

A node's processes come and go, its folder and port stay. Where keys are is asked of the cluster each time.
"""
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess

import redis
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.retry import Retry

from harness import eventually

MASTERS, SLOTS = 3, 16384


def node_port():
    """A free port; a node takes the one 10000 above it, too. Below those that outgoing connections take theirs from."""
    while True:
        port = random.SystemRandom().randrange(20000, 22700)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)), \
                socket.create_server(("127.0.0.1", port + 10000)):
            return port


class Node:
    def __init__(self, folder):
        self.folder, self.port = folder, node_port()
        folder.mkdir(parents=True)
        self.redis = redis.Redis(port=self.port)
        self.start()
        self.id = self.ask("CLUSTER MYID")

    def start(self):
        """With what it left behind, if it ran before."""
        settings = {"port": self.port, "bind": "127.0.0.1", "cluster-enabled": "yes", "cluster-node-timeout": 1500,
                    "cluster-replica-validity-factor": 0, "appendonly": "yes", "save": "", "dir": self.folder,
                    "repl-diskless-sync-delay": 0, "hash-max-listpack-value": 256}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["redis-server", *(str(word) for name, value in settings.items()
                                                               for word in (f"--{name}", value))],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.answers, lambda: f"redis-server: {(self.folder / 'log').read_text()[-1000:]}")

    def answers(self):
        with contextlib.suppress(redis.RedisError):
            return self.redis.ping()

    def kill(self):
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def runs(self):
        return self.process.poll() is None

    def ask(self, command, *words):
        answer = self.redis.execute_command(*command.split(), *words)
        return answer.decode() if isinstance(answer, bytes) else answer

    def whole(self, nodes):
        """Whether the cluster is complete and consists of so many nodes, as far as this one knows."""
        info = self.ask("CLUSTER INFO")
        return "cluster_state:ok" in info and f"cluster_known_nodes:{nodes}\r" in info

    def replicates(self):
        info = self.redis.info("replication")
        return info["role"] == "slave" and info["master_link_status"] == "up"


class Cluster:
    def __init__(self, folder):
        self.nodes = [Node(folder / str(number)) for number in range(2 * MASTERS)]
        masters, replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
        for number, node in enumerate(masters):
            node.ask("CLUSTER ADDSLOTSRANGE", number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS - 1)
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER MEET", "127.0.0.1", masters[0].port)
        self.await_whole()
        for master, replica in zip(masters, replicas):
            replica.ask("CLUSTER REPLICATE", master.id)
        for replica in replicas:
            eventually(replica.replicates, "the replicas")
        self.redis = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", node.port) for node in self.nodes],
                                  retry=Retry(ConstantBackoff(0.05), 200))

    def url(self, *nodes):
        return "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes or self.nodes)

    def stop(self):
        for node in self.nodes:
            if node.runs():
                node.kill()

    def await_whole(self):
        eventually(lambda: all(node.whole(len(self.nodes)) for node in self.nodes), "the cluster to be complete")

    def mend(self):
        """Whoever is away comes back."""
        for node in self.nodes:
            if not node.runs():
                node.start()
        self.await_whole()
        eventually(lambda: sum(node.replicates() for node in self.nodes) == MASTERS, "the replicas")

    def replace(self, gone):
        """A new replica in the place of a node that nobody is to hear of again."""
        for node in self.nodes:
            node.ask("CLUSTER FORGET", gone.id)
        shutil.rmtree(gone.folder)
        new = Node(gone.folder)
        self.nodes.append(new)
        new.ask("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        self.await_whole()
        lonely = next(node for node in self.masters() if not node.redis.info("replication")["connected_slaves"])
        new.ask("CLUSTER REPLICATE", lonely.id)

    def masters(self):
        return [node for node in self.nodes if node.runs() and node.redis.info("replication")["role"] == "master"]

    def node(self, port):
        return next(node for node in self.nodes if node.port == port)

    def place(self, key, by=None):
        """[master, replicas...] of a key, as a node tells it."""
        by = by or next(node for node in self.nodes if node.runs())
        for first, last, *nodes in by.ask("CLUSTER SLOTS"):
            if first <= key_slot(key.encode()) <= last:
                return [self.node(node[1]) for node in nodes]
        return []

    def await_successor(self, key, former):
        """Until some other node than the former master holds the key, for all that live."""
        def succeeded():
            places = [self.place(key, node) for node in self.nodes if node.runs() and node is not former]
            return all(place and place[0] is not former for place in places)
        eventually(succeeded, f"a successor of node {former.port}")

    def begin_move(self, key, to):
        slot, source = key_slot(key.encode()), self.place(key)[0]
        to.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        source.ask("MIGRATE", "127.0.0.1", to.port, key, 0, 5000)

    def end_move(self, key, to):
        slot, source = key_slot(key.encode()), self.place(key)[0]
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, 50):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for node in (to, source):
            node.ask("CLUSTER SETSLOT", slot, "NODE", to.id)
