#!/usr/bin/env python3
"""Random valid models and random event streams, the same ones for the same seed.

Everything is small, so that things collide: a model draws all its durations from a palette of a few, and
events are put exactly on, or a millisecond beside, the instants that matter: the customer's next deadline
(asked of the reference) and earlier events plus a duration of the palette.
"""
import argparse
import json
import os
import random
from dataclasses import dataclass

import yaml

import reference

UNITS = reference.UNITS
SIGNALS = ["purchase", "login", "complaint", "referral", "nps", "visit_web"]
TYPES = ["purchase", "login", "Order Completed", "support_ticket", "nps_response", "share"]
STAGES = ["prospect", "first-time-buyer", "active", "at-risk", "lapsed", "advocate"]
CAMPAIGNS = ["onboarding", "reactivation", "advocacy"]
VALUES = ["25.00", "1", "2", "3", "0", "-1", "-2.5", "0.0005", "-0.0005", "1.0004", "2.4995", "1e1", "12E-1",
          "999999999999.9994", "999999999999.9995", "1000000000000", "-1e12", "1e30", '"2"', '"-1.5"',
          '"1e0"', '"0.0005"', '"many"', '""', '"1,5"', "true", "false", "null", "[1]", "{}"]
PROPERTIES = ['"plan":"vip"', '"plan":"free"', '"plan":null', '"plan":"VIP"', '"gift":true', '"gift":false',
              '"gift":"true"', '"items":3', '"items":3.0', '"items":"3"', '"items":4', '"items":30e-1']
WHERES = [{"plan": "vip"}, {"gift": True}, {"gift": False}, {"items": 3}, {"plan": "free", "items": 3},
          {"plan": ["vip", "VIP"]}, {"items": [3, True]}]
BAD_LINES = ['{"customer":null,"type":"login","time":%d}', '{"customer":"c-1","time":%d}', '["login", %d]',
             '{"customer":"c-1","type":"login","time":"soon, %d"}',
             '{"customer":"c-1","type":"login","at":%d}', '{"customer":"c-1","type":"login","time":%d',
             '{"customer":"","type":"login","time":%d}']


@dataclass
class Sizes:
    stages: int = 6         # at most
    rules: int = 9
    triggers: int = 8
    events: int = 40
    customers: int = 3
    bad: float = 0.02       # share of lines that are no events
    score: float = 0.5      # share of models with a score


def spell(rng, ms):
    """A duration in one of the units that divide it."""
    fitting = [unit for unit, size in UNITS.items() if ms % size == 0]
    unit = rng.choice(fitting[-2:])
    return f"{ms // UNITS[unit]}{unit}"


class ModelMaker:
    def __init__(self, rng, sizes):
        self.rng, self.sizes = rng, sizes
        scale = rng.choice(["ms", "ms", "s", "d", "mix"])
        units = {"ms": ["ms"], "s": ["s", "s", "ms"], "d": ["d", "d", "h"],
                 "mix": ["ms", "s", "m", "d", "w"]}[scale]
        units = rng.choices(units, k=rng.randint(2, 5))
        self.palette = sorted({rng.choice([1, 2, 3, 5, 10, 20, 50] if unit == "ms" else [1, 2, 3, 5])
                               * UNITS[unit] for unit in units})

    def chance(self, share):
        return self.rng.random() < share

    def time(self):
        ms = self.rng.choice(self.palette)
        return spell(self.rng, ms * 2 if self.chance(0.15) else ms)

    def make(self):
        rng = self.rng
        names = rng.sample(SIGNALS, rng.randint(2, 5))
        self.signals, self.valued = names, []
        signals = {name: self.signal(name) for name in names}
        if not self.valued:
            signals[names[0]] = {"events": rng.sample(TYPES, 2), "value": True}
            self.valued = [names[0]]
        self.stages = STAGES[:rng.randint(2, self.sizes.stages)]
        self.scored = self.chance(self.sizes.score)
        self.by_event = rng.choice([0.4, 0.7, 0.9])      # the share of rules with `when`
        model = {"model": rng.choice(["lifecycle", "loyalty"]), "version": rng.randint(1, 9)}
        model["signals"] = signals
        model["report"] = [self.fact() for _ in range(rng.randint(0, 3))]
        if self.scored:
            weighed = rng.sample(names, rng.randint(1, len(names)))
            model["score"] = {"half_life": self.time(), "potential": rng.choice([4, 8, 10, 20]),
                              "weights": {name: rng.choice([1, 2, 5, 10, 0.5, -1, -3]) for name in weighed}}
        model["stages"] = {}
        rules = self.rules()
        self.edges = [(origin, rule["to"]) for rule in rules
                      for origin in (rule["from"] if isinstance(rule["from"], list) else [rule["from"]])]
        model["stages"] = {stage: self.stage(stage) for stage in self.stages}
        model["transitions"] = rules
        model["triggers"] = [self.trigger(number) for number in range(rng.randint(1, self.sizes.triggers))]
        used = sorted({trigger["campaign"] for trigger in model["triggers"]})
        caps = {name: {"max": rng.randint(1, 3), "per": self.time()}
                for name in used + ["all"] if self.chance(0.35)}
        if caps:
            model["caps"] = caps
        return model

    def signal(self, name):
        given = {"events": self.rng.sample(TYPES, self.rng.choice([1, 1, 2, 3]))}
        if self.chance(0.5):
            given["value"] = True
            self.valued.append(name)
        if self.chance(0.2):
            given["where"] = self.rng.choice(WHERES)
        return given["events"] if len(given) == 1 else given

    # Expressions.

    def fact(self):
        """A fact as it may be reported."""
        signal, valued = self.rng.choice(self.signals), self.rng.choice(self.valued)
        return self.rng.choice([f"count({signal})", f"sum({valued})", f"mean({valued})", f"value({valued})",
                                f"since({signal})"])

    def comparison(self):
        rng, signal, valued = self.rng, self.rng.choice(self.signals), self.rng.choice(self.valued)
        op = rng.choice([">=", ">=", ">", "<", "<=", "==", "!="])
        kind = rng.choice(["count", "window", "window", "visit", "sum", "mean", "value", "value", "since",
                           "since", "gap", "in_stage", "age", "visits", "trend", "trend"]
                          + ["score"] * (5 * self.scored))
        if kind in ("count", "window", "visit"):
            window = {"count": "", "window": f", {self.time()}", "visit": ", stage"}[kind]
            return f"count({signal}{window}) {op} {rng.randint(0, 3)}"
        if kind == "trend":
            return f"trend({signal}, {self.time()}) {op} {rng.choice(['50', '100', '33.334', '0', '200'])}"
        if kind in ("sum", "mean", "value"):
            return f"{kind}({valued}) {op} {rng.choice(['0', '1', '2', '2.5', '-1', '25', '0.001', '3.75'])}"
        if kind in ("since", "gap"):
            return f"{kind}({signal}) {op} {self.time()}"
        if kind in ("in_stage", "age"):
            return f"{kind} {op} {self.time()}"
        if kind == "visits":
            return f"visits({rng.choice(self.stages)}) {op} {rng.randint(1, 3)}"
        # Compared with 0 only by what never changes in time: a score of 2^-1075 is 0 to a computer alone.
        return "score " + rng.choice([f"{rng.choice(['<', '<=', '>', '>='])} {literal}" for literal in (
            "5", "10", "12.5", "25", "25", "50", "50", "75", "99.9", "100", "100")] + ["< 0", ">= 0"])

    def expression(self, depth=2):
        if depth == 0 or self.chance(0.5):
            text = self.comparison()
            return f"not {text}" if self.chance(0.1) else text
        left, right = self.expression(depth - 1), self.expression(depth - 1)
        text = f"{left} {self.rng.choice(['and', 'or'])} {right}"
        if self.chance(0.4):
            text = f"({text})"
            if self.chance(0.3):
                text = f"not {text}"
        return text

    # Stages, rules, triggers.

    def stage(self, stage):
        rng, given = self.rng, {"owner": self.rng.choice(["care", "retention"])}
        if self.chance(0.5):
            given["objective"] = {"name": f"from-{stage}"}
            ways = sorted({to for origin, to in self.edges if origin == stage})
            if ways and self.chance(0.5):
                given["objective"]["reach"] = rng.choice(ways)
            else:
                given["objective"]["when"] = self.some(self.signals)
            if self.chance(0.9):
                given["objective"]["within"] = self.time()
        return given

    def some(self, names):
        """One name, or a list of a few."""
        names = self.rng.sample(names, min(len(names), self.rng.choice([1, 1, 2])))
        return names[0] if len(names) == 1 else names

    def quiet(self):
        return {"of": self.rng.choice(self.signals), "for": self.time()} if self.chance(0.4) else self.time()

    def rules(self):
        """At least one way into every stage; deadline rules do not cycle without something to wait for."""
        rng, rules, instant = self.rng, [], []
        count = rng.randint(len(self.stages), max(self.sizes.rules, len(self.stages)))
        for number in range(count):
            if number < len(self.stages) - 1:
                to, origins = self.stages[number + 1], self.stages[:number + 1]
            else:
                to = rng.choice(self.stages)
                origins = [stage for stage in self.stages if stage != to]
            rule = {"name": f"r{number}", "from": self.some(origins), "to": to}
            if self.chance(self.by_event):
                rule["when"] = self.some(self.signals)
                if self.chance(0.15):
                    rule["after"] = self.time()
                if self.chance(0.15):
                    rule["quiet"] = self.quiet()
                if self.chance(0.6):
                    rule["if"] = self.expression()
            else:
                self.deadline_rule(rule, instant)
            rules.append(rule)
        rng.shuffle(rules)
        return rules

    def deadline_rule(self, rule, instant):
        if self.chance(0.45):
            rule["after"] = self.time()
        if self.chance(0.35):
            rule["quiet"] = self.quiet()
        if self.chance(0.5) or len(rule) == 3:
            rule["if"] = self.expression()
        if "after" not in rule and "quiet" not in rule:
            if self.chance(0.4):
                wait = f"since({self.rng.choice(self.signals)}) {self.rng.choice(['>', '>='])} {self.time()}"
                rule["if"] = f"{wait} and ({rule['if']})" if self.chance(0.5) else wait
                return
            origins = rule["from"] if isinstance(rule["from"], list) else [rule["from"]]
            edges = instant + [(origin, rule["to"]) for origin in origins]
            if any(self.cycles(edges, origin) for origin in origins):
                rule["after"] = self.time()
            else:
                instant[:] = edges

    @staticmethod
    def cycles(edges, start):
        reached, new = set(), {start}
        while new:
            new = {to for origin, to in edges if origin in new} - reached
            reached |= new
        return start in reached

    def trigger(self, number):
        rng, trigger = self.rng, {"name": f"t{number}", "campaign": self.rng.choice(CAMPAIGNS)}
        kind = rng.choice(["enter", "exit", "in", "in", "in"])
        origin, to = rng.choice(self.edges)
        if kind == "in":
            trigger["in"] = rng.choice(self.stages)
            for key, share, make in (("when", 0.45, lambda: self.some(self.signals)),
                                     ("after", 0.35, self.time), ("quiet", 0.4, self.quiet),
                                     ("if", 0.4, self.expression)):
                if self.chance(share):
                    trigger[key] = make()
            if len(trigger) == 3:
                trigger["after"] = self.time()
        else:
            trigger[kind] = to if kind == "enter" else origin
            if self.chance(0.3):
                trigger["from" if kind == "enter" else "to"] = origin if kind == "enter" else to
        if self.chance(0.35):
            trigger["unless"] = self.expression(1)
        if self.chance(0.5):
            trigger["once"] = rng.choice(["visit", "ever"] + ["spell"] * 3 * ("quiet" in trigger))
        return trigger


class StreamMaker:
    """Lines of events, watching the reference to aim at deadlines."""

    def __init__(self, rng, sizes, model, palette, grace):
        self.rng, self.sizes, self.palette = rng, sizes, palette
        self.engine = reference.Engine([reference.Model.load(model)], grace)
        self.customers = [f"c-{number}" for number in range(1, rng.randint(1, sizes.customers) + 1)]
        self.start = reference.parse_time("2026-01-01T00:00:00Z") + rng.choice([0, rng.randint(0, 10 ** 9)])
        self.times = {customer: [] for customer in self.customers}

    def time(self, customer):
        rng = self.rng
        latest = self.start if self.engine.latest is None else self.engine.latest
        beside = rng.choice([0, 0, 0, -1, 1])
        choice = rng.random()
        life = self.engine.lives.get((customer, 0))
        due = life.next_deadline() if life else None
        if choice < 0.25 and due and due.time - latest < 50 * self.palette[-1]:
            return due.time + beside
        if choice < 0.45 and self.times[customer]:
            return rng.choice(self.times[customer][-6:]) + rng.choice(self.palette) + beside
        if choice < 0.55:
            return rng.choice(self.times[customer][-1:] * 2 + [latest])
        if choice < 0.85:
            return latest + rng.randint(0, rng.choice(self.palette))
        if choice < 0.95:
            return latest - rng.randint(0, 2 * rng.choice(self.palette))
        return latest + rng.randint(0, 3 * self.palette[-1])

    def time_text(self, ms):
        form = self.rng.random()
        if form < 0.3:
            return str(ms)
        text = reference.format_time(ms)
        if form < 0.5:
            text = text[:-1] + self.rng.choice(["9", "999", "000001"]) + "Z"        # to be cut
        elif form < 0.6:
            offset = self.rng.choice([60, 330, -480])
            shifted = reference.format_time(ms + offset * 60_000)
            text = f"{shifted[:-1]}{'+' if offset > 0 else '-'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
        elif ms % 1000 == 0:
            text = text.replace(".000", "")
        return f'"{text}"'

    def line(self, number):
        rng, customer = self.rng, self.rng.choice(self.customers)
        ms = self.time(customer)
        if rng.random() < self.sizes.bad:
            return rng.choice(BAD_LINES) % (ms + 10 ** 9)
        kind = rng.choice(TYPES) if rng.random() < 0.88 else "unheard_of"
        parts = [f'"customer":"{customer}"', f'"type":"{kind}"', f'"time":{self.time_text(ms)}']
        if rng.random() < 0.6:
            parts.append(f'"id":"e-{number}"')
        if rng.random() < 0.7:
            parts.append(f'"value":{rng.choice(VALUES[:7] if rng.random() < 0.6 else VALUES)}')
        if rng.random() < 0.5:
            chosen = {text.split(":")[0]: text for text in rng.sample(PROPERTIES, rng.randint(0, 3))}
            parts.append('"properties":{' + ",".join(chosen.values()) + "}")
        elif rng.random() < 0.1:
            parts.append('"properties":null')
        rng.shuffle(parts)
        self.times[customer].append(ms)
        return "{" + ",".join(parts) + "}"

    def make(self):
        lines = []
        for number in range(self.rng.randint(self.sizes.events // 4, self.sizes.events)):
            lines.append(self.line(number))
            for event in reference.read_events(lines[-1:]):
                self.engine.step(event)
        return lines


def generate(seed, sizes=None):
    """The text of a model, the lines of a stream, and a run's options: grace (ms), until (ms or None)."""
    sizes = sizes or Sizes()
    rng = random.Random(seed)
    maker = ModelMaker(rng, sizes)
    text = yaml.safe_dump(maker.make(), sort_keys=False, default_flow_style=None, width=200)
    model = yaml.load(text, Loader=reference.ModelLoader)
    grace = rng.choice([0, 1, rng.choice(maker.palette), 10_000, 10_000])
    stream = StreamMaker(rng, sizes, model, maker.palette, grace)
    lines = stream.make()
    until = None
    if rng.random() < 0.6 and stream.engine.latest is not None:
        until = stream.engine.latest + rng.randint(0, 8) * rng.choice(maker.palette)
    return text, lines, {"grace": grace, "until": until}


def write(folder, seed, sizes=None):
    text, lines, options = generate(seed, sizes)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.yaml"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "events.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    with open(os.path.join(folder, "options.json"), "w", encoding="utf-8") as file:
        json.dump(options, file)
    return options


def add_sizes(parser):
    """The options that tune the sizes; sizes_of() reads them back."""
    for name, default in vars(Sizes()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)


def sizes_of(options):
    return Sizes(**{name: getattr(options, name) for name in vars(Sizes())})


def main():
    parser = argparse.ArgumentParser(description="Write a seed's model.yaml, events.jsonl and options.json.")
    parser.add_argument("seed", type=int)
    parser.add_argument("folder")
    add_sizes(parser)
    options = parser.parse_args()
    write(options.folder, options.seed, sizes_of(options))


if __name__ == "__main__":
    main()
