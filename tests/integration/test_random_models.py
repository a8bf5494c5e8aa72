"""Random models with random streams through the daemon, cut into batches, workers and flushes of all sizes, with a kill
and an orderly restart in between: outputs and states are the reference's, whatever the cut."""
import json

import oracle
import random_models
import reference

SHAPES = [    # batch.events, flush.customers, workers
    (1, 1, 1),
    (7, 3, 2),
    (10_000, 2_000, 2),
]
SEEDS, SEEDS_LONG = 6, 200


def pytest_generate_tests(metafunc):
    metafunc.parametrize("seed", range(1, 1 + (SEEDS_LONG if metafunc.config.getoption("--long") else SEEDS)))


def test_any_cut_gives_the_same(make_app, tmp_path, seed):
    batch, customers, workers = SHAPES[seed % len(SHAPES)]
    sizes = random_models.Sizes(bad=0.0, score=0.0)     # a score's crossings may differ by a millisecond
    text, lines, options = random_models.generate(seed, sizes)
    path = tmp_path / "model.yaml"
    path.write_text(text, encoding="utf-8")
    models = [reference.Model.load(path)]
    app = make_app(path, batch={"events": batch}, flush={"customers": customers, "every": "50ms"}, workers=workers,
                   time={"mode": "event", "grace": f"{options['grace']}ms", "max_future": "365d"})
    feeder = app.feeder()

    def feed(some):
        for line in some:
            feeder.put(line, json.loads(line)["customer"])
        feeder.flush()

    third = len(lines) // 3
    feed(lines[:third])
    app.start_live().kill()
    feed(lines[third:2 * third])
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    feed(lines[2 * third:])
    app.start()
    outputs, states = oracle.settle(app, models, grace_ms=options["grace"])
    assert states > 0 or seed > SEEDS   # now and then a model counts none of its events
    print(f"seed {seed}: {len(lines)} events, {outputs} outputs, {states} states; batch {batch}, {workers} workers")
