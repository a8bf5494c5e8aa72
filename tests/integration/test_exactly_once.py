"""The promise: through kill -9 at any moment, every transition and trigger once, and every state right."""
import json
import random
import threading
import time

import pytest

import harness
import oracle
import reference
import streams


@pytest.fixture
def seed(request):
    given = request.config.getoption("--seed")
    found = given if given is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {found}: repeat with --seed {found}")
    return found


def fly(feeder, stream, pause_s):
    """Feeds in a thread of its own: a little, a pause, a little more."""
    def run():
        for number, (customer, line) in enumerate(stream, 1):
            feeder.put(line() if callable(line) else line, customer)
            if number % 100 == 0:
                time.sleep(pause_s)
        feeder.flush()
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def kill_while(app, rng, thread, kills, longest_s):
    """kill -9 and a new start, again and again: mostly while it works, sometimes when it has hardly begun."""
    daemon = app.start()
    for _ in range(kills):
        time.sleep(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.3, longest_s)]))
        assert daemon.runs(), f"engaged has ended by itself:\n{daemon.log()[-3000:]}"
        assert thread.is_alive(), "all events were in Kafka before the last kill: make the stream longer"
        daemon.kill()
        daemon = app.start()
    thread.join()


def test_kills(make_app, seed, request):
    """100,000 events of 12,000 customers in 4 partitions, 2 workers, and kill -9 while they flow."""
    long = request.config.getoption("--long")
    kills, events = (60, 1_000_000) if long else (6, 105_000)
    rng = streams.random_of(seed, "kills")
    model = harness.MODELS / "lifecycle.yaml"
    app = make_app(model, partitions=4, cache="1MiB", flush={"customers": rng.choice([100, 2000])})
    names = streams.customers(rng, events // 9)
    thread = fly(app.feeder(), streams.history(rng, names, events), 20 / (events / 100) * (6 if long else 1))
    kill_while(app, rng, thread, kills, 3.5)
    since = time.monotonic()
    outputs, states = oracle.settle(app, [reference.Model.load(model)])
    print(f"{events} events, {kills} kills: {outputs} outputs and {states} states agree; "
          f"{time.monotonic() - since:.1f} s from the last event on")
    assert outputs > events / 10 and states > events / 11
