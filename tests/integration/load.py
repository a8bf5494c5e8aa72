"""A steady stream of events through an app, while a test does harm around it; and whether what came out is right."""
import harness
import oracle
import reference
import streams

MODEL = harness.MODELS / "lifecycle.yaml"
SHORT_SESSION = {"kafka": {"properties": {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300"}}}


class Load:
    """An app under a steady stream of events, until it is asked whether what came out is the reference's."""

    def __init__(self, app, rng, seconds=240):
        self.app, number = app, 500 * seconds
        stream = streams.history(rng, streams.customers(rng, 800), number, span_ms=number * streams.DAY_MS // 20)
        self.flow = streams.Flow(app.feeder(), stream, number, seconds)
        self.some_more()

    def some_more(self):
        """Until outputs come that were not there when it was asked."""
        counted = sum(self.app.servers.ends(self.app.outputs[0], self.app.partitions))
        harness.eventually(lambda: sum(self.app.servers.ends(self.app.outputs[0], self.app.partitions)) > counted,
                           lambda: f"more transitions than {counted}")

    def stored(self):
        """Until Redis has acknowledged more states of each partition; how far they go then."""
        before = self.app.offsets()
        harness.eventually(lambda: all(now > then for now, then in zip(self.app.offsets(), before)),
                           lambda: f"cursors beyond {before}: {self.app.offsets()}")
        return self.app.offsets()

    def agrees(self):
        self.flow.finish(enough=True)
        return agrees(self.app)


def agrees(app):
    return oracle.settle(app, [reference.Model.load(model) for model in app.models])


def feed(app, rng, events):
    streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, events // 9), events))
