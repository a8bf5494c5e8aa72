"""The promise on a Redis Cluster: masters killed, cut off or replaced, and slots that move while events flow."""
import contextlib
import json
import signal

import pytest

import cluster as cluster_
import harness
from load import MODEL, SHORT_SESSION, Load, agrees, feed
from test_audit_rebuild import assert_clean, engagectl

PARTITIONS = 6


class WithCluster:
    """Servers, with a cluster in the place of their Redis."""

    def __init__(self, servers, cluster):
        self.servers, self.redis, self.redis_url = servers, cluster.redis, cluster.url()

    def __getattr__(self, name):
        return getattr(self.servers, name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    cluster = cluster_.Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(made):
    """All nodes there, whatever the test before has done to them."""
    made.mend()
    return made


@pytest.fixture
def servers(servers, cluster):
    return WithCluster(servers, cluster)


def make(make_app, **config):
    return make_app(MODEL, partitions=PARTITIONS, redis={"timeout": "1s"}, **config)


def cursor_key(app, partition):
    return app.key(partition, "cursor")


def by_master(app, cluster):
    """The partitions of each master that has some."""
    masters = {}
    for partition in range(app.partitions):
        masters.setdefault(cluster.place(cursor_key(app, partition))[0].port, []).append(partition)
    return masters


def settled(app, cluster, load):
    """All is right, and the audit says so, too."""
    outputs, _ = load.agrees()
    assert_clean(app, outputs)


def test_daemons_come_and_go(make_app, cluster, rng):
    """One daemon, three, one; partitions at several masters; what engagectl and HTTP tell of them."""
    app = make(make_app, http={"listen": f"127.0.0.1:{harness.free_port()}"}, **SHORT_SESSION)
    one = app.start_live()
    assert len(by_master(app, cluster)) > 1
    load = Load(app, rng)
    others = [app.start(name, http={"listen": None}, redis={"url": cluster.url(node)})
              for name, node in zip(("two", "three"), cluster.nodes)]       # one seed is enough
    for other in others:
        other.says("taken at offset", times=PARTITIONS // 3)
    load.some_more()
    for other in others:
        other.stop()
    one.says_more("taken at offset", times=PARTITIONS)
    load.some_more()
    harness.eventually(lambda: answers(app, "/readyz"), "readiness")
    customer = next(record.key().decode() for record in app.servers.read(app.outputs[0]))
    assert json.loads(app.http(f"/v1/customers/{customer}"))["models"]
    for command, *words in (("show", customer), ("why", customer), ("status",)):
        status, out, err = engagectl(app, command, *words)
        assert status == 0 and (words or [app.name])[0] in out, (out, err)
    settled(app, cluster, load)


def answers(app, path):
    with contextlib.suppress(OSError):
        return app.http(path)


@pytest.mark.parametrize("behind", [False, True], ids=["in step", "replica behind"])
def test_a_master_killed(make_app, cluster, rng, behind):
    """kill -9 of a master under load. Its replica, cut off before, may lack what was acknowledged meanwhile."""
    app = make(make_app)
    daemon = app.start_live()
    load = Load(app, rng)
    key = cursor_key(app, 0)
    master, replica = cluster.place(key)
    if behind:
        replica.process.send_signal(signal.SIGSTOP)
        master.ask("CLIENT KILL TYPE replica")
        flushes = int(app.cursor(0)["n"])
        harness.eventually(lambda: int(app.cursor(0)["n"]) > flushes + 5, "flushes that no replica has")
    master.kill()
    replica.process.send_signal(signal.SIGCONT)
    daemon.says("level=warning")
    cluster.await_successor(key, master)
    if behind:
        daemon.says("replay: ")
    load.some_more()
    settled(app, cluster, load)


def test_a_master_cut_off(make_app, cluster, rng):
    """It knows nobody any more and still answers: what it acknowledges while its replica is promoted is lost.

    The first daemon goes on with it, freezes, and wakes up when a second one, which knows only the others, has taken
    the partitions at the successor.
    """
    app = make(make_app, **SHORT_SESSION)
    one = app.start_live()
    load = Load(app, rng, 1000)
    key = cursor_key(app, 0)
    master, replica = cluster.place(key)
    master.ask("CONFIG SET cluster-require-full-coverage no")
    for node in cluster.nodes:
        if node is not master:
            master.ask("CLUSTER FORGET", node.id)       # and ignores them as strangers for a minute
    replica.ask("CLUSTER FAILOVER TAKEOVER")
    cluster.await_successor(key, master)
    flushes = int(master.redis.hget(key, "n"))
    harness.eventually(lambda: int(master.redis.hget(key, "n")) > flushes + 5, "flushes at the former master")
    one.signal(signal.SIGSTOP)
    two = app.start("two", redis={"url": cluster.url(replica)})
    two.says("taken at offset", times=PARTITIONS)
    two.says("replay: ")
    load.some_more()
    one.signal(signal.SIGCONT)
    one.says("msg=lost", times=PARTITIONS)
    one.says_more("taken at offset")
    load.some_more()
    master.kill()
    cluster.nodes.remove(master)
    try:
        load.some_more()
        settled(app, cluster, load)
    finally:
        cluster.replace(master)


def test_slots_move(make_app, cluster, rng):
    """Each partition's slot goes to another master, and is half there for a while."""
    app = make(make_app)
    daemon = app.start_live()
    load = Load(app, rng)
    for partition in range(PARTITIONS):
        key = cursor_key(app, partition)
        source = cluster.place(key)[0]
        to = next(node for node in cluster.masters() if node is not source)
        waiting = daemon.log().count("waiting until it has arrived")
        cluster.begin_move(key, to)
        daemon.says("waiting until it has arrived", times=waiting + 1)
        cluster.end_move(key, to)
        cluster.await_successor(key, source)
    load.some_more()
    settled(app, cluster, load)


def test_all_killed(make_app, cluster, rng):
    """kill -9 of all nodes at once, and back with their append-only files."""
    app = make(make_app)
    daemon = app.start_live()
    load = Load(app, rng)
    for node in cluster.nodes:
        node.kill()
    daemon.says("level=warning")
    cluster.mend()
    load.some_more()
    settled(app, cluster, load)


def test_rebuilt(make_app, cluster, rng):
    """Partitions without their cursors halt; engagectl rebuild deletes what is left of them at every node."""
    app = make(make_app)
    feed(app, rng, 2000)
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    for partition in range(PARTITIONS):
        assert app.servers.redis.delete(cursor_key(app, partition)) == 1
    daemon = app.start()
    daemon.says("partition halted", times=PARTITIONS)
    daemon.stop()
    status, out, err = engagectl(app, "rebuild", "--yes")
    assert status == 0 and out.count("keys deleted") == PARTITIONS, out + err
    app.start()
    feed(app, rng, 1000)
    outputs, _ = agrees(app)
    assert_clean(app, outputs)
