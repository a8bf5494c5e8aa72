"""What must have come out: the reference interpreter over the log as it stands in Kafka, and the comparison.

Every transition and trigger, read committed, and every state in Redis must equal the reference's: none missing,
none twice, each in its source's partition, in order per customer and topic.

The reference looks for the earliest deadline of all customers after every event. As customers are independent of
each other, each is stepped alone here, with the partition clock that it would have seen: the same, but in
seconds instead of hours.
"""
import json
from collections import Counter, defaultdict
from dataclasses import dataclass

import msgpack

import reference
from compare import essence, tell

GRACE_MS = 10_000
NEVER = 1 << 62


@dataclass
class Expected:
    outputs: dict           # (partition, customer, model): essences in order
    states: dict            # (partition, customer, model): what decode_state gives


def fire_before(lives, clock):
    for life in lives.values():
        while (due := life.next_deadline()) and due.time < clock:
            life.fire(due)


def run_partition(models, events, grace_ms=GRACE_MS, until=None, switches=None):
    """The lives of a partition's customers, by (customer, number of the model), and their outputs.

    until: at the end deadlines before this instant fire, too (NEVER: all). switches: {offset: models of a later
    version}, with the same facts; nothing happens to a customer before the instant of a switch any more.
    """
    lives, outputs, clock = {}, defaultdict(list), None
    for offset, event in enumerate(events):
        if offset in (switches or {}):
            fire_before(lives, clock)
            models = switches[offset]
            for (_, number), life in lives.items():
                life.model, life.next, life.clock = models[number], None, max(life.clock, clock)
        for number, model in enumerate(models):
            signals = model.match(event)
            if not signals:
                continue
            key = (event.customer, number)
            if key not in lives:
                lives[key] = reference.Life(model, event.customer, event.time, outputs[key].append)
            lives[key].step(event, signals, clock)
        clock = event.time - grace_ms if clock is None else max(clock, event.time - grace_ms)
    if lives:
        fire_before(lives, max(clock, until or clock))
    return lives, outputs


def state_of(life):
    return {"stage": life.stage, "ordinal": life.ordinal, "first": life.first_seen(), "last": life.last_seen(),
            "clock": life.clock, "entered": life.entered, "visits": list(life.visits.values())}


def decode_state(model, packed):
    """A state as stored: a msgpack array, times as distances from the customer's last event. See core/customer.c.

    One of an earlier version has not been touched since; its clock would move to the switch's when it is.
    """
    fields = msgpack.unpackb(packed)
    version, stage, ordinal, last, from_first, to_clock, from_entered = fields[:7]
    assert 1 <= version <= model.version
    scored = any(fact.name == "score" for fact in model.facts)
    slots = fields[12 if scored else 10:]
    visits = slots[:len(model.stages)]              # zeros at the end of the array are left out
    return {"stage": model.stages[stage], "ordinal": ordinal, "first": last - from_first, "last": last,
            "clock": last + to_clock if version == model.version else None, "entered": last + to_clock - from_entered,
            "visits": visits + [0] * (len(model.stages) - len(visits))}


def unpack_id(field):
    """A customer's id: as it is, or a UUID in lower case as a NUL and its 16 bytes."""
    if len(field) == 17 and field[0] == 0:
        digits = field[1:].hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return field.decode()


def stored_states(app, models):
    """Every state in Redis; the counts beside them must fit."""
    found, redis = {}, app.redis or app.servers.redis
    for partition in range(app.partitions):
        cursor = app.cursor(partition)
        for number, model in enumerate(models):
            stages = Counter()
            for bucket in range(int(cursor.get(f"buckets:{model.name}", 0))):
                for field, packed in redis.hgetall(app.key(partition, f"b:{model.name}:{bucket}")).items():
                    key = (partition, unpack_id(field), number)
                    assert key not in found, f"{key} is in two buckets"
                    found[key] = decode_state(model, packed)
                    stages[found[key]["stage"]] += 1
            assert stages.total() == int(cursor.get(f"customers:{model.name}", 0))
            stat = redis.hgetall(app.key(partition, "stat"))
            population = {name: int(stat.get(f"{model.name}:stage:{name}".encode(), 0)) for name in model.stages}
            assert population == {name: stages[name] for name in model.stages}
    return found


def structured_json(record):
    """A record's id, kind, effective time and data."""
    event = json.loads(record.value())
    return event["id"], event["type"].removeprefix("engaged."), reference.parse_time(event["time"]), event["data"]


def published(app, models, topics=None, decode=structured_json):
    """Every committed transition and trigger as an essence, and what is wrong with them as records."""
    found, wrong = defaultdict(list), []
    numbers = {model.name: number for number, model in enumerate(models)}
    for topic in topics or app.outputs:
        latest = {}
        for record in app.servers.read(topic):
            name, kind, time, data = decode(record)
            key = (record.partition(), data["customer"], numbers[data["model"]])
            if latest.get(key, 0) >= data["ordinal"]:
                wrong.append(f"{topic}: ordinal {data['ordinal']} of {key} after {latest[key]}")
            latest[key] = data["ordinal"]
            if record.key().decode() != data["customer"]:
                wrong.append(f"{topic}: key {record.key()} of {name}")
            if name != f"{data['model']}:{data['customer']}:{data['ordinal']}":
                wrong.append(f"{topic}: id {name}")
            found[key].append(essence({**data, "time": time}, kind))
    for outputs in found.values():      # several topics, one sequence
        outputs.sort(key=lambda output: output["ordinal"])
    return found, wrong


def source_events(app):
    """The events in the source topic, by partition."""
    partitions = [[] for _ in range(app.partitions)]
    for record in app.servers.read(app.source):
        partitions[record.partition()].append(record.value().decode())
    return [list(reference.read_events(lines)) for lines in partitions]


def expect(app, models, events=None, grace_ms=GRACE_MS, until=None, switches=None):
    """What the reference makes of the source's events (or these, by partition); switches: by partition, see above."""
    outputs, states = {}, {}
    for partition, part in enumerate(events if events is not None else source_events(app)):
        lives, made = run_partition(models, part, grace_ms, until, (switches or {}).get(partition))
        for (customer, number), life in lives.items():
            states[partition, customer, number] = state_of(life)
            sent = [essence(output, output["kind"]) for output in made[customer, number]
                    if "suppressed" not in output]
            if sent:
                outputs[partition, customer, number] = sent
    return Expected(outputs, states)


def count(expected):
    return sum(map(len, expected.outputs.values()))


def await_outputs(app, expected):
    """Until as many outputs are there as there must be."""
    readers = [app.servers.reader(topic) for topic in app.outputs]
    try:
        wanted = {"transition": 0, "trigger": 0}
        for output in (output for outputs in expected.outputs.values() for output in outputs):
            wanted[output["kind"]] += 1
        for reader, number in zip(readers, wanted.values()):
            reader.until(lambda records: len(records) >= number, f"{number} outputs")     # noqa: B023
    finally:
        for reader in readers:
            reader.close()


def assert_equal(app, models, expected):
    """Outputs and states are the reference's. All daemons must have stopped in order."""
    found, wrong = published(app, models)
    for key in sorted(set(found) | set(expected.outputs)):
        if found.get(key, []) != expected.outputs.get(key, []):
            wrong.append(f"outputs of {key}:\n  expected " +
                         "\n           ".join(map(tell, expected.outputs.get(key, []))) +
                         "\n  found    " + "\n           ".join(map(tell, found.get(key, []))))
    states = stored_states(app, models)
    for key in sorted(set(states) | set(expected.states)):
        if key in states and states[key]["clock"] is None:
            states[key]["clock"] = expected.states.get(key, {}).get("clock")
        if states.get(key) != expected.states.get(key):
            wrong.append(f"state of {key}:\n  expected {expected.states.get(key)}\n  found    {states.get(key)}")
    assert not wrong, f"{len(wrong)} differences; the first ones:\n" + "\n".join(wrong[:5])
    return sum(map(len, found.values())), len(states)


def settle(app, models, grace_ms=GRACE_MS, until=None):
    """Waits until everything fed has come out, stops the daemons and compares. How many outputs and states agree."""
    expected = expect(app, models, grace_ms=grace_ms, until=until)      # while the daemons work
    app.await_caught_up()
    await_outputs(app, expected)
    for daemon in app.daemons:
        if daemon.runs():
            daemon.stop()
    return assert_equal(app, models, expected)
