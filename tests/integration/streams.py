"""Random events, the same ones for the same seed, with all that is awkward: late, equal, unmatched, in UUIDs' names."""
import json
import random
import uuid

TYPES = ["page_view"] * 7 + ["purchase"] * 2 + ["support_ticket", "ticket_resolved", "referral", "nps_response",
                                               "login", "unheard_of"]
START_MS = 1_735_689_600_000        # 2025-01-01


def customers(rng, number):
    """Half of the ids are UUIDs, which are stored in another way."""
    return [str(uuid.UUID(int=rng.getrandbits(128))) if i % 2 else f"c-{i}" for i in range(number)]


def history(rng, names, number, span_ms=400 * 86_400_000):
    """(customer, event) in the order of arrival, over so long a time."""
    now = START_MS
    for i in range(number):
        now += rng.randint(0, 2 * span_ms // number)
        late = rng.choices([0, rng.randint(1, 10_000), rng.randint(1, 3_600_000), rng.randint(1, 30 * 86_400_000)],
                           [80, 10, 7, 3])[0]
        kind = rng.choice(TYPES)
        event = {"customer": rng.choice(names), "type": kind, "time": max(START_MS, now - late)}
        if rng.random() < 0.7:
            event["id"] = f"e-{i}"
        if kind in ("purchase", "nps_response"):
            event["value"] = rng.choice([rng.randint(0, 10), "7.5", 12.345])
        yield event["customer"], json.dumps(event)


def feed(feeder, stream):
    for customer, line in stream:
        feeder.put(line, customer)
    feeder.flush()


def random_of(seed, name):
    return random.Random(f"{seed} {name}")
