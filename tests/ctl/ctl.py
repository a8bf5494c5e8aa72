"""engagectl as a person runs it, and a shop's events to run it on."""
import json
import os
import random
import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("ENGAGED_BUILD", "build/release")
MODELS = ROOT / "config" / "models"

OK, USAGE, DATA, UNAVAILABLE, INTERNAL, CONFIG = 0, 64, 65, 69, 70, 78     # sysexits.h

TYPES = ["page_view"] * 6 + ["purchase"] * 3 + ["complaint", "ticket_resolved", "referral", "nps_response", "review",
                                               "add_to_cart", "unheard_of"]


def ctl(*words, status=OK, stdin=None, stdout=subprocess.PIPE):
    """Its output and what it said on standard error; it must end with this status."""
    done = subprocess.run([BUILD / "engagectl", *map(str, words)], input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    assert done.returncode == status, f"{done.args} ended with {done.returncode}: {done.stderr}"
    return done.stdout, done.stderr


def refused(*words, status, says):
    """Nothing on standard output, and one reason on standard error."""
    out, err = ctl(*words, status=status)
    assert out == "" and says in err, err
    return err


def time_text(ms):
    moment = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def shop(path, customers=300, events=6000, seed=1):
    """A file of half a year's events, about in order."""
    rng, time = random.Random(seed), 1735689600000
    with open(path, "w", encoding="utf-8") as file:
        for number in range(events):
            time += rng.randrange(2 * 182 * 86400000 // events)
            kind = rng.choice(TYPES)
            event = {"customer": f"c-{int(rng.paretovariate(0.6)) % customers}", "type": kind, "id": f"e-{number}",
                     "time": time_text(time - rng.choice([0, 0, 0, 2000, 3600000]))}
            if kind in ("purchase", "nps_response", "review"):
                event["value"] = rng.randrange(11)
            file.write(json.dumps(event) + "\n")
    return path


def simulate(*words, **more):
    """The outputs, as objects."""
    out, _ = ctl("simulate", *words, **more)
    return [json.loads(line) for line in out.splitlines()]


def edited(path, model, *changes):
    """A model with some texts in the place of others."""
    text = model.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
