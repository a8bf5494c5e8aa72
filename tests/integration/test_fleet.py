"""Several daemons share the partitions: they come, go, are killed, or freeze and wake when others have their work."""
import signal
import time

import harness
from load import MODEL, SHORT_SESSION, Load


def owned(app, daemon):
    """The partitions whose states the daemon owns."""
    return [p for p in range(app.partitions) if app.cursor(p).get("owner", "nobody") in daemon.log()]


def test_one_two_one(make_app, rng):
    """A second daemon joins, takes its share, and leaves; then the first is killed and comes back."""
    app = make_app(MODEL, partitions=4, **SHORT_SESSION)
    one = app.start_live("one")
    load = Load(app, rng)
    two = app.start("two")
    two.says("taken at offset", times=2)
    load.some_more()
    two.stop()
    one.says("taken at offset", times=4 + 2 + 4)     # all; its own share while two was there; all again
    load.some_more()
    two = app.start("two")
    two.says("taken at offset", times=2)
    one.kill()
    two.says("taken at offset", times=2 + 4)
    one = app.start("one")
    one.says("taken at offset", times=2)
    load.agrees()


def test_one_three_two(make_app, rng, request):
    """Two more daemons join under load; any of them is killed and comes back, at last one is killed for good."""
    app = make_app(MODEL, partitions=12, **SHORT_SESSION)
    daemons = {"one": app.start_live("one")}
    load = Load(app, rng, 2000)
    for name in ("two", "three"):
        daemons[name] = app.start(name)
    for daemon in daemons.values():
        harness.eventually(lambda: len(owned(app, daemon)) == 4, "a third of the partitions each")     # noqa: B023
    for _ in range(40 if request.config.getoption("--long") else 4):
        if rng.random() < 0.5:      # else while others still take what moved
            load.some_more()
        name = rng.choice(list(daemons))
        daemons[name].kill()
        daemons[name] = app.start(name)
    load.some_more()
    name = rng.choice(list(daemons))
    theirs = owned(app, daemons[name])
    since = time.monotonic()
    daemons.pop(name).kill()
    if theirs:
        fault = "kill -9 of one of three daemons for good, session.timeout.ms 2000, its partitions"
        harness.Recovery(app, fault, since, theirs).took()
    for daemon in daemons.values():
        harness.eventually(lambda: len(owned(app, daemon)) == 6, "half of the partitions each")        # noqa: B023
    load.agrees()


def test_zombies(make_app, rng, request):
    """A daemon frozen for longer than its session wakes up when its partitions are another's: it can harm nothing."""
    rounds = 50 if request.config.getoption("--long") else 5
    app = make_app(MODEL, workers=1, kafka={"properties": {"session.timeout.ms": "1000",
                                                           "heartbeat.interval.ms": "200"}})
    frozen, other = app.start_live("one"), None
    load = Load(app, rng, 2000)
    for _ in range(rounds):
        frozen.signal(signal.SIGSTOP)
        recovery = harness.Recovery(app, "a daemon froze, session.timeout.ms 1000")
        other = other or app.start("two")
        other.says_more("taken at offset", times=app.partitions)
        recovery.took()
        lost = frozen.log().count("msg=lost")
        frozen.signal(signal.SIGCONT)
        frozen.says("msg=lost", times=lost + 1)
        frozen.says_more("taken at offset")
        load.some_more()
        frozen, other = other, frozen
    load.agrees()


def test_one_instance_twice(make_app):
    """Two daemons with the same instance: one gives up and says so, instead of both fencing each other for ever."""
    app = make_app(MODEL)
    first = app.start_live("one")
    second = harness.Daemon(first.config, app.folder / "double.log")
    app.daemons.append(second)
    harness.eventually(lambda: not (first.runs() and second.runs()), "the end of one of them")
    loser = first if not first.runs() else second
    assert loser.process.returncode == 78 and "same `instance`" in loser.log(), loser.log()
