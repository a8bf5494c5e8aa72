"""Kafka, Redis or a daemon gone, back, frozen, full or wiped: nothing lost or twice, or a halt that says why."""
import contextlib
import json

import pytest
from confluent_kafka import KafkaException, TopicPartition
from redis import OutOfMemoryError

import harness
import oracle
import reference
import streams
from load import MODEL, SHORT_SESSION, Load, agrees, feed


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_away_at_start(make_app, servers, rng, server):
    app = make_app(MODEL)
    with servers.away(server):
        daemon = app.start()
        daemon.says("level=warning")
        assert "taken at" not in daemon.log()
    feed(app, rng, 2000)
    agrees(app)


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_away_under_load(make_app, servers, rng, server):
    """kill -9 of the server, a while without it, and back."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    with servers.away(server):
        warned = daemon.log().count("level=warning")
        harness.eventually(lambda: daemon.log().count("level=warning") > warned, "a warning that it is away")
    harness.Recovery(app, f"{server} was away").took()
    load.agrees()


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_restarts_under_load(make_app, servers, rng, server):
    """Two orderly restarts in a row."""
    app = make_app(MODEL)
    app.start_live()
    load = Load(app, rng)
    for _ in range(2):
        servers.restart(server)
        harness.Recovery(app, f"an orderly restart of {server}").took()
    load.agrees()


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_sigterm_while_away(make_app, servers, rng, server):
    """SIGTERM is obeyed within 5 s though nobody answers, and the next start makes up for it."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    with servers.away(server):
        print(f"ended {daemon.stop():.1f} s after SIGTERM")
    app.start()
    load.agrees()


def test_sigterm_leaves_no_replay(make_app, rng):
    """An orderly stop under load: within 5 s, and the next start has nothing to filter."""
    app = make_app(MODEL, partitions=3)
    daemon = app.start_live()
    load = Load(app, rng)
    for _ in range(2):
        load.some_more()
        print(f"ended {daemon.stop():.1f} s after SIGTERM")
        daemon = app.start_live()
        assert "replaying" not in daemon.log()
    load.agrees()


def test_redis_that_evicts_is_refused(make_app, servers, rng):
    app = make_app(MODEL)
    with servers.redis_setting("maxmemory-policy", "allkeys-lru"):
        daemon = app.start()
        daemon.says("CONFIG SET maxmemory-policy noeviction")
        assert not any(app.cursor(p) for p in range(app.partitions))
    feed(app, rng, 1000)
    agrees(app)


def test_redis_that_begins_to_evict(make_app, servers, rng):
    """The policy changes while the daemon works: noticed at once, before anything is evicted."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    with servers.redis_setting("maxmemory-policy", "allkeys-lru"):
        daemon.says("CONFIG SET maxmemory-policy noeviction")
    harness.Recovery(app, "Redis might have evicted").took()
    load.agrees()


def evict_all(redis):
    """Redis makes room for a key until there is nothing else."""
    def empty():
        with contextlib.suppress(OutOfMemoryError):
            redis.set("other", "data")
        return redis.dbsize() == 0
    harness.eventually(empty, "everything evicted")


def test_redis_that_has_evicted(make_app, servers, rng):
    """States went: no new connection is used before somebody has looked, and each partition halts that lacks some."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    load.stored()
    try:
        with servers.redis_setting("maxmemory-policy", "allkeys-random"), servers.redis_setting("maxmemory", "1mb"):
            daemon.says("maxmemory-policy is allkeys-random")
            evict_all(servers.redis)
        daemon.says("it has evicted")
    finally:
        servers.redis.config_resetstat()
    daemon.says("partition halted", times=app.partitions)
    load.flow.finish(enough=True)
    daemon.stop()
    assert_as_far_as_it_goes(app)


def test_redis_becomes_a_replica(make_app, servers, rng):
    """Read-only, its data still there; then a master again."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    servers.redis.replicaof("127.0.0.1", harness.free_port())
    daemon.says("it is a replica")
    servers.redis.replicaof("NO", "ONE")
    harness.Recovery(app, "Redis was read-only").took()
    load.agrees()


def test_redis_without_memory(make_app, servers, rng):
    """Out of memory: nothing is half written, nothing lost, and it goes on by itself once there is memory."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    with servers.redis_setting("maxmemory", "1mb"):
        daemon.says("memory is full")
    harness.Recovery(app, "Redis was out of memory").took()
    load.agrees()


def test_group_offsets_deleted(make_app, servers, rng):
    """The group's offsets are for monitors: without them the cursor says where to go on."""
    app = make_app(MODEL, **SHORT_SESSION)
    daemon = app.start_live()
    feed(app, rng, 2000)
    app.await_caught_up()
    daemon.stop()
    admin = servers.admin()

    def deleted():      # once the session of the member that went away is over
        try:
            admin.delete_consumer_groups([app.name])[app.name].result()
            return True
        except KafkaException:
            return False
    harness.eventually(deleted, "an empty group")
    app.start()
    feed(app, rng, 1000)
    agrees(app)


# ---- What cannot be mended by itself: the partition halts and says so, and nothing is published that may be wrong.

def wipe(app):
    app.servers.redis.flushall()


def delete_cursors(app):
    app.servers.redis.delete(*(app.key(p, "cursor") for p in range(app.partitions)))


def delete_a_bucket(app):
    for partition in range(app.partitions):
        assert app.servers.redis.delete(app.key(partition, "b:lifecycle:0")) == 1


def delete_keys(rest):
    def delete(app):
        for partition in range(app.partitions):
            assert app.servers.redis.delete(app.key(partition, rest)) == 1
    return delete


def delete_a_deadline(app):
    for partition in range(app.partitions):
        assert app.servers.redis.zpopmax(app.key(partition, "due"))


def damage_states(app):
    for partition in range(app.partitions):
        for key in app.servers.redis.scan_iter(app.key(partition, "b:*")):
            app.servers.redis.hset(key, mapping=dict.fromkeys(app.servers.redis.hkeys(key), b"\x93\x01"))


def delete_records(app, topic):
    ends = app.servers.ends(topic, app.partitions)
    admin = app.servers.admin()
    for future in admin.delete_records([TopicPartition(topic, p, end) for p, end in enumerate(ends)]).values():
        future.result(harness.WAIT_S)


def delete_events(app):
    feed_tail(app)
    delete_records(app, app.source)


def feed_tail(app):
    feeder = app.feeder()
    for number in range(50):
        event = {"customer": f"tail-{number}", "type": "purchase", "time": streams.START_MS + 500 * streams.DAY_MS}
        feeder.put(json.dumps(event), event["customer"])
    feeder.flush()


DAMAGES = {
    "Redis wiped": (wipe, "Redis has nothing of this partition"),
    "cursors deleted": (delete_cursors, "no cursor"),
    "a bucket deleted": (delete_a_bucket, "customers"),
    "deadlines deleted": (delete_keys("due"), "of :due and 0 of :stat"),
    "a deadline deleted": (delete_a_deadline, "Redis lacks 1 entries of :due and 0 of :stat"),
    "statistics deleted": (delete_keys("stat"), "Redis lacks 0 entries of :due and"),
    "states damaged": (damage_states, "is damaged"),
    "unread events deleted": (delete_events, "the events in between are gone"),
}


@pytest.mark.parametrize("damage, words", DAMAGES.values(), ids=DAMAGES.keys())
def test_halts(make_app, servers, rng, damage, words):
    app = make_app(MODEL)
    names = streams.customers(rng, 300)
    streams.feed(app.feeder(), streams.history(rng, names, 3000))
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    before = [len(servers.read(topic)) for topic in app.outputs]
    damage(app)
    streams.feed(app.feeder(), ((name, json.dumps({"customer": name, "type": "purchase",
                                                   "time": streams.START_MS + 600 * streams.DAY_MS}))
                                for name in names))
    daemon = app.start()
    daemon.says("partition halted", times=app.partitions)
    assert words in daemon.log(), daemon.log()
    daemon.stop()
    assert [len(servers.read(topic)) for topic in app.outputs] == before


def test_redis_wiped_while_running(make_app, servers, rng):
    """FLUSHALL under load: each partition halts; what was published is right, as far as it goes."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    servers.redis.flushall()
    daemon.says("partition halted: Redis has nothing of this partition", times=app.partitions)
    load.flow.finish(enough=True)
    daemon.stop()
    assert_as_far_as_it_goes(app)


@pytest.mark.parametrize("rest", ["due", "stat"])
def test_deleted_while_running(make_app, rng, rest):
    """Deadlines or statistics go under load: as above, at once."""
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng)
    load.stored()
    delete_keys(rest)(app)
    daemon.says("partition halted: Redis lacks", times=app.partitions)
    load.flow.finish(enough=True)
    daemon.stop()
    assert_as_far_as_it_goes(app)


def assert_as_far_as_it_goes(app):
    """Nothing is published but the beginning of what must be."""
    models = [reference.Model.load(MODEL)]
    found, wrong = oracle.published(app, models)
    expected = oracle.expect(app, models).outputs
    wrong += [key for key, outputs in found.items() if outputs != expected.get(key, [])[:len(outputs)]]
    assert found and not wrong, wrong[:5]
