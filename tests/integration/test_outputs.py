"""What others build on: the form of outputs, their topics and keys; and which topics are refused at the start."""
import random
import time
from datetime import datetime, timezone

import msgpack
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

import harness
import oracle
import reference
import streams

MODEL = harness.MODELS / "lifecycle.yaml"


class MsgpackFormat(JSONFormat):
    def read(self, event_factory, data):
        attributes = msgpack.unpackb(data)
        attributes["time"] = datetime.fromisoformat(attributes["time"])
        return (event_factory or CloudEvent)(attributes, attributes.pop("data"))

    def read_data(self, body, datacontenttype):
        return msgpack.unpackb(body)


def parsed(record, form):
    headers = {name: value for name, value in record.headers() if name.startswith("ce_") or name == "content-type"}
    return from_kafka(KafkaMessage(headers, None, record.value()), form)


def milliseconds(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // reference.timedelta(milliseconds=1)


CONTENT = {("json", "structured"): "application/cloudevents+json", ("json", "binary"): "application/json",
           ("msgpack", "structured"): "application/cloudevents+msgpack", ("msgpack", "binary"): "application/msgpack"}


@pytest.mark.parametrize("encoding, mode", [*CONTENT][:-1] + [pytest.param(*[*CONTENT][-1], marks=pytest.mark.quick)])
def test_cloudevents(make_app, servers, encoding, mode):
    """A third party's CloudEvents library reads them, and finds what the reference says."""
    form = JSONFormat() if encoding == "json" else MsgpackFormat()
    app = make_app(MODEL, partitions=3, outputs={"format": encoding, "cloudevents": mode})
    campaigns = {"onboarding": f"{app.name}.onboarding", "reactivation": f"{app.name}.win-them-back", "objective": None}
    app.config["outputs"]["campaigns"] = campaigns
    app.outputs += [topic for topic in campaigns.values() if topic]
    rng = random.Random(7)
    streams.feed(app.feeder(), streams.history(rng, [*streams.customers(rng, 30), "客户", "a:b c\"\\"], 600))
    begun = int(time.time() * 1000)
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()

    def decode(record):
        event = parsed(record, form)
        headers, data = dict(record.headers()), event.get_data()
        campaign = data.get("campaign")
        assert headers["content-type"].decode() == CONTENT[encoding, mode]
        assert headers["engaged-app"].decode() == app.name
        assert headers["engaged-id"].decode() == event.get_id()
        assert headers["engaged-partition"].decode() == f"{app.source}/{record.partition()}"
        assert int(headers["engaged-offset"]) > 0 and len(headers["engaged-digest"]) == 16
        assert (event.get_specversion(), event.get_source()) == ("1.0", f"engaged/{app.name}")
        assert event.get_subject() == data["customer"] == record.key().decode()
        assert record.topic() == (campaigns.get(campaign, app.outputs[1]) if campaign else app.outputs[0])
        assert record.timestamp()[1] >= begun       # when it was made, or retention would delete a backfill's
        if data["cause"]["kind"] == "event":
            cause = data["cause"]
            assert (cause["topic"], cause["partition"]) == (app.source, record.partition())
            line = reference.parse_event(source[cause["partition"], cause["offset"]])
            assert (line.customer, line.type, line.id) == (data["customer"], cause["type"], cause.get("id"))
        return event.get_id(), event.get_type().removeprefix("engaged."), milliseconds(event.get_time()), data

    source = {(r.partition(), r.offset()): r.value().decode() for r in servers.read(app.source)}
    models = [reference.Model.load(MODEL)]
    found, wrong = oracle.published(app, models, decode=decode)
    assert not wrong, wrong[:5]
    wanted = {key: [output for output in outputs if campaigns.get(output.get("campaign"), "") is not None]
              for key, outputs in oracle.expect(app, models).outputs.items()}
    assert found == {key: outputs for key, outputs in wanted.items() if outputs}
    assert {output.get("campaign") for outputs in found.values() for output in outputs} \
        == {None, "onboarding", "reactivation", "advocacy"}


def test_no_transitions(make_app, servers):
    """outputs.transitions null: none are published, and their ordinals are taken all the same."""
    app = make_app(MODEL, outputs={"transitions": None})
    streams.feed(app.feeder(), streams.history(random.Random(8), ["c-1", "c-2", "c-3"], 200))
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    transitions, app.outputs = app.outputs[0], app.outputs[1:]
    assert servers.read(transitions) == []
    models = [reference.Model.load(MODEL)]
    wanted = {key: [output for output in outputs if output["kind"] == "trigger"]
              for key, outputs in oracle.expect(app, models).outputs.items()}
    found, wrong = oracle.published(app, models)
    assert not wrong and found == {key: outputs for key, outputs in wanted.items() if outputs}


def test_backfill_is_quiet(make_app, servers):
    """Triggers older than outputs.max_age are not published, transitions are; states are those of a loud run."""
    app = make_app(MODEL, outputs={"max_age": "48h"})
    rng, names = random.Random(9), ["c-1", "c-2", "c-3", "c-4"]
    streams.feed(app.feeder(), streams.history(rng, names, 300))
    now = int(time.time() * 1000)
    fresh = [('{"customer":"new-%d","type":"purchase","time":%d}' % (i, now - 3_600_000 + i)) for i in range(4)]
    feeder = app.feeder()
    for i, line in enumerate(fresh):
        feeder.put(line, f"new-{i}")
    feeder.flush()
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    models = [reference.Model.load(MODEL)]
    expected = oracle.expect(app, models)
    for key, outputs in expected.outputs.items():
        expected.outputs[key] = [output for output in outputs
                                 if output["kind"] == "transition" or output["time"] > now - 47 * 3_600_000]
    expected.outputs = {key: outputs for key, outputs in expected.outputs.items() if outputs}
    assert oracle.assert_equal(app, models, expected)[0] > 20


# What is wrong, how it is made so, and words of the message that says so.
REFUSED = {
    "other partitions": (lambda app, s: s.create_topic(app.outputs[0], 3), ["has 3 partitions", "source"]),
    "compacted outputs": (lambda app, s: s.create_topic(app.outputs[1], 2, cleanup_policy="compact"), ["compacted"]),
    "compacted dead letters": (lambda app, s: s.create_topic(app.dead_letters, 2, cleanup_policy="compact,delete"),
                               ["compacted"]),
    "a journal that forgets": (lambda app, s: s.create_topic(f"{app.name}.journal", 2, retention_ms=1000),
                               ["retention.ms"]),
    "no topics and no right to make them": (lambda app, s: app.config["outputs"].update(create=False),
                                            ["does not exist", "outputs.create"]),
    "no source": (lambda app, s: app.config["sources"][0].update(topics=["no-such-topic"]),
                  ["no-such-topic does not exist"]),
    "source and output in one": (lambda app, s: app.config["outputs"].update(triggers=app.source), [""]),
    "dead letters among triggers": (lambda app, s: app.config["outputs"].update(dead_letters=f"{app.name}.triggers"),
                                    ["dead_letters"]),
    "a reserved property": (lambda app, s: app.config["kafka"].update(properties={"acks": "1"}), ["acks"]),
}


@pytest.mark.parametrize("spoil, words", REFUSED.values(), ids=REFUSED.keys())
def test_refused(make_app, servers, spoil, words):
    """Exit status 78 at once, with a message that says what is wrong."""
    app = make_app(MODEL)
    spoil(app, servers)
    daemon = app.start()
    assert daemon.ends(20) == 78
    assert all(word in daemon.log() for word in words), daemon.log()


def test_compacted_source_refused(make_app):
    daemon = make_app(MODEL, source_config={"cleanup_policy": "compact"}).start()
    assert daemon.ends(20) == 78 and "compacted" in daemon.log()
