#!/usr/bin/env python3
"""The shipped models: each is sound, and each worked example gives exactly the outputs that it must.

    test_presets.py ENGAGECTL     reports in the TAP format
"""
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "config" / "models"
ENGAGECTL = sys.argv[1]


def engagectl(*words):
    return subprocess.run([ENGAGECTL, *words], capture_output=True, text=True, timeout=60, check=False)


def check(name):
    """Neither mistakes nor warnings."""
    done = engagectl("check", MODELS / f"{name}.yaml")
    return [] if done.returncode == 0 and not done.stderr else [f"exit status {done.returncode}", done.stderr]


def line_of(output):
    """An output as README.md writes it."""
    trigger = output.get("trigger")
    where = output["stage"] if trigger else f"{output['from']}>{output['to']}"
    words = [output["time"], output["customer"], str(output["ordinal"]), "trigger" if trigger else "transition",
             trigger or output["rule"], where, str(output["visit"])]
    return " ".join(words + [output[key] for key in ["suppressed"] if key in output])


def order(line):
    time, customer, ordinal = line.split()[:3]
    return time, customer, int(ordinal)


def simulate(name):
    done = engagectl("simulate", "--model", MODELS / f"{name}.yaml", "--preset", "plain", "--grace", "10s",
                     "--format", "json", HERE / f"{name}.jsonl")
    if done.returncode != 0:
        return [f"exit status {done.returncode}", done.stderr]
    found = sorted(map(line_of, map(json.loads, done.stdout.splitlines())), key=order)
    expected = (HERE / f"{name}.expected").read_text().splitlines()
    return [f"missing: {line}" for line in expected if line not in found] + \
        [f"not expected: {line}" for line in found if line not in expected] + \
        ["the order differs"] * (sorted(found) == sorted(expected) and found != expected)


names = sorted(path.stem for path in MODELS.glob("*.yaml"))
tests = [(check, name) for name in names] + [(simulate, name) for name in names]
strays = {path.stem for path in HERE.glob("*.jsonl")} - set(names)
print(f"1..{len(tests) + 1}")
for test, name in tests:
    wrong = test(name)
    print(f"{'not ' * bool(wrong)}ok - {test.__name__} {name}")
    for line in "\n".join(wrong).splitlines():
        print(f"# {line}")
print(f"{'not ' * bool(strays or not names)}ok - every example has its model {' '.join(sorted(strays))}")
