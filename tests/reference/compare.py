#!/usr/bin/env python3
"""Run random models through the reference and through `engagectl simulate`, and compare what comes out.

Outputs are compared for each customer, in order.  Times agree to the millisecond; only in models with a
score, whose crossings both sides compute in floating point, a time may differ by one.
"""
import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile

import random_models
import reference

COMPARED = ("model", "version", "ordinal", "trigger", "campaign", "rule", "from", "to", "stage", "visit",
            "time", "suppressed")


def essence(output, kind):
    """What must agree of an output: all but the move behind a trigger, the details of causes, and facts."""
    short = {"kind": kind, **{key: output[key] for key in COMPARED if output.get(key) is not None}}
    short["cause"] = output.get("cause", {}).get("kind")
    if kind == "trigger":
        for key in ("rule", "from", "to"):
            short.pop(key, None)
    return short


def by_customer(outputs):
    sequences = {}
    for customer, short in outputs:
        sequences.setdefault(customer, []).append(short)
    return sequences


def run_reference(folder, options):
    with open(os.path.join(folder, "events.jsonl"), encoding="utf-8") as lines:
        events = list(reference.read_events(lines))
    model = reference.Model.load(os.path.join(folder, "model.yaml"))
    outputs = reference.run([model], events, options["grace"], options["until"])
    sequences = by_customer((output["customer"], essence(output, output["kind"])) for output in outputs)
    return sequences, model, events


def run_engagectl(binary, folder, options, timeout):
    command = [binary, "simulate", "--model", os.path.join(folder, "model.yaml"), "--preset", "plain",
               "--format", "json", "--grace", f"{options['grace']}ms"]
    if options["until"] is not None:
        command += ["--until", reference.format_time(options["until"])]
    command.append(os.path.join(folder, "events.jsonl"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    outputs = []
    for line in done.stdout.splitlines():
        data = json.loads(line)
        data["time"] = reference.parse_time(data["time"])
        outputs.append((data["customer"], essence(data, "trigger" if "trigger" in data else "transition")))
    return by_customer(outputs), done, command


def agree(ours, theirs, slack):
    if ours is None or theirs is None:
        return False
    return abs(ours["time"] - theirs["time"]) <= slack and {**ours, "time": 0} == {**theirs, "time": 0}


def tell(short):
    if short is None:
        return "(nothing)"
    return " ".join(f"{key}={reference.format_time(value) if key == 'time' else value}"
                    for key, value in short.items() if key not in ("model", "version"))


def difference(folder, seed, binary, sizes, timeout):
    """None when both agree, or a text that says where they first do not."""
    options = random_models.write(folder, seed, sizes)
    ours, model, events = run_reference(folder, options)
    head = f"seed {seed}: {folder}\n"
    try:
        theirs, done, command = run_engagectl(binary, folder, options, timeout)
    except subprocess.TimeoutExpired:
        return head + f"  engagectl did not end within {timeout} s"
    except (ValueError, KeyError, reference.BadEvent) as error:
        return head + f"  engagectl's output is not to be read: {error!r}"
    with open(os.path.join(folder, "events.jsonl"), encoding="utf-8") as lines:
        all_good = sum(1 for _ in lines) == len(events)
    if done.returncode != 0 and (all_good or done.returncode != 65):   # 65: some lines are no events
        return head + (f"  {' '.join(command)}\n"
                       f"  ended with status {done.returncode}: {done.stderr.strip()[-2000:]}")
    slack = 1 if model.half_life else 0
    for customer in sorted(set(ours) | set(theirs)):
        mine, other = ours.get(customer, []), theirs.get(customer, [])
        length = max(len(mine), len(other))
        pairs = list(zip(mine + [None] * (length - len(mine)), other + [None] * (length - len(other))))
        for at, (one, two) in enumerate(pairs):
            if agree(one, two, slack):
                continue
            told = [head, f"  {' '.join(command)}\n  customer {customer}, output {at + 1} of {len(mine)}:\n"]
            for number in range(max(0, at - 3), min(length, at + 3)):
                one, two = pairs[number]
                if agree(one, two, slack):
                    told.append(f"     both      {tell(one)}\n")
                else:
                    told.append(f"  >  reference {tell(one)}\n  >  engagectl {tell(two)}\n")
            told.append("  its events, and the matched signals:\n")
            told += [f"     {reference.format_time(event.time)} {event.type} value={event.value!r} "
                     f"{event.properties or ''} {model.match(event)}\n"
                     for event in events if event.customer == customer]
            return "".join(told)
    return None


def work(job):
    seed, folder, binary, sizes, timeout = job
    folder = os.path.join(folder, str(seed))
    try:
        found = difference(folder, seed, binary, sizes, timeout)
    except Exception as error:  # a fault of ours in one seed must not hide the other seeds
        found = f"seed {seed}: {folder}\n  the comparison failed: {error!r}"
    if found is None:
        shutil.rmtree(folder)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engagectl", help="path of the binary")
    parser.add_argument("first", type=int, help="first seed")
    parser.add_argument("last", type=int, help="last seed")
    parser.add_argument("--keep", default=None, help="folder for the files of seeds that differ")
    parser.add_argument("--all", action="store_true", help="go on after the first difference")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60, help="seconds for one run of engagectl")
    random_models.add_sizes(parser)
    options = parser.parse_args()
    folder = options.keep or tempfile.mkdtemp(prefix="compare-")
    binary, sizes = os.path.abspath(options.engagectl), random_models.sizes_of(options)
    jobs = [(seed, folder, binary, sizes, options.timeout)
            for seed in range(options.first, options.last + 1)]
    equal = different = 0
    with multiprocessing.Pool(options.jobs) as pool:
        for found in pool.imap(work, jobs):
            if found is None:
                equal += 1
                continue
            different += 1
            print(found, flush=True)
            if not options.all:
                break
    print(f"{equal} seeds agree, {different} differ" + (f"; files in {folder}" if different else ""))
    if not different and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
