"""The promise: through kill -9 at any moment, every transition and trigger once, and every state right."""
import json
import random
import statistics
import threading
import time

import pytest

import harness
import oracle
import reference
import streams

PULSE = harness.Path(__file__).with_name("pulse.yaml")


@pytest.fixture
def rng(request):
    given = request.config.getoption("--seed")
    seed = given if given is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}: repeat with --seed {seed}")
    return random.Random(seed)


def fly(feeder, stream, number, seconds):
    """Feeds so many (customer, event) evenly over so many seconds, in a thread of its own."""
    start = time.monotonic()

    def run():
        for fed, (customer, line) in enumerate(stream, 1):
            feeder.put(line, customer)
            if fed % 20 == 0:
                time.sleep(max(0, start + seconds * fed / number - time.monotonic()))
        feeder.flush()
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def kill_while(app, thread, moments):
    """kill -9 at each of these moments, and a new start at once."""
    start = time.monotonic()
    daemon = app.start()
    for moment in sorted(moments):
        time.sleep(max(0, start + moment - time.monotonic()))
        assert daemon.runs(), f"engaged has ended by itself:\n{daemon.log()[-3000:]}"
        assert thread.is_alive(), "no event flows any more"
        daemon.kill()
        daemon = app.start()
    thread.join()


def test_kills(make_app, rng, request):
    """105,000 events of 12,000 customers in 4 partitions, 2 workers, and kill -9 while they flow."""
    events, seconds, kills = (1_000_000, 200, 60) if request.config.getoption("--long") else (105_000, 20, 8)
    model = harness.MODELS / "lifecycle.yaml"
    app = make_app(model, partitions=4, cache="1MiB", flush={"customers": rng.choice([100, 2000])})
    names = streams.customers(rng, events // 9)
    thread = fly(app.feeder(), streams.history(rng, names, events), events, seconds)
    kill_while(app, thread, [rng.uniform(0.2, seconds - 1) for _ in range(kills)])
    outputs, states = oracle.settle(app, [reference.Model.load(model)])
    print(f"{events} events, {kills} kills: {outputs} outputs and {states} states agree")
    assert outputs > events / 10 and states > events / 10


def now_ms():
    return time.time_ns() // 1_000_000


def live_events(rng, customers, number):
    for _ in range(number):
        customer = f"c-{rng.randrange(customers)}"
        kind = "purchase" if rng.random() < 0.3 else "visit"
        yield customer, json.dumps({"customer": customer, "type": kind, "time": now_ms(), "value": 1})


def test_kills_by_the_wall_clock(make_app, servers, rng, request):
    """Events of now, and deadlines of idle customers that fire by the wall clock, also while nobody was there."""
    events, seconds, kills = (100_000, 200, 50) if request.config.getoption("--long") else (4_000, 12, 6)
    grace_ms = 2000
    app = make_app(PULSE, time={"mode": "wall", "grace": f"{grace_ms}ms"})
    for topic in app.outputs:       # with the broker's own time of arrival in place of the effective time
        servers.create_topic(topic, app.partitions, message_timestamp_type="LogAppendTime")
    thread = fly(app.feeder(), live_events(rng, events // 10, events), events, seconds)
    kill_while(app, thread, [rng.uniform(0.2, seconds - 1) for _ in range(kills)])
    outputs, states = oracle.settle(app, [reference.Model.load(PULSE)], grace_ms, until=oracle.NEVER)
    late = [record.timestamp()[1] - reference.parse_time(event["time"])
            for topic in app.outputs for record in servers.read(topic)
            if (event := json.loads(record.value()))["data"]["cause"]["kind"] == "deadline"]
    print(f"{events} events, {kills} kills: {outputs} outputs and {states} states agree; {len(late)} deadlines came "
          f"{statistics.median(late) - grace_ms:.0f} ms (median), at most {max(late) - grace_ms} ms after their instant "
          "and the grace")
    assert min(late) >= 0, "a deadline has fired before its instant"    # within the grace: at an event of the customer
    assert statistics.median(late) < grace_ms + 1000
