"""Redis where a single one is not enough: replicas that lag behind their master, and what puts one of them in
its place."""
import contextlib
import os
import signal
import subprocess

import redis
import redis.sentinel

import harness

MASTER = "mymaster"
QUORUM, SENTINELS = 2, 3

# A replica logs in as a user of its own, so that it can be shut out.
NODE = """
bind 127.0.0.1
port {port}
dir {folder}
unixsocket {folder}/socket
appendonly yes
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
user replica on nopass +psync +replconf +ping
masteruser replica
masterauth any
"""
SENTINEL = f"""
bind 127.0.0.1
port {{port}}
dir {{folder}}
sentinel monitor {MASTER} 127.0.0.1 {{master}} {QUORUM}
sentinel down-after-milliseconds {MASTER} 500
sentinel failover-timeout {MASTER} 2000
"""


class Node:
    """One process of redis-server, in a folder of its own."""

    def __init__(self, folder, config, *words, **values):
        self.folder, self.words, self.port = folder, words, harness.free_port()
        folder.mkdir()
        (folder / "redis.conf").write_text(config.format(port=self.port, folder=folder, **values))
        self.start()

    def start(self):
        with open(self.folder / "out", "ab") as out:
            self.process = subprocess.Popen(["redis-server", self.folder / "redis.conf", *self.words],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.client = redis.Redis(port=self.port, socket_timeout=5)
        harness.eventually(self.answers, lambda: f"an answer of Redis: {(self.folder / 'out').read_text()[-1000:]}")

    def answers(self):
        assert self.process.poll() is None, (self.folder / "out").read_text()[-1000:]
        with contextlib.suppress(redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return self.client.ping()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def follows(self, master):
        """Is it a replica of this master, with nothing missing but what is on the way?"""
        info = self.client.info("replication")
        return (info["role"] == "slave" and info["master_port"] == master.port and info["master_link_status"] == "up"
                and not info["master_sync_in_progress"])


class Replicated:
    """A master, its replicas, and whatever else there is to be ended."""

    def __init__(self, folder, replicas):
        self.nodes, self.others = [], []
        for i in range(1 + replicas):
            self.nodes.append(Node(folder / f"r{i}", NODE))
            if i > 0:
                self.nodes[i].client.replicaof("127.0.0.1", self.nodes[0].port)
        self.master = self.nodes[0]
        self.await_replicas()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes + self.others:
            node.kill()

    def replicas(self):
        return [node for node in self.nodes if node is not self.master and node.process.poll() is None]

    def await_replicas(self):
        """Until all replicas have all, but for what is on its way."""
        for node in self.replicas():
            harness.eventually(lambda: node.follows(self.master), "a replica in step with its master")  # noqa: B023

    def cut_replicas(self):
        """From now on none of them learns of anything."""
        self.master.client.acl_setuser("replica", enabled=False)
        self.master.client.execute_command("CLIENT", "KILL", "USER", "replica")
        for node in self.replicas():
            harness.eventually(lambda: node.client.info("replication")["master_link_status"] == "down",  # noqa: B023
                               "a replica that has lost its master")


class Sentinels(Replicated):
    """Sentinels watch, and promote a replica when the master does not answer."""

    def __init__(self, folder):
        super().__init__(folder, 2)
        self.others = [Node(folder / f"s{i}", SENTINEL, "--sentinel", master=self.master.port)
                       for i in range(SENTINELS)]
        self.addresses = [("127.0.0.1", node.port) for node in self.others]
        self.url = f"redis-sentinel://{','.join(f'{host}:{port}' for host, port in self.addresses)}/{MASTER}"
        harness.eventually(lambda: all(self.knows_all(node) for node in self.others), "Sentinels that know each other")

    def knows_all(self, sentinel):
        state = sentinel.client.sentinel_master(MASTER)
        return state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] == len(self.replicas())

    def client(self):
        """A client of whoever is the master."""
        return redis.sentinel.Sentinel(self.addresses, socket_timeout=5).master_for(MASTER)

    def end_master(self, how):
        """Returns the former master as soon as the Sentinels have agreed on a new one."""
        former = self.master
        former.signal({"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}[how])
        if how == "killed":
            former.process.wait()

        def port():
            return self.others[0].client.sentinel_get_master_addr_by_name(MASTER)[1]
        harness.eventually(lambda: port() != former.port, "another master")
        self.master = next(node for node in self.nodes if node.port == port())
        return former

    def bring_back(self, former):
        """As a replica, in the end: Sentinels see to it."""
        if former.process.poll() is None:
            former.signal(signal.SIGCONT)
        else:
            former.start()
        former.client.acl_setuser("replica", enabled=True)
        harness.eventually(lambda: former.follows(self.master), "the former master as a replica")


class Pair(Replicated):
    """A master and a replica, and an address that leads to one of them."""

    def __init__(self, folder):
        super().__init__(folder, 1)
        self.address = folder / "redis"
        self.url = f"unix://{self.address}"
        self.lead_to(self.master)

    def lead_to(self, node):
        new = self.address.with_suffix(".new")
        new.symlink_to(node.folder / "socket")
        new.rename(self.address)

    def client(self):
        return self.master.client

    def promote(self):
        """The master dies; its replica becomes one, behind the master's address."""
        self.master.kill()
        self.master, = self.replicas()
        self.master.client.replicaof("NO", "ONE")
        self.lead_to(self.master)
