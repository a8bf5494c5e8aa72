"""Random events, the same ones for the same seed, with all that is awkward: late, equal, unmatched, in UUIDs' names."""
import json
import threading
import time
import uuid

TYPES = ["page_view"] * 7 + ["purchase"] * 2 + ["support_ticket", "ticket_resolved", "referral", "nps_response",
                                               "login", "unheard_of"]
START_MS = 1_262_304_000_000        # 2010: nothing of it is in the future
DAY_MS = 86_400_000


def customers(rng, number):
    """Half of the ids are UUIDs, which are stored in another way."""
    return [str(uuid.UUID(int=rng.getrandbits(128))) if i % 2 else f"c-{i}" for i in range(number)]


def history(rng, names, number, span_ms=400 * DAY_MS):
    """(customer, event) in the order of arrival, over so long a time."""
    now = START_MS
    for i in range(number):
        now += rng.randint(0, 2 * span_ms // number)
        late = rng.choices([0, rng.randint(1, 10_000), rng.randint(1, 3_600_000), rng.randint(1, 30 * DAY_MS)],
                           [80, 10, 7, 3])[0]
        kind = rng.choice(TYPES)
        event = {"customer": rng.choice(names), "type": kind, "time": max(START_MS, now - late)}
        if rng.random() < 0.7:
            event["id"] = f"e-{i}"
        if kind in ("purchase", "nps_response"):
            event["value"] = rng.choice([rng.randint(0, 10), "7.5", 12.345])
        yield event["customer"], json.dumps(event)


def present(rng, names, number):
    """(customer, event) of the moment at which it is asked for."""
    for _ in range(number):
        event = {"customer": rng.choice(names), "type": "purchase" if rng.random() < 0.3 else "visit",
                 "time": time.time_ns() // 1_000_000, "value": 1}
        yield event["customer"], json.dumps(event)


def feed(feeder, stream):
    for customer, line in stream:
        feeder.put(line, customer)
    feeder.flush()


class Flow(threading.Thread):
    """Feeds a stream of so many events evenly over so many seconds, beside the test."""

    def __init__(self, feeder, stream, number, seconds):
        super().__init__(daemon=True)
        self.feeder, self.stream, self.pause_s, self.error = feeder, stream, seconds / number, None
        self.enough = threading.Event()
        self.started = time.monotonic()
        self.start()

    def run(self):
        try:
            for fed, (customer, line) in enumerate(self.stream, 1):
                self.feeder.put(line, customer)
                if fed % 20 == 0 and self.enough.wait(max(0, self.started + self.pause_s * fed - time.monotonic())):
                    break
            self.feeder.flush()
        except BaseException as error:      # told by finish()
            self.error = error

    def wait_until(self, seconds):
        """So long after its beginning, while it flows."""
        time.sleep(max(0, self.started + seconds - time.monotonic()))
        assert self.error is None and self.is_alive(), f"no event flows any more: {self.error}"

    def finish(self, enough=False):
        """Waits for the end of the stream; enough: it ends here."""
        if enough:
            self.enough.set()
        self.join()
        if self.error:
            raise self.error
