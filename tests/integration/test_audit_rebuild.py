"""engagectl audit finds what is wrong with the outputs, and nothing else; engagectl rebuild brings lost states back."""
import contextlib
import json
import re
import subprocess

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

import harness
import oracle
import reference
import streams
from test_exactly_once import LIFECYCLE, PULSE, kill_while

DATA, UNAVAILABLE, USAGE = 65, 69, 64
FAULTS = ("missing", "double", "disordered", "unexpected")


def engagectl(app, command, *words, seconds=300):
    """(exit status, standard output, standard error) of a subcommand on the configuration of the app."""
    done = subprocess.run([harness.BUILD / "engagectl", command, "--config", app.folder / "one.yaml", *words],
                          capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def audit(app, *words):
    """The status, and what was found, summed over the partitions."""
    status, out, err = engagectl(app, "audit", "--format", "json", *words)
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows, err
    found = {name: sum(row[name] for row in rows) for name in rows[0] if isinstance(rows[0][name], int)}
    found["examples"] = [example for row in rows for example in row["examples"]]
    return status, found


def assert_clean(app, outputs):
    status, found = audit(app)
    assert (status, found["examples"], found["in_flight"]) == (0, [], 0), json.dumps(found, indent=1)
    assert found["transitions"] + found["triggers"] == outputs, found
    return found


def assert_found(app, text, **faults):
    """The audit finds exactly so many of these faults, and tells of the text."""
    status, found = audit(app)
    assert status == DATA, found
    assert {name: found[name] for name in FAULTS} == {**dict.fromkeys(FAULTS, 0), **faults}, found
    assert any(text in example["text"] for example in found["examples"]), found["examples"]


class Topic:
    """The records of a topic as they can be written again: a copy, or a forgery."""

    def __init__(self, app, topic):
        self.app, self.topic = app, topic
        self.records = [(r.partition(), r.key(), r.value(), r.timestamp()[1], r.headers())
                        for r in app.servers.read(topic)]

    def write(self, records):
        producer = Producer(self.app.servers.client())
        for partition, key, value, timestamp, headers in records:
            producer.produce(self.topic, value, key, partition, timestamp=timestamp, headers=headers)
        assert producer.flush(harness.WAIT_S) == 0

    def make_again(self, records):
        """The topic, with these records and no others."""
        admin = self.app.servers.admin()
        admin.delete_topics([self.topic])[self.topic].result(harness.WAIT_S)
        harness.eventually(lambda: self.topic not in admin.list_topics(timeout=10).topics, "the end of a topic")
        self.app.servers.create_topic(self.topic, self.app.partitions)
        self.write(records)


def header(record, name, value=None):
    """A header's text; or the record with another value in it."""
    *rest, headers = record
    if value is None:
        return dict(headers)[name].decode()
    return (*rest, [(n, value.encode() if n == name else v) for n, v in headers])


def lives(records):
    """Records by the customer's life in a model."""
    found = {}
    for record in records:
        found.setdefault(header(record, "engaged-id").rpartition(":")[0], []).append(record)
    return found


@pytest.fixture
def settled(make_app, rng):
    """An app that has done its work, two bad events included: (app, how many outputs)."""
    app = make_app(LIFECYCLE)
    streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, 200), 3000))
    bad = app.feeder()
    bad.put(b"no event", "c-1")
    bad.put(b"{}", "c-2")
    bad.flush()
    app.start()
    app.await_caught_up()
    app.daemons[0].stop()
    return app, sum(len(app.servers.read(topic)) for topic in app.outputs)


# ---- audit

@pytest.mark.quick
def test_clean(settled):
    app, outputs = settled
    found = assert_clean(app, outputs)
    assert found["events"] == sum(app.servers.ends(app.source, app.partitions)) and found["dead_letters"] == 2, found
    status, table, _ = engagectl(app, "audit")
    assert status == 0 and len(table.splitlines()) == 1 + app.partitions, table
    status, table, _ = engagectl(app, "audit", "--partition", "1")
    assert status == 0 and len(table.splitlines()) == 2, table
    assert engagectl(app, "audit", "--partition", "2")[0] == USAGE
    assert engagectl(app, "audit", "--set", "redis.url=redis://127.0.0.1:1")[0] == UNAVAILABLE
    status, _, err = engagectl(app, "audit", "--set", "kafka.brokers=127.0.0.1:1")
    assert status == UNAVAILABLE and "Kafka at 127.0.0.1:1: topic" in err and "kafka.brokers right?" in err, err
    status, _, err = engagectl(app, "audit", "--set", "app=nobody")
    assert status == 0 and "no entry of app nobody" in err, err
    status, _, err = engagectl(app, "rebuild", "--yes", "--set", "app=nobody")
    assert status == DATA and "Is app right?" in err, err


def test_faults_one_by_one(settled):
    """Each is made by hand, found, and mended again."""
    app, outputs = settled
    transitions, triggers = (Topic(app, topic) for topic in app.outputs)
    double = triggers.records[5]
    triggers.write([double])
    assert_found(app, header(double, "engaged-id"), double=1)

    gone = triggers.records[7]
    triggers.make_again([record for record in triggers.records if record is not gone])
    assert_found(app, header(gone, "engaged-id"), missing=1)
    triggers.make_again(triggers.records)

    first, second = next(life for life in lives(transitions.records).values() if len(life) == 2)
    swapped = {id(first): second, id(second): first}
    transitions.make_again([swapped.get(id(record), record) for record in transitions.records])
    assert_found(app, header(first, "engaged-id"), disordered=1)

    other = header(first, "engaged-digest", "0123456789abcdef")
    transitions.make_again([other if record is first else record for record in transitions.records])
    assert_found(app, header(first, "engaged-id"), unexpected=1)

    transitions.make_again([*transitions.records, header(first, "engaged-id", "lifecycle:nobody:1")])
    assert_found(app, "lifecycle:nobody:1", unexpected=1)

    transitions.make_again(transitions.records)
    letters = Topic(app, app.dead_letters)
    letters.make_again(letters.records[1:])
    assert_found(app, header(letters.records[0], "engaged-id"), missing=1)
    letters.make_again(letters.records)
    assert_clean(app, outputs)


@pytest.mark.parametrize("topic", ["events", "triggers", "journal"])
def test_what_is_gone(settled, topic):
    """The first record of one partition is gone: neither audit nor rebuild can say anything of it."""
    app, _ = settled
    where = TopicPartition(f"{app.name}.{topic}", 1, 1)
    admin = app.servers.admin()
    admin.delete_records([where])[where].result(harness.WAIT_S)
    status, out, err = engagectl(app, "audit", "--format", "json")
    assert status == UNAVAILABLE and f"{where.topic}/1" in err, err
    assert [json.loads(line)["partition"] for line in out.splitlines()] == [0]
    status, _, err = engagectl(app, "rebuild", "--yes")
    assert status == UNAVAILABLE and f"{where.topic}/1" in err and app.cursor(0) and app.cursor(1), err


def test_beside_a_running_daemon(make_app, rng):
    """No fault is ever found while events flow, deadlines fire and daemons are killed; at the end all is audited."""
    app = make_app(PULSE, time={"mode": "wall", "grace": "1s"})
    events, seconds = 4000, 12
    flow = streams.Flow(app.feeder(), streams.present(rng, streams.customers(rng, 400), events), events, seconds)
    app.start_live()
    audits = 0
    while flow.is_alive():
        status, found = audit(app)
        assert status == 0, found
        audits += 1
        if audits % 3 == 0:
            app.daemons[-1].kill()
            app.start()
    flow.finish()
    outputs, _ = oracle.settle(app, [reference.Model.load(PULSE)], 1000, until=oracle.NEVER)
    print(f"{audits} audits beside the daemon; at the end {assert_clean(app, outputs)}")


def test_after_kills(make_app, rng):
    events, seconds = 20_000, 8
    app = make_app(LIFECYCLE, cache="1MiB", flush={"customers": 100})
    flow = streams.Flow(app.feeder(), streams.history(rng, streams.customers(rng, 2000), events), events, seconds)
    kill_while(app, flow, [rng.uniform(0.2, seconds - 1) for _ in range(6)])
    outputs, _ = oracle.settle(app, [reference.Model.load(LIFECYCLE)])
    assert_clean(app, outputs)


def test_old_triggers_may_be_stale(make_app, rng):
    app = make_app(LIFECYCLE, outputs={"max_age": "48h"})
    streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, 100), 1000))
    app.start()
    app.await_caught_up()
    app.daemons[0].stop()
    status, found = audit(app)
    assert (status, found["triggers"]) == (0, 0) and found["stale"] > 100 < found["transitions"], found


VERSION_1 = """
model: turns
version: 1
signals: {buy: [purchase], see: [page_view]}
stages: {new: , buyer: , fan: }
transitions:
  - {name: first, from: new, to: buyer, when: buy}
  - {name: praise, from: buyer, to: fan, when: see, if: count(see) >= 3}
  - {name: cold, from: [buyer, fan], to: new, quiet: 10d}
triggers: [{name: hello, campaign: c, enter: buyer}]
"""
VERSION_2 = VERSION_1.replace("version: 1", "version: 2\nmigrate: {fan: lover}").replace("fan: }", "lover: }").replace(
    "fan", "lover").replace("{lover: lover}", "{fan: lover}").replace("10d", "20d").replace(">= 3", ">= 2")
VERSION_3 = VERSION_2.replace("version: 2\nmigrate: {fan: lover}", "version: 3\nmigrate: {lover: devotee}").replace(
    "lover: }", "devotee: }").replace("to: lover", "to: devotee").replace("[buyer, lover]", "[buyer, devotee]").replace(
    "enter: buyer", "enter: devotee, once: ever")
OTHER = VERSION_1.replace("model: turns", "model: other").replace("quiet: 10d", "quiet: 30d")


class Changes:
    """An app whose model goes from version to version, while another comes, goes, and comes again."""

    def __init__(self, make_app, rng, folder, events=1000):
        self.files = {"v1": VERSION_1, "v2": VERSION_2, "v3": VERSION_3, "other": OTHER}
        for name, text in self.files.items():
            self.files[name] = folder / f"{name}.yaml"
            self.files[name].write_text(text)
        self.app = make_app(self.files["v1"])
        self.customers = streams.customers(rng, 100)
        self.events = list(streams.history(rng, self.customers, 5 * events))
        self.rest = iter(self.events)
        self.number = events

    def work(self, *models, customers=None, events=None):
        """A daemon with these models steps the next events, all or those of some customers, and stops."""
        self.configure(*models)
        next_events = [event for event, _ in zip(self.rest, range(events or self.number))]
        streams.feed(self.app.feeder(), [event for event in next_events if not customers or event[0] in customers])
        self.app.start_live()
        self.app.await_caught_up()
        self.app.daemons.pop().stop()

    def configure(self, *models):
        self.app.config["models"] = [str(self.files[name]) for name in models]
        self.app.write_config()

    def published(self):
        return sorted((record.topic(), record.partition(), record.offset(), record.value())
                      for topic in self.app.outputs for record in self.app.servers.read(topic))

    def seen(self):
        """What show tells of each customer, the statistics, and how far the cursors are."""
        shown = {}
        for customer in self.customers:
            status, out, err = engagectl(self.app, "show", "--format", "json", customer)
            shown[customer] = (status, out, err)
        counted = []
        for partition in range(self.app.partitions):
            stat = self.app.servers.redis.hgetall(self.app.key(partition, "stat"))
            cursor = self.app.cursor(partition)
            counted.append({name: value for name, value in stat.items() if int(value)})
            counted.append({name: value for name, value in cursor.items()
                            if name in ("clock", "start", "program") or name.startswith("customers:")})
        return shown, counted


def test_changes_of_program(make_app, rng, tmp_path):
    """The audit follows changes of version and of models, customers and deadlines included."""
    changes = Changes(make_app, rng, tmp_path)
    app = changes.app
    for models in (["v1"], ["v2", "other"], ["v2"], ["other", "v3"]):
        changes.work(*models)
        assert_clean(app, len(changes.published()))
    assert {b'"to":"fan"', b'"to":"lover"', b'"to":"devotee"'} <= {
        text for _, _, _, value in changes.published() for text in re.findall(rb'"to":"\w+"', value)}
    status, _, err = engagectl(app, "audit", "--set", "time.grace=1h")
    assert status == UNAVAILABLE and "grace" in err, err
    gone = Topic(app, app.outputs[0])
    record = gone.records[3]
    gone.make_again([other for other in gone.records if other is not record])
    assert_found(app, header(record, "engaged-id"), missing=1)


# ---- rebuild

def rebuild(app, *words):
    status, out, err = engagectl(app, "rebuild", "--yes", *words)
    assert status == 0, out + err
    return out


def test_rebuild(make_app, rng, request):
    """Redis loses everything; the daemon halts; rebuilt and started again, it is as if nothing had been."""
    events = 500_000 if request.config.getoption("--long") else 40_000
    app = make_app(LIFECYCLE)
    stream = list(streams.history(rng, streams.customers(rng, events // 8), events))
    streams.feed(app.feeder(), stream[:-1000])
    daemon = app.start()
    app.await_caught_up(200)
    app.servers.redis.flushall()
    streams.feed(app.feeder(), stream[-1000:])
    daemon.says("partition halted", times=app.partitions)
    assert audit(app)[0] == 0       # Kafka alone tells
    status, _, err = engagectl(app, "rebuild")
    assert status == USAGE and "--yes" in err and not app.cursor(0)
    rebuild(app)
    daemon.kill()
    app.start().says("replay over", times=app.partitions, seconds=200)
    outputs, states = oracle.settle(app, [reference.Model.load(LIFECYCLE)])
    print(f"{outputs} outputs and {states} states agree")
    assert_clean(app, outputs)


def test_a_change_of_program_taken_back(make_app, rng, tmp_path):
    """A program that came and went before anything was stepped was never at work, whatever its version."""
    changes = Changes(make_app, rng, tmp_path)
    app = changes.app
    changes.files["next"] = tmp_path / "next.yaml"
    changes.files["next"].write_text(VERSION_1.replace("version: 1", "version: 2").replace("10d", "20d"))
    changes.work("v1")
    for models in ("next", "v1"):
        changes.configure(models)
        app.start_live()
        app.daemons.pop().stop()
    kinds = [header(record, "engaged-kind") for record in Topic(app, f"{app.name}.journal").records]
    assert kinds.count("switch") == 2 * app.partitions, kinds
    changes.work("v1")
    published = changes.published()
    assert_clean(app, len(published))
    app.servers.redis.flushall()
    rebuild(app)
    changes.work("v1")
    assert_clean(app, len(changes.published()))
    assert set(published) < set(changes.published())


@pytest.mark.parametrize("last", [["v3"], ["other", "v3"]], ids=["other-gone", "other-back"])
def test_rebuild_across_changes_of_program(make_app, rng, tmp_path, last):
    """Redis loses everything after two versions with renamed stages: states, counts and outputs are as they were."""
    changes = Changes(make_app, rng, tmp_path)
    app = changes.app
    changes.work("v1")
    changes.work("v2", "other", customers=changes.customers[:60])
    changes.work(*last, customers=changes.customers[:30])       # the others wait in the states of former versions
    seen, published = changes.seen(), changes.published()
    app.servers.redis.flushall()
    changes.configure("v2", "other")
    status, _, err = engagectl(app, "rebuild", "--yes")
    assert status == UNAVAILABLE and "at work last" in err and not app.cursor(0), err
    changes.configure(*last)
    rebuild(app)
    app.start().says("replay over", times=app.partitions)
    app.await_caught_up()
    app.daemons.pop().stop()
    assert changes.published() == published
    assert changes.seen() == seen
    changes.work("other", "v3")                                 # all customers, and the other model is back
    assert_clean(app, len(changes.published()))


def test_rebuild_beside_a_running_daemon(make_app, rng):
    """States are not even lost, and a daemon works on them: it halts, and loses nothing."""
    app = make_app(LIFECYCLE, partitions=3)
    flow = streams.Flow(app.feeder(), streams.history(rng, streams.customers(rng, 800), 8000), 8000, 6)
    daemon = app.start_live()
    flow.wait_until(3)
    rebuild(app, "--partition", "1")
    assert "partition 0" not in rebuild(app, "--partition", "2")
    flow.finish()
    daemon.kill()
    app.start()
    outputs, _ = oracle.settle(app, [reference.Model.load(LIFECYCLE)])
    assert_clean(app, outputs)


def test_rebuild_waits_for_a_torn_transaction(make_app, rng):
    """A crash between a transaction's offsets and its end: the group's offset is not told until it has timed out."""
    app = make_app(LIFECYCLE)
    streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, 100), 1000))
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    app.servers.redis.flushall()
    torn = Producer(app.servers.client(transactional_id=f"{app.name}-torn", transaction_timeout_ms=10_000))
    torn.init_transactions(harness.WAIT_S)
    torn.begin_transaction()
    with contextlib.closing(Consumer(app.servers.client(group_id=app.name))) as consumer:
        torn.send_offsets_to_transaction([TopicPartition(app.source, 0, 1_000_000)], consumer.consumer_group_metadata())
    rebuild(app)
    app.start().says("replay over", times=app.partitions)
    outputs, _ = oracle.settle(app, [reference.Model.load(LIFECYCLE)])
    assert_clean(app, outputs)


def test_rebuild_by_the_wall_clock(make_app, servers, rng):
    """Deadlines that fired for idle customers, and rejected events: decisions that only the journal knows."""
    app = make_app(PULSE, time={"mode": "wall", "grace": "1s", "max_future": "1s"})
    stream = streams.present(rng, streams.customers(rng, 300), 2000)
    flow = streams.Flow(app.feeder(), stream, 2000, 6)
    daemon = app.start()
    flow.finish()
    feeder = app.feeder()
    late = json.loads(next(streams.present(rng, ["c-1"], 1))[1])
    feeder.put(json.dumps({**late, "time": late["time"] + 5000}), "c-1")
    feeder.flush()
    letters = app.servers.reader(app.dead_letters)
    letters.until(lambda records: len(records) == 1, "the rejection")
    letters.close()
    daemon.kill()
    servers.redis.flushall()
    rebuild(app)
    app.start()
    good = [[event for event in part if event.time < late["time"] + 5000] for part in oracle.source_events(app)]
    expected = oracle.expect(app, [reference.Model.load(PULSE)], good, 1000, oracle.NEVER)
    app.await_caught_up()
    oracle.await_outputs(app, expected)
    app.daemons[-1].stop()
    outputs, _ = oracle.assert_equal(app, [reference.Model.load(PULSE)], expected)
    assert assert_clean(app, outputs)["dead_letters"] == 1
