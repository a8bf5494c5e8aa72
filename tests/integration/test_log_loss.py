"""Kafka loses events, by retention or by hand: a partition that needs them halts and says which, the others go on; one
that does not goes on, too. And Kafka's own crashes lose none."""
import json
import signal
import subprocess
import time

import pytest
from confluent_kafka import TopicPartition

import harness
import oracle
import reference
import streams
from load import MODEL, Load, agrees

GONE, WHOLE = 0, 1      # partitions: of the one events are deleted


def delete_before(app, partition, offset):
    admin, where = app.servers.admin(), TopicPartition(app.source, partition, offset)
    admin.delete_records([where])[where].result(harness.WAIT_S)


class Fed:
    """An app with events, and a reader that has seen them before they went."""

    def __init__(self, app, rng):
        self.app, self.rng, self.names = app, rng, streams.customers(rng, 300)
        self.feeder, self.stream = app.feeder(), streams.history(rng, self.names, 100_000)
        self.reader = app.servers.reader(app.source)

    def more(self, events):
        for _ in range(events):
            customer, line = next(self.stream)
            self.feeder.put(line, customer)
        self.feeder.flush()
        ends = self.app.servers.ends(self.app.source, self.app.partitions)
        self.reader.until(lambda records: len(records) == sum(ends), "the events")
        return ends

    def expected(self):
        lines = [[r.value().decode() for r in self.reader.records if r.partition() == p]
                 for p in range(self.app.partitions)]
        return oracle.expect(self.app, [reference.Model.load(MODEL)], [list(reference.read_events(x)) for x in lines])


def halted(app):
    """What the metric says, by partition."""
    lines = [line for line in app.http("/metrics").splitlines() if line.startswith("engaged_partition_halted{")]
    return {int(line.split('partition="')[1].split('"')[0]): int(line.split()[-1]) for line in lines}


def status_of(app):
    return json.loads(app.http("/v1/status"))["partitions"]


def states_of(app):
    return {part["partition"]: part["state"] for part in status_of(app)}


def assert_halted(app, fed, needed, first):
    """The partition has halted for want of the events from `needed` to `first`; the other one is right to its end."""
    daemon = app.daemons[-1]
    daemon.says("partition halted")
    last = fed.more(1000)
    harness.eventually(lambda: app.offsets()[WHOLE] == last[WHOLE], "the other partition goes on")
    harness.eventually(lambda: halted(app) == {GONE: 1, WHOLE: 0}, lambda: f"the metric: {halted(app)}")
    text, = [line for line in daemon.log().splitlines() if "partition halted" in line]
    harness.eventually(lambda: states_of(app) == {GONE: "halted", WHOLE: "live"}, lambda: f"status: {states_of(app)}")
    reason, = [part["reason"] for part in status_of(app) if part["partition"] == GONE]
    table = subprocess.run([harness.BUILD / "engagectl", "status", "--config", daemon.config], capture_output=True,
                           text=True, check=False).stdout
    for said in (text, reason, table):
        assert f"the log holds offsets {first} to" in said and f"the next event is to be {needed}" in said, said
    expected = fed.expected()
    harness.eventually(lambda: len(published(app)) == len(of_partition(expected.outputs, WHOLE)), "the other's outputs")
    daemon.stop()
    found, wrong = oracle.published(app, [reference.Model.load(MODEL)])
    for key, outputs in expected.outputs.items():
        begun = found.get(key, [])
        if begun != (outputs if key[0] == WHOLE else outputs[:len(begun)]):
            wrong.append(f"{key}: {begun}, not {outputs}")
    states = of_partition(oracle.stored_states(app, [reference.Model.load(MODEL)]), WHOLE)
    assert not wrong and states == of_partition(expected.states, WHOLE), wrong[:5]


def published(app):
    return of_partition(oracle.published(app, [reference.Model.load(MODEL)])[0], WHOLE)


def of_partition(values, partition):
    return {key: value for key, value in values.items() if key[0] == partition}


def caught_up(make_app, rng, **config):
    """An app that has stepped its first events: what they come from, and its daemon."""
    app = make_app(MODEL, **config)
    fed = Fed(app, rng)
    fed.more(2000)
    daemon = app.start_live()
    app.await_caught_up()
    return app, fed, daemon


def with_http():
    return {"http": {"listen": f"127.0.0.1:{harness.free_port()}"}}


def test_needed_events_deleted_while_stopped(make_app, rng):
    app, fed, daemon = caught_up(make_app, rng, **with_http())
    daemon.stop()
    needed = app.offsets()[GONE]
    first = fed.more(1000)[GONE] - rng.randint(1, 100)
    delete_before(app, GONE, first)
    app.start()
    assert_halted(app, fed, needed, first)


def test_needed_events_deleted_while_running(make_app, rng):
    """They go while the daemon is frozen; it wakes up, takes what it had fetched, and misses the next one."""
    app, fed, daemon = caught_up(make_app, rng, **with_http())
    daemon.signal(signal.SIGSTOP)
    fed.more(1000)                              # a fetch that waits at the broker takes these, or a part of them
    first = fed.more(1000)[GONE] - rng.randint(1, 100)
    delete_before(app, GONE, first)
    daemon.signal(signal.SIGCONT)
    daemon.says("partition halted")
    needed = app.offsets()[GONE]
    assert_halted(app, fed, needed, first)


def test_events_deleted_behind_the_cursor(make_app, rng):
    """What the states account for may go: while the daemon runs, and before it starts again."""
    app, fed, daemon = caught_up(make_app, rng)
    for partition, offset in enumerate(app.offsets()):
        delete_before(app, partition, offset - rng.choice([0, 1, 100]))
    fed.more(1000)
    app.await_caught_up()
    daemon.stop()
    for partition, offset in enumerate(app.offsets()):
        delete_before(app, partition, offset)
    fed.more(1000)
    app.start()
    expected = fed.expected()
    app.await_caught_up()
    oracle.await_outputs(app, expected)
    app.daemons[-1].stop()
    oracle.assert_equal(app, [reference.Model.load(MODEL)], expected)


def test_broker_killed_again_and_again(make_app, servers, rng, request):
    """kill -9 of the only broker at random moments while events flow."""
    app = make_app(MODEL)
    app.start_live()
    load = Load(app, rng, 2000)
    for _ in range(15 if request.config.getoption("--long") else 3):
        servers.restart("kafka", "KILL")
        recovery = harness.Recovery(app, "kill -9 of the broker, and its restart")
        if rng.random() < 0.7:      # else while it is being made up for
            recovery.took()
    load.some_more()
    load.agrees()


def test_broker_killed_at_a_first_start(make_app, servers, rng, request):
    """kill -9 of the broker while a daemon makes its topics, joins its group, and begins its journal."""
    for _ in range(15 if request.config.getoption("--long") else 2):
        app = make_app(MODEL)
        streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, 100), 1000))
        app.start()
        time.sleep(rng.uniform(0, 1))       # any moment will do
        servers.restart("kafka", "KILL")
        since = time.monotonic()
        harness.eventually(lambda: servers.read(app.outputs[0]), "outputs")     # noqa: B023
        print(f"recovery after kill -9 of the broker at a first start: {time.monotonic() - since:.2f} s")
        agrees(app)
