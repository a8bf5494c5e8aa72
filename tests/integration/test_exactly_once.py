"""The promise: through kill -9 at any moment, every transition and trigger once, and every state right."""
import json
import statistics
import subprocess
import time

import harness
import oracle
import reference
import streams

LIFECYCLE = harness.MODELS / "lifecycle.yaml"
PULSE = harness.Path(__file__).with_name("pulse.yaml")


def kill_while(app, flow, moments):
    """kill -9 at each of these moments, and a new start at once."""
    daemon, recovery = app.start_live(), None
    for moment in sorted(moments):
        if recovery:
            recovery.took(until=flow.started + moment)
        flow.wait_until(moment)
        assert daemon.runs(), f"engaged has ended by itself:\n{daemon.log()[-3000:]}"
        daemon.kill()
        since = time.monotonic()
        daemon = app.start()
        recovery = harness.Recovery(app, "kill -9 of the daemon", since)
    flow.finish()


def test_kills(make_app, rng, request):
    """105,000 events of 12,000 customers in 4 partitions, 2 workers, and kill -9 while they flow."""
    events, seconds, kills = (1_000_000, 200, 60) if request.config.getoption("--long") else (105_000, 20, 8)
    app = make_app(LIFECYCLE, partitions=4, cache="1MiB", flush={"customers": rng.choice([100, 2000])})
    names = streams.customers(rng, events // 9)
    flow = streams.Flow(app.feeder(), streams.history(rng, names, events), events, seconds)
    kill_while(app, flow, [rng.uniform(0.2, seconds - 1) for _ in range(kills)])
    outputs, states = oracle.settle(app, [reference.Model.load(LIFECYCLE)])
    print(f"{events} events, {kills} kills: {outputs} outputs and {states} states agree")
    assert outputs > events / 10 and states > events / 10


def test_kills_by_the_wall_clock(make_app, servers, rng, request):
    """Events of now, and deadlines of idle customers that fire by the wall clock, also while nobody was there."""
    events, seconds, kills = (100_000, 200, 50) if request.config.getoption("--long") else (4_000, 12, 6)
    grace_ms = 2000
    app = make_app(PULSE, time={"mode": "wall", "grace": f"{grace_ms}ms"})
    for topic in app.outputs:       # with the broker's own time of arrival in place of the effective time
        servers.create_topic(topic, app.partitions, message_timestamp_type="LogAppendTime")
    flow = streams.Flow(app.feeder(), streams.present(rng, streams.customers(rng, events // 10), events),
                        events, seconds)
    kill_while(app, flow, [rng.uniform(0.2, seconds - 1) for _ in range(kills)])
    outputs, states = oracle.settle(app, [reference.Model.load(PULSE)], grace_ms, until=oracle.NEVER)
    late = [record.timestamp()[1] - reference.parse_time(event["time"])
            for topic in app.outputs for record in servers.read(topic)
            if (event := json.loads(record.value()))["data"]["cause"]["kind"] == "deadline"]
    print(f"{events} events, {kills} kills: {outputs} outputs and {states} states agree; {len(late)} deadlines came "
          f"{statistics.median(late) - grace_ms:.0f} ms (median), at most {max(late) - grace_ms} ms after their "
          "instant and the grace")
    assert min(late) >= 0, "a deadline has fired before its instant"    # within the grace: at an event of the customer
    assert statistics.median(late) < grace_ms + 1000


def test_kills_at_least_once(make_app, rng):
    """delivery: at-least-once doubles nothing at a kill either: only a zombie could."""
    events, seconds = 10_000, 6
    app = make_app(LIFECYCLE, delivery="at-least-once", flush={"every": "1s"})
    flow = streams.Flow(app.feeder(), streams.history(rng, streams.customers(rng, 1000), events), events, seconds)
    kill_while(app, flow, [rng.uniform(0.5, seconds - 1) for _ in range(4)])
    oracle.settle(app, [reference.Model.load(LIFECYCLE)])


def test_kills_at_the_first_start(make_app, rng, request):
    """kill -9 while a daemon makes its topics and cursors, and begins the journal: the next start is a first one still,
    or goes on from a beginning that is whole."""
    kills, apps, early = (100 if request.config.getoption("--long") else 20), [], 0
    for number in range(kills):
        if number % 2 == 0:
            apps.append(app := make_app(LIFECYCLE, partitions=1, workers=1))
            streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, 20), 100))
        daemon = app.start()
        time.sleep(rng.uniform(0, rng.choice([0.1, 0.6])))      # any moment will do: at once, or until it has begun
        daemon.kill()
        early += "msg=\"start at offset" not in daemon.log()
        if number % 2 == 1:
            app.start()
    for app in apps:
        oracle.settle(app, [reference.Model.load(LIFECYCLE)])
        journal = [json.loads(record.value())["kind"] for record in app.servers.read(f"{app.name}.journal")]
        assert journal == ["start"]
        done = subprocess.run([harness.BUILD / "engagectl", "audit", "--config", app.daemons[-1].config],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    print(f"{kills} kills at a first start, {early} before the journal had begun")
