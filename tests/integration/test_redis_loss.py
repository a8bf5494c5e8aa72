"""Redis acknowledges writes and forgets them: noticed, the log is stepped again from the older cursor, and what is
published is not published again."""
import time

import pytest

import harness
import oracle
import reference
import replicated
import streams
from load import MODEL, Load
from test_exactly_once import PULSE


def assert_went_back(app, daemon, said, acknowledged):
    """In each partition the daemon has begun again before what was acknowledged."""
    def first():
        return dict(reversed(daemon.takings(said)))
    harness.eventually(lambda: len(first()) == app.partitions, lambda: f"all partitions taken:\n{daemon.log()[-3000:]}")
    lost = [acknowledged[p] - first()[p] for p in range(app.partitions)]
    assert min(lost) > 0, f"no write was lost: {acknowledged} were acknowledged, {first()} remained"


def test_power_failure(make_app, servers, rng, request):
    """Redis is killed and has lost the end of its append-only file; the daemon runs on, or dies with it, or had stopped
    in order."""
    rounds = 20 if request.config.getoption("--long") else 1
    app = make_app(MODEL)
    daemon = app.start_live()
    load = Load(app, rng, 2000)
    for fate in rng.sample(["runs on", "is killed", "has stopped"] * rounds, 3 * rounds):
        if rng.random() < 0.7:      # else before the daemon has made up for the last time
            load.some_more()
        with servers.redis_forgets():
            acknowledged, said = load.stored(), len(daemon.log())
            if fate == "is killed":
                daemon.kill()
            elif fate == "has stopped":
                daemon.stop()
        recovery = harness.Recovery(app, f"Redis lost writes, and the daemon {fate}")
        if not daemon.runs():
            daemon, said = app.start(), 0
        assert_went_back(app, daemon, said, acknowledged)
        recovery.took()
    load.agrees()


def test_power_failure_by_the_wall_clock(make_app, servers, rng, request):
    """What fired by the wall clock is decided as it was, from the journal, though the states of then are lost."""
    rounds, grace_ms = (20 if request.config.getoption("--long") else 3), 1000
    app = make_app(PULSE, time={"mode": "wall", "grace": f"{grace_ms}ms"})
    daemon = app.start_live()
    flow = streams.Flow(app.feeder(), streams.present(rng, streams.customers(rng, 200), 100_000), 100_000, 800)
    for _ in range(rounds):
        flow.wait_until(time.monotonic() - flow.started + rng.uniform(0, 2))
        with servers.redis_forgets():
            before = app.offsets()
            flow.wait_until(time.monotonic() - flow.started + rng.uniform(0, 1))
            harness.eventually(lambda: min(map(int.__sub__, app.offsets(), before)) > 0, "states stored")  # noqa: B023
            acknowledged, said = app.offsets(), len(daemon.log())
        recovery = harness.Recovery(app, "Redis lost writes, by the wall clock")
        assert_went_back(app, daemon, said, acknowledged)
        recovery.took()
    flow.finish(enough=True)
    oracle.settle(app, [reference.Model.load(PULSE)], grace_ms, until=oracle.NEVER)


@pytest.mark.parametrize("end", ["killed", "frozen"])
def test_failover(make_app, rng, request, tmp_path, end):
    """Sentinels replace a master whose replicas missed its last writes: the daemon follows, and makes up for it. One
    that was only frozen wakes up as a master of the past."""
    rounds = 10 if request.config.getoption("--long") else {"killed": 2, "frozen": 1}[end]
    with replicated.Sentinels(tmp_path) as redis:
        app = make_app(MODEL, redis={"url": redis.url, "timeout": "1s"})
        app.redis = redis.client()
        daemon = app.start_live()
        load = Load(app, rng, 2000)
        for left in reversed(range(rounds)):
            load.some_more()
            redis.await_replicas()
            redis.cut_replicas()
            acknowledged, said, since = load.stored(), len(daemon.log()), time.monotonic()
            former = redis.end_master(end)
            assert_went_back(app, daemon, said, acknowledged)
            harness.Recovery(app, f"a master was {end}, a replica without its last writes promoted", since).took()
            if end == "frozen" or left > 1:     # one replica is enough for the last round
                redis.bring_back(former)
        load.agrees()


def test_promoted_behind_the_same_address(make_app, rng, tmp_path):
    """Without Sentinels: the address leads to a replica from now on, and that has missed the last writes."""
    with replicated.Pair(tmp_path) as redis:
        app = make_app(MODEL, redis={"url": redis.url})
        app.redis = redis.client()
        daemon = app.start_live()
        load = Load(app, rng)
        redis.await_replicas()
        redis.cut_replicas()
        acknowledged, said, since = load.stored(), len(daemon.log()), time.monotonic()
        redis.promote()
        app.redis = redis.client()
        assert_went_back(app, daemon, said, acknowledged)
        harness.Recovery(app, "another Redis, without the last writes, took its address", since).took()
        load.agrees()
