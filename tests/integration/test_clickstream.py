"""A shop's clickstream, mapped by `fields`: what engagectl simulates is what the daemon then does, to the last member.

ENGAGED_CLICKSTREAM names a CSV (or .csv.gz) with the columns of COLUMNS to use beside the generated one.
"""
import csv
import gzip
import json
import os
import random
import subprocess
from collections import defaultdict
from datetime import datetime, timedelta

import pytest

import harness
import reference

COLUMNS = ["user_id", "session_id", "event", "timestamp", "platform", "acquisition_channel", "user_cohort",
           "user_lifecycle"]
FIELDS = {"customer": "/user_id", "type": "/event", "time": "/timestamp", "id": "/session_id", "properties": ""}
FUNNEL = ["home", "catalog", "search", "product_view", "product_view", "compare", "add_to_cart", "cart",
          "shipping_details", "payment_details"]


def generated(sessions=700, users=60):
    """Sessions of some months: most look around, some fill a cart, few buy, some run into trouble."""
    rng, rows = random.Random(1), []
    person = {f"user_{i:04d}": (rng.choice(["mobile", "desktop"]), rng.choice(["organic", "email"]), "2024-01",
                                rng.choice(["new", "returning", "loyal"])) for i in range(users)}
    for session in range(sessions):
        user = rng.choice(list(person))
        now = datetime(2024, 1, 1) + timedelta(seconds=rng.randrange(180 * 86_400))
        path = FUNNEL[:rng.randint(1, len(FUNNEL))]
        if path == FUNNEL:
            path += rng.choice([["purchase"], ["purchase"], ["payment_error", "support_chat", "error_page"]])
        platform, channel, cohort, lifecycle = person[user]
        for event in path:
            rows.append((user, f"sess_{session:06d}", event, now.strftime("%Y-%m-%d %H:%M:%S"), platform, channel,
                         cohort, lifecycle))
            now += timedelta(seconds=rng.randrange(1, 600))
    return [dict(zip(COLUMNS, row)) for row in rows]


def public():
    path = os.environ["ENGAGED_CLICKSTREAM"]
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def simulated(app, config, lines):
    """The published outputs that `engagectl simulate` foretells for one partition's lines, by customer and model."""
    file = app.folder / "events.jsonl"
    file.write_text("".join(line + "\n" for line in lines))
    last = max(reference.parse_time(json.loads(line)["timestamp"].replace(" ", "T") + "Z") for line in lines)
    until = reference.format_time(last - 10_000 - 1)      # where the partition clock stands at the end
    done = subprocess.run([harness.BUILD / "engagectl", "simulate", "--config", config, "--until", until, file],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [data for data in map(json.loads, done.stdout.splitlines()) if "suppressed" not in data]


def sequences(outputs):
    """Outputs by customer and model in their order, without what must differ: where the event was read."""
    found = defaultdict(list)
    for data in outputs:
        for place in ("topic", "partition"):
            data["cause"].pop(place, None)
        found[data["customer"], data["model"]].append(data)
    for outputs_of_one in found.values():
        outputs_of_one.sort(key=lambda data: data["ordinal"])
    return found


@pytest.mark.parametrize("clickstream", [generated] + [public] * ("ENGAGED_CLICKSTREAM" in os.environ))
def test_simulation_foretells_the_daemon(make_app, servers, clickstream):
    rows = sorted(clickstream(), key=lambda row: row["timestamp"])
    app = make_app([harness.Path(__file__).with_name("clickstream.yaml"), harness.MODELS / "lifecycle.yaml"])
    app.config["sources"] = [{"topics": [app.source], "fields": FIELDS}]
    lines = [[] for _ in range(app.partitions)]
    feeder = app.feeder()
    for row in rows:
        line = json.dumps(row)
        feeder.put(line, row["user_id"])
        lines[feeder.place(row["user_id"])].append(line)
    feeder.flush()
    daemon = app.start()
    foretold = sequences(data for part in lines for data in simulated(app, daemon.config, part))
    app.await_caught_up()
    daemon.stop()
    published = []
    for topic in app.outputs:
        for record in servers.read(topic):
            event = json.loads(record.value())
            published.append({**event["data"], "time": event["time"]})
    published = sequences(published)
    different = [key for key in foretold.keys() | published.keys() if foretold.get(key) != published.get(key)]
    assert not different, (f"{len(different)} customers, first {different[0]}:\nforetold {foretold.get(different[0])}\n"
                           f"published {published.get(different[0])}")
    assert not servers.read(app.dead_letters)
    counts = {name: sum(1 for outputs in published.values() for data in outputs if data.get("trigger") == name)
              for name in ("cart.left", "mobile.coupon", "loyal.thanks", "care.sorry", "come.back", "objective.missed")}
    print(f"{len(rows)} events, {sum(map(len, published.values()))} outputs: {counts}")
    assert all(counts.values()), "the clickstream does not reach every trigger"
