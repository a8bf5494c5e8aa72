"""Each bad event goes to the dead-letter topic with its reason, and the good ones around it are untouched."""
import json
import random
import time

import msgpack
import pytest

import harness
import oracle
import reference

KNOWN = {"key": b"c-1", "headers": []}
FAR = 253_402_300_800_000           # the first instant of the year 10000


def event(**changes):
    fields = {"customer": "c-1", "type": "page_view", "time": 1_735_689_600_000, **changes}
    return {name: value for name, value in fields.items() if value is not ...}


def line(**changes):
    return json.dumps(event(**changes)).encode()


def packed(**changes):
    return msgpack.packb(event(**changes))


LONG = "x" * 1024

# name: (value, reason), (value, reason, key) or (value, reason, key, headers); reason None: a good event.
TABLE = {
    "no value": (None, "empty"),
    "an empty value": (b"", "empty"),
    "not JSON": (b"hello", "syntax"),
    "half a JSON object": (line()[:-5], "syntax"),
    "two JSON objects": (line() + line(), "syntax"),
    "a list": (b"[1,2]", "syntax"),
    "a number": (b"42", "syntax"),
    "a list by its content type": (b"[1,2]", "customer", b"c-1", [("content-type", b"application/json")]),
    "a single quote": (b"{'customer':'c-1'}", "syntax"),
    "a comment": (b"{/**/}", "syntax"),
    "a byte order mark": (b"\xef\xbb\xbf" + line(), "syntax"),
    "UTF-16": (line().decode().encode("utf-16"), "syntax"),
    "a NUL behind": (line() + b"\0", "syntax"),
    "NaN": (b'{"customer":"c-1","type":"page_view","time":NaN}', "syntax"),
    "invalid UTF-8 in a text": (b'{"customer":"c-1","type":"a\xff\xfe","time":1}', "syntax"),
    "half a surrogate": (b'{"customer":"c-1","type":"\\ud800","time":1}', "syntax"),
    "unclosed nesting": (b'{"a":' * 100_000, "syntax"),
    "garbage of 900 KB": (b"\x01" * 900_000, "syntax"),
    "no customer": (line(customer=...), "customer"),
    "null as customer": (line(customer=None), "customer"),
    "an empty customer": (line(customer=""), "customer", b""),
    "a boolean as customer": (line(customer=True), "customer"),
    "an object as customer": (line(customer={"id": "c-1"}), "customer"),
    "a fraction as customer": (line(customer=1.5), "customer", b"1.5"),
    "a customer of 1025 bytes": (line(customer=LONG + "x"), "customer", (LONG + "x").encode()),
    "a customer of 4 KB": (line(customer=LONG * 4), "customer", LONG.encode() * 4),
    "a NUL in the customer": (line(customer="c\0-1"), "customer", b"c\0-1"),
    "no type": (line(type=...), "type"),
    "an empty type": (line(type=""), "type"),
    "a list as type": (line(type=["page_view"]), "type"),
    "no time": (line(time=...), "time"),
    "a word as time": (line(time="yesterday"), "time"),
    "a fraction as time": (line(time=1.5), "time"),
    "a negative time": (line(time=-1), "time"),
    "the year 10000": (line(time=FAR), "time"),
    "a time beyond 64 bits": (line(time=10 ** 30), "time"),
    "the 30th of February": (line(time="2025-02-30T00:00:00Z"), "time"),
    "25 o'clock": (line(time="2025-01-01T25:00:00Z"), "time"),
    "before 1970": (line(time="1969-12-31T23:59:59.999Z"), "time"),
    "true as time": (line(time=True), "time"),
    "the year 9999": (line(time=FAR - 1), "future"),
    "tomorrow": (line(time=int(time.time() * 1000) + 86_400_000), "future"),  # seen from when tests are collected
    "another key": (line(), "key", b"c-2"),
    "the key with a blank": (line(), "key", b"c-1 "),
    "an empty key": (line(), "key", b""),
    "no key": (line(), "key", None),
    "half a msgpack map": (packed()[:-3], "syntax"),
    "msgpack and more": (packed() + b"\xc0", "syntax"),
    "a msgpack map that announces 4 billion": (b"\xdf\xff\xff\xff\xff", "syntax"),
    "a msgpack text that announces 4 billion": (b"\x81\xdb\xff\xff\xff\xff" + b"x" * 100, "syntax"),
    "msgpack's reserved byte": (b"\x81\xa1x\xc1", "syntax"),
    "nested msgpack": (b"\x81\xa1x" * 100_000 + b"\xc0", "customer"),
    "invalid UTF-8 in a msgpack customer": (packed(customer=b"c\xff"), "customer", b"c\xff"),
    "a number by its content type": (b"42", "syntax", b"c-1", [("content-type", b"application/msgpack")]),
    "JSON called msgpack": (line(), "syntax", b"c-1", [("content-type", b"application/msgpack")]),

    "good: 900 KB of properties": (line(properties={"text": "x" * 900_000}), None),
    "good: deep properties": (line()[:-1] + b',"properties":' + b"[" * 10_000 + b"]" * 10_000 + b"}", None),
    "good: a customer of 1024 bytes": (line(customer=LONG), None, LONG.encode()),
    "good: a whole number as customer": (line(customer=42), None, b"42"),
    "good: a customer in Chinese": (line(customer="客户"), None, "客户".encode()),
    "good: a customer with quotes and a colon": (line(customer='a":1"'), None, b'a":1"'),
    "good: 1970": (line(time=0), None),
    "good: a whole time with an exponent": (b'{"customer":"c-1","type":"page_view","time":1e12}', None),
    "good: no Z": (line(time="2025-01-01 00:00:00"), None),
    "good: duplicate names, the first counts": (b'{"customer":"c-1","customer":"c-2",' + line()[1:], None),
    "good: a value that is none": (line(value="a lot"), None),
    "good: a value beyond all bounds": (line()[:-1] + b',"value":1e999}', None),
    "good: msgpack": (packed(), None),
    "good: msgpack with a NUL in a property": (packed(properties={"a\0b": "\0"}), None),
    "good: other headers": (line(), None, b"c-1", [("trace", b"\xff"), ("trace", None), ("__engaged.x", b"y")]),
}

MODEL = """
model: count
version: 1
signals: {seen: [page_view], end: [end]}
stages: {open: , closed: }
transitions: [{name: close, from: open, to: closed, when: end}]
report: [count(seen)]
"""


def rows():
    for name, row in TABLE.items():
        value, reason, key, headers = (*row, *(b"c-1", [])[len(row) - 2:])
        yield name, value, reason, key, headers


def headers_of(record):
    return record.headers() or []


def described(letters):
    """Dead letters as {offset: record}; the offset is that of the bad event."""
    found = {}
    for record in letters:
        told = dict(header for header in headers_of(record) if header[0].startswith("__engaged.errors."))
        offset = int(told["__engaged.errors.offset"])
        assert offset not in found, f"two dead letters of offset {offset}"
        found[offset] = record
    return found


@pytest.fixture
def app(make_app, tmp_path):
    model = tmp_path / "count.yaml"
    model.write_text(MODEL)
    return make_app(model, partitions=1, source_config={"max_message_bytes": 4 << 20})


@pytest.mark.quick
def test_table(app, servers):
    feeder, offset, bad, good = app.feeder(), 0, {}, {}
    for name, value, reason, key, headers in rows():
        feeder.put(value, key, 0, headers)
        if reason:
            bad[offset] = (name, value, reason, key, headers)
        else:
            good[key] = good.get(key, 0) + 1
        feeder.put(line(customer="neighbour"), b"neighbour", 0)
        offset += 2
    customers = [*good, b"neighbour"]
    for key in customers:
        customer = 42 if key == b"42" else key.decode()
        feeder.put(line(customer=customer, type="end"), key, 0)
    feeder.flush()
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()

    letters = described(servers.read(app.dead_letters))
    wrong = [f"{bad[at][0]}: no dead letter" for at in bad.keys() - letters.keys()]
    wrong += [f"{list(TABLE)[at // 2]}: dead letter {headers_of(letters[at])}" for at in letters.keys() - bad.keys()]
    for at in bad.keys() & letters.keys():
        name, value, reason, key, headers = bad[at]
        told = dict(headers_of(letters[at]))
        for what, found, wanted in (
                ("reason", told["__engaged.errors.reason"].decode(), reason),
                ("value", letters[at].value(), value), ("key", letters[at].key(), key),
                ("headers", headers_of(letters[at])[:len(headers)], headers),
                ("topic", told["__engaged.errors.topic"].decode(), app.source),
                ("partition", told["__engaged.errors.partition"], b"0")):
            if found != wanted:
                wrong.append(f"{name}: {what} is {str(found)[:200]}, not {str(wanted)[:200]}")
        if len(told["__engaged.errors.message"]) < 10:
            wrong.append(f"{name}: message {told['__engaged.errors.message']}")
    assert not wrong, "\n".join(sorted(wrong))
    counts = {record.key(): json.loads(record.value())["data"]["facts"]["count"]["seen"]
              for record in servers.read(app.outputs[0])}
    assert counts == {**good, b"neighbour": len(TABLE)}


def test_events_as_large_as_they_get(app, servers):
    """Values and dead letters beyond what the daemon's producer, or the dead-letter topic, takes."""
    small = 20_000
    servers.create_topic(app.dead_letters, 1, max_message_bytes=small)
    values = [random.Random(1).randbytes(size) for size in (100, small - 5000, small, 50_000, 1_000_000, 3_000_000)]
    feeder = app.feeder()
    for value in values:
        feeder.put(value, b"c-1", 0)
        feeder.put(line(), b"c-1", 0)
    feeder.put(line(properties={"text": "x" * 3_000_000}), b"c-1", 0)
    feeder.put(line(type="end"), b"c-1", 0)
    feeder.flush()
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    letters = described(servers.read(app.dead_letters))
    assert sorted(letters) == [2 * i for i in range(len(values))]
    for i, value in enumerate(values):
        letter, told = letters[2 * i], dict(headers_of(letters[2 * i]))
        assert told["__engaged.errors.reason"] == b"syntax", letter.value()[:10]
        if len(value) < small - 1000:
            assert letter.value() == value and "__engaged.errors.value" not in told
        else:
            assert letter.value() is None and b"too large" in told["__engaged.errors.value"]
    [transition] = servers.read(app.outputs[0])
    assert json.loads(transition.value())["data"]["facts"]["count"]["seen"] == len(values) + 1


def test_rejections_survive_kills(make_app, servers):
    """An event of the future stays rejected when a replay reads it again, though it is of the past by then."""
    app = make_app(harness.MODELS / "minimal.yaml", partitions=1, time={"max_future": "1s"},
                   flush={"every": "1m", "customers": 20_000})      # nothing is flushed: a kill makes it step all again
    now = int(time.time() * 1000)
    future = now + 4000
    feeder = app.feeder()
    for number in range(50):
        feeder.put(line(customer="c-1", type="purchase", time=now - 60_000 + number), "c-1")
        feeder.put(line(customer="c-1", type="purchase", time=future + number), "c-1")
    feeder.flush()
    daemon = app.start()
    harness.eventually(lambda: len(servers.read(app.dead_letters)) == 50, "50 dead letters")
    daemon.kill()
    harness.eventually(lambda: time.time() * 1000 > future + 50, "the future")
    daemon = app.start()
    daemon.says("replay over")
    daemon.stop()
    assert len(servers.read(app.dead_letters)) == 50
    models = [reference.Model.load(app.models[0])]
    good = [event for event in oracle.source_events(app)[0] if event.time < now]
    oracle.assert_equal(app, models, oracle.expect(app, models, [good]))
