#!/usr/bin/env python3
"""A slow and obviously right interpreter of the stage-model language.

It exists to disagree: the C core and this file were written separately from the same description, and
compare.py runs both on random models.  So nothing here is clever.  Every matched event of a customer is
kept, and each fact is computed from the full list whenever it is asked for.  Time is an integer number of
milliseconds, values are exact fractions; the score alone is a floating-point number.  A deadline is found
by trying, in order, every instant at which time alone can change the answer of any comparison.

Where the language description leaves room, the reading taken here stands next to the code as "Choice:".
"""
import argparse
import decimal
import json
import math
import operator
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import yaml

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
           "==": operator.eq, "!=": operator.ne}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
VALUE_LIMIT = 10 ** 12
REST_AFTER = 64             # moves by deadline rules in silence, after which they rest
RULE, TRIGGER, OBJECTIVE = 0, 1, 2  # the order of ties among deadlines of one instant


class ModelError(Exception):
    """The model is not valid; the message says where and why."""


class BadEvent(Exception):
    """The line is no event: it changes nothing and moves no clock."""


# --- Time and values -------------------------------------------------------------------------------------

def duration(text):
    """Milliseconds of "30d"; the unit is required."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d|w)", text) if isinstance(text, str) else None
    if not match:
        raise ModelError(f"not a duration: {text!r}")
    return int(match[1]) * UNITS[match[2]]


RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?"
                     r"(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII)


def parse_time(text):
    """Milliseconds since 1970 of an RFC 3339 time; fraction digits beyond milliseconds are cut."""
    match = RFC3339.fullmatch(text)
    if not match:
        raise BadEvent(f"not an RFC 3339 time: {text!r}")
    try:  # Choice: a leap second (:60) is no time.
        moment = datetime(*(int(part) for part in match.groups()[:6]), tzinfo=timezone.utc)
    except ValueError as error:
        raise BadEvent(f"not a time: {text!r}: {error}") from error
    ms = (moment - EPOCH) // timedelta(milliseconds=1) + int(((match[7] or "") + "000")[:3])
    if match[9]:
        if int(match[10]) > 23 or int(match[11]) > 59:
            raise BadEvent(f"not a time zone offset: {text!r}")
        offset = (int(match[10]) * 60 + int(match[11])) * 60_000
        ms -= offset if match[9] == "+" else -offset
    return ms


def parse_milliseconds(text):
    """The whole number that a JSON number is, however it is written: 1000, 1000.0 and 1e3 are the same."""
    exact = decimal.Decimal(text)
    if exact and (exact.adjusted() > 18 or exact != exact.to_integral_value()):
        raise BadEvent(f"not whole milliseconds: {text}")
    return int(exact) if exact else 0


def format_time(ms):
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


class Number:
    """A JSON number with its digits as written."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


NUMERIC = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def parse_value(raw):
    """The exact value of an event, three decimals, or None when it has none.

    Choice: a numeric string is one that would be a number in JSON.  Choice: the limit of 10^12 is applied
    to the rounded value, so 999999999999.9995 is no value.
    """
    if isinstance(raw, Number):
        text = raw.text
    elif isinstance(raw, str) and NUMERIC.fullmatch(raw):
        text = raw
    else:
        return None
    exact = decimal.Decimal(text)
    if abs(exact) >= VALUE_LIMIT:
        return None
    rounded = exact.quantize(decimal.Decimal("0.001"), rounding=decimal.ROUND_HALF_UP)  # half away from zero
    return None if abs(rounded) >= VALUE_LIMIT else Fraction(rounded)


# --- Events ----------------------------------------------------------------------------------------------

@dataclass
class Event:
    customer: str
    type: str
    time: int
    value: object = None        # as it stands in the message: Number, string, …
    properties: dict = field(default_factory=dict)
    id: str = None


PRESETS = {
    "plain": {"customer": "/customer", "type": "/type", "time": "/time", "id": "/id", "value": "/value",
              "properties": "/properties"},
    "segment": {"customer": ["/userId", "/anonymousId"], "type": "/type",
                "time": ["/timestamp", "/originalTimestamp"], "id": "/messageId",
                "value": ["/properties/revenue", "/properties/total", "/properties/value"],
                "properties": "/properties"},
}


def point(document, pointer):
    """What a JSON pointer (RFC 6901) leads to; None when there is nothing, or null."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and re.fullmatch(r"0|[1-9]\d*", step) and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def parse_event(line, preset="plain", fields=None):
    """One JSON line as an Event; raises BadEvent."""
    def no_constant(text):
        raise ValueError(f"{text} is not JSON")
    try:
        document = json.loads(line, parse_int=Number, parse_float=Number, parse_constant=no_constant)
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadEvent("not a JSON object")
    pointers = fields if fields is not None else PRESETS[preset]
    found = {}
    for name, wanted in pointers.items():
        for pointer in [wanted] if isinstance(wanted, str) else wanted:
            found[name] = point(document, pointer)
            if found[name] is not None:  # Choice: the first that is there counts, even if it is of no use.
                break
    if fields is None and preset == "segment" and found["type"] == "track":
        found["type"] = point(document, "/event")
    for name in ("customer", "type"):  # Choice: only strings that are not empty.
        if not isinstance(found.get(name), str) or not found[name]:
            raise BadEvent(f"{name} is missing or no string")
    time = found.get("time")
    if isinstance(time, Number):
        time = parse_milliseconds(time.text)
    elif isinstance(time, str):
        time = parse_time(time)
    else:
        raise BadEvent("time is missing, or neither RFC 3339 nor whole milliseconds")
    properties = found.get("properties")
    return Event(found["customer"], found["type"], time, found.get("value"),
                 properties if isinstance(properties, dict) else {}, found.get("id"))


# --- Expressions -----------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Fact:
    name: str               # count, sum, mean, value, since, gap, in_stage, age, visits, score
    of: str = None          # the signal; for visits the stage
    window: object = None   # of count: milliseconds, "stage", or None

    def __str__(self):
        inner = [self.of] if self.of else []
        if self.window:
            inner.append(self.window if self.window == "stage" else f"{self.window}ms")
        return self.name + (f"({', '.join(inner)})" if inner else "")


@dataclass(frozen=True)
class Comparison:
    fact: Fact
    op: str
    literal: object         # milliseconds for facts that are times, otherwise an exact number


TOKEN = re.compile(r"\s*(?:-?\d+(?:\.\d+)?(?:ms|[smhdw])?(?![\w.])|[A-Za-z_][\w.-]*|<=|>=|==|!=|<|>|[(),])")
TIMES = ("since", "gap", "in_stage", "age")     # facts that are durations


class Parser:
    """or-expressions of and-expressions of (not) comparisons: ("or", a, b), ("and", a, b), ("not", a)."""

    def __init__(self, text, model):
        self.text, self.model, self.tokens = text, model, []
        if not isinstance(text, str):
            raise ModelError(f"not an expression: {text!r}")
        at = 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if not match:
                raise ModelError(f"cannot read {text[at:]!r} in {text!r}")
            self.tokens.append(match[0].strip())
            at = match.end()

    def take(self, *wanted):
        token = self.tokens.pop(0) if self.tokens else "the end"
        if wanted and token not in wanted:
            raise ModelError(f"expected {' or '.join(wanted)}, found {token} in {self.text!r}")
        return token

    def next_is(self, *tokens):
        return bool(self.tokens) and self.tokens[0] in tokens

    def whole(self, parse):
        result = parse()
        if self.tokens:
            raise ModelError(f"{self.tokens[0]} is too much in {self.text!r}")
        return result

    def either(self):
        left = self.both()
        while self.next_is("or"):
            self.take()
            left = ("or", left, self.both())
        return left

    def both(self):
        left = self.single()
        while self.next_is("and"):
            self.take()
            left = ("and", left, self.single())
        return left

    def single(self):
        if self.next_is("not"):
            self.take()
            return ("not", self.single())
        if self.next_is("("):
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        fact = self.fact()
        op = self.take(*COMPARE)
        text = self.take()
        if fact.name in TIMES:
            return Comparison(fact, op, duration(text))
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise ModelError(f"{fact} is compared with a number, not with {text}")
        return Comparison(fact, op, Fraction(text))

    def fact(self):
        name = self.take()
        if name in ("in_stage", "age", "score"):
            if name == "score" and not self.model.half_life:
                raise ModelError("the model has no score")
            return Fact(name)
        if name not in ("count", "sum", "mean", "value", "since", "gap", "visits", "trend"):
            raise ModelError(f"{name} is no fact in {self.text!r}")
        self.take("(")
        of, window = self.take(), None
        if of not in (self.model.stages if name == "visits" else self.model.signals):
            raise ModelError(f"unknown: {of} in {self.text!r}")
        if name in ("sum", "mean", "value") and not self.model.signals[of].value:
            raise ModelError(f"{of} has no value: true")
        if name == "count" and self.next_is(","):
            self.take()
            text = self.take()
            window = text if text == "stage" else duration(text)
        if name == "trend":
            self.take(",")
            window = duration(self.take())
        self.take(")")
        return Fact(name, of, window)


def comparisons(expression):
    if expression is None:
        return []
    if isinstance(expression, Comparison):
        return [expression]
    return [found for part in expression[1:] for found in comparisons(part)]


# --- Models ----------------------------------------------------------------------------------------------

class ModelLoader(yaml.SafeLoader):
    """YAML 1.2 scalars: `on`, `yes` and `1:30` are strings, and a decimal keeps its digits."""
    yaml_implicit_resolvers = {}


for _tag, _pattern, _first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"), ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""])):
    _pattern = re.compile(f"^(?:{_pattern})$")
    ModelLoader.add_implicit_resolver("tag:yaml.org,2002:" + _tag, _pattern, list(_first))
ModelLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
ModelLoader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: decimal.Decimal(node.value))


def known(what, mapping, required, optional=()):
    if not isinstance(mapping, dict):
        raise ModelError(f"{what} is no mapping")
    for key in required:
        if key not in mapping:
            raise ModelError(f"{what} lacks {key}")
    for key in mapping:
        if key not in required and key not in optional:
            raise ModelError(f"{what} has an unknown key: {key}")
    return mapping


def as_list(value):
    return [] if value is None else value if isinstance(value, list) else [value]


@dataclass
class Signal:
    events: list
    value: bool = False
    where: dict = field(default_factory=dict)

    def matches(self, event):
        return event.type in self.events and all(
            any(same(event.properties.get(name), one) for one in as_list(wanted))
            for name, wanted in self.where.items())


def same(found, wanted):
    """A property equals what a model asks for: same kind, and numbers by value.

    Choice: the text "5" is not the number 5, and names are those of the properties' top level.
    """
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    if isinstance(wanted, str):
        return isinstance(found, str) and found == wanted
    return isinstance(found, Number) and decimal.Decimal(found.text) == decimal.Decimal(str(wanted))


@dataclass
class Objective:
    name: str
    reach: str = None
    when: list = field(default_factory=list)
    within: int = None


@dataclass
class Rule:
    """A transition, or a trigger: both are conditions on a customer."""
    name: str
    origin: list = field(default_factory=list)  # transition: from; enter trigger: from; exit trigger: to
    to: str = None
    when: list = field(default_factory=list)
    after: int = 0
    quiet: int = None
    quiet_of: str = None
    condition: object = None
    kind: str = None        # of a trigger: in, enter, exit
    stage: str = None
    campaign: str = None
    unless: object = None
    once: str = "visit"


class Model:
    @staticmethod
    def load(source):
        """A model from a path, or from the mapping that a YAML file would give."""
        if not isinstance(source, dict):
            with open(source, encoding="utf-8") as file:
                source = yaml.load(file, Loader=ModelLoader)
        return Model(source)

    @staticmethod
    def kept(_signal):
        """How many times of a signal a model with `trend` keeps; more only where a windowed count needs them."""
        return 128

    def __init__(self, source):
        known("the model", source, ("model", "version", "signals", "stages"),
              ("report", "score", "transitions", "triggers", "caps", "migrate"))
        self.name, self.version = source["model"], source["version"]
        self.signals = {name: self.read_signal(name, given) for name, given in source["signals"].items()}
        self.stages = list(source["stages"])
        self.first = self.stages[0]
        self.half_life, self.potential, self.weights = None, None, {}
        if source.get("score") is not None:
            score = known("score", source["score"], ("half_life", "potential", "weights"))
            self.half_life, self.potential = duration(score["half_life"]), float(score["potential"])
            self.weights = {self.signal(name): float(weight) for name, weight in score["weights"].items()}
        self.objectives = {}
        for name, stage in source["stages"].items():
            if (stage or {}).get("objective"):
                given = known(f"the objective of {name}", stage["objective"], ("name",),
                              ("reach", "when", "within"))
                self.objectives[name] = Objective(
                    given["name"], given.get("reach") and self.stage(given["reach"]),
                    [self.signal(signal) for signal in as_list(given.get("when"))],
                    duration(given["within"]) if given.get("within") is not None else None)
        self.rules = [self.read_rule(given) for given in source.get("transitions") or []]
        self.triggers = [self.read_trigger(given) for given in source.get("triggers") or []]
        self.caps = {name: (cap["max"], duration(cap["per"]))
                     for name, cap in (source.get("caps") or {}).items()}
        self.report = [self.read_fact(text) for text in source.get("report") or []]
        conditions = [rule.condition for rule in self.rules + self.triggers]
        conditions += [trigger.unless for trigger in self.triggers]
        used = [comparison.fact for condition in conditions for comparison in comparisons(condition)]
        self.facts = list(dict.fromkeys(used + self.report))

    def read_fact(self, text):
        parser = Parser(text, self)
        return parser.whole(parser.fact)

    def read_condition(self, text):
        if text is None:
            return None
        parser = Parser(text, self)
        return parser.whole(parser.either)

    def signal(self, name):
        if name not in self.signals:
            raise ModelError(f"unknown signal: {name}")
        return name

    def stage(self, name):
        if name not in self.stages:
            raise ModelError(f"unknown stage: {name}")
        return name

    def read_signal(self, name, given):
        if isinstance(given, list):
            return Signal(given)
        known(f"signal {name}", given, ("events",), ("value", "where"))
        return Signal(given["events"], given.get("value", False), given.get("where") or {})

    def read_common(self, rule, given):
        rule.when = [self.signal(name) for name in as_list(given.get("when"))]
        rule.after = duration(given["after"]) if given.get("after") is not None else 0
        quiet = given.get("quiet")
        if isinstance(quiet, dict):
            known(f"quiet of {rule.name}", quiet, ("of", "for"))
            rule.quiet, rule.quiet_of = duration(quiet["for"]), self.signal(quiet["of"])
        elif quiet is not None:
            rule.quiet = duration(quiet)
        rule.condition = self.read_condition(given.get("if"))
        return rule

    def read_rule(self, given):
        known("a transition", given, ("name", "from", "to"), ("when", "after", "quiet", "if"))
        origin = [self.stage(name) for name in as_list(given["from"])]
        if given["to"] in origin:
            raise ModelError(f"{given['name']} leads to its own stage")
        return self.read_common(Rule(given["name"], origin, self.stage(given["to"])), given)

    def read_trigger(self, given):
        kinds = [kind for kind in ("enter", "exit", "in") if kind in given]
        if len(kinds) != 1:
            raise ModelError(f"a trigger has one of enter, exit, in: {given}")
        kind = kinds[0]
        allowed = {"enter": ("from",), "exit": ("to",), "in": ("when", "after", "quiet", "if")}[kind]
        known("a trigger", given, ("name", "campaign", kind),
              allowed + ("unless", "once", "channels", "content", "touch"))
        if given["campaign"] in ("all", "objective"):
            raise ModelError(f"{given['campaign']} is no name for a campaign")
        trigger = Rule(given["name"], kind=kind, stage=self.stage(given[kind]), campaign=given["campaign"],
                       unless=self.read_condition(given.get("unless")), once=given.get("once", "visit"))
        if trigger.once not in ("visit", "ever") + (("spell",) if "quiet" in given else ()):
            raise ModelError(f"{trigger.name}: once: {trigger.once}")
        trigger.origin = [self.stage(name) for name in as_list(given.get("from", given.get("to")))]
        return self.read_common(trigger, given)

    def match(self, event):
        """The signals that an event counts as, in file order."""
        return [name for name, signal in self.signals.items() if signal.matches(event)]


# --- One customer in one model ---------------------------------------------------------------------------

@dataclass
class Folded:
    """An event of the customer that matched, as it was folded."""
    time: int               # its own
    signals: list
    value: object
    visit: int              # which visit of the customer's life it fell into, counted from 0


@dataclass(order=True)
class Deadline:
    time: int
    kind: int
    index: int


class Life:
    """A customer in a model: created by its first matching event."""

    def __init__(self, model, customer, time, emit):
        self.model, self.customer, self.emit = model, customer, emit
        self.clock = time
        self.events = []
        self.energy, self.energy_at = 0.0, None     # the score's E, and the time it is valid at
        self.visits = dict.fromkeys(model.stages, 0)
        self.visit_number = -1                      # counts every visit to any stage
        self.ordinal = 0
        self.late = 0
        self.silent_moves = 0
        self.spent_for_ever, self.spent = set(), set()
        self.sent = []                              # (time, campaign) of triggers that caps count
        self.next = None                            # remembered until something changes
        self.enter(model.first, time)

    def enter(self, stage, now):
        self.stage, self.entered = stage, now
        self.visits[stage] += 1                     # Choice: creation is the first stage's first visit.
        self.visit_number += 1
        self.spent = set()
        self.objective_open = stage in self.model.objectives

    # Facts: each from the full list of events.

    def of(self, signal):
        return [event for event in self.events if signal in event.signals]

    def values(self, signal):
        return [event for event in self.of(signal) if event.value is not None]

    def first_seen(self):
        return min(event.time for event in self.events)

    def last_seen(self):
        return max(event.time for event in self.events)

    def score(self, now):
        if self.energy_at is None:
            return 0.0
        energy = self.energy * math.exp2(-(now - self.energy_at) / self.model.half_life)
        return max(0.0, min(100.0, 100.0 * energy / self.model.potential))

    def fact(self, fact, now):
        """The fact at an instant, or None when it has no value yet."""
        name = fact.name
        # Choice: count(s, stage) holds what was folded in the visit, whatever the events' own times.
        if name == "in_stage":
            return now - self.entered
        if name == "age":
            return max(0, now - self.first_seen())
        if name == "visits":
            return self.visits[fact.of]
        if name == "score":
            return self.score(now)
        events = self.of(fact.of)
        if name == "count":
            if fact.window is None:
                return len(events)
            if fact.window == "stage":
                return sum(1 for event in events if event.visit == self.visit_number)
            return sum(1 for event in events if event.time > now - fact.window)
        if name == "trend":     # percent of the former window's count; only the latest 128 times are kept
            kept = sorted(event.time for event in events)[-self.model.kept(fact.of):]
            former = sum(1 for time in kept if now - 2 * fact.window < time <= now - fact.window)
            return Fraction(100 * sum(1 for time in kept if time > now - fact.window), former) if former else None
        if name == "since":
            return now - max(event.time for event in events) if events else None
        if name == "gap":
            times = sorted(event.time for event in events)
            return times[-1] - times[-2] if len(times) >= 2 else None
        valued = self.values(fact.of)
        if name == "sum":       # Choice: events without a value leave the sum as it is, 0 at first.
            return sum((event.value for event in valued), Fraction(0))
        if not valued:
            return None
        if name == "mean":
            return sum((event.value for event in valued), Fraction(0)) / len(valued)
        return max(enumerate(valued), key=lambda found: (found[1].time, found[0]))[1].value

    def true(self, expression, now):
        if expression is None:
            return True
        if isinstance(expression, Comparison):
            value = self.fact(expression.fact, now)
            literal = float(expression.literal) if expression.fact.name == "score" else expression.literal
            # Choice: "never compares true" holds for != too; `not` around it is true.
            return value is not None and COMPARE[expression.op](value, literal)
        if expression[0] == "not":
            return not self.true(expression[1], now)
        parts = [self.true(part, now) for part in expression[1:]]
        return all(parts) if expression[0] == "and" else any(parts)

    def quiet_since(self, rule):
        """From when the silence of a rule counts.

        Choice: the customer's first event is the one with the smallest time, also when it came late.
        """
        if rule.quiet_of is None:
            return self.last_seen()
        events = self.of(rule.quiet_of)
        return max(event.time for event in events) if events else self.first_seen()

    def quiet_holds(self, rule, now):
        return rule.quiet is None or now - self.quiet_since(rule) >= rule.quiet

    def holds(self, rule, now):
        return (now - self.entered >= rule.after and self.quiet_holds(rule, now)
                and self.true(rule.condition, now))

    # Deadlines: by trying.

    def changes(self, rule):
        """Instants at which time alone can change whether a rule holds; more than needed do no harm."""
        found = {self.clock, self.entered, self.entered + 1, self.entered + rule.after}
        if rule.quiet is not None:
            found.add(self.quiet_since(rule) + rule.quiet)
        for comparison in comparisons(rule.condition):
            fact, literal = comparison.fact, comparison.literal
            if isinstance(fact.window, int):
                found.update(event.time + times * fact.window for event in self.of(fact.of) for times in (1, 2))
            elif fact.name == "score":
                found.update(self.score_changes(float(literal)))
            elif fact.name in ("since", "in_stage", "age"):
                now = self.clock
                value = self.fact(fact, now)
                if value is not None:
                    found.update((now - value + literal, now - value + literal + 1))
        return sorted(instant for instant in found if instant >= self.clock)

    def score_changes(self, literal):
        """The first instants at which the score is at most, and less than, a number: it only ever falls."""
        found = []
        for passed in (lambda now: self.score(now) <= literal, lambda now: self.score(now) < literal):
            low, high = self.clock, self.clock + 2300 * self.model.half_life  # by then any double is zero
            if passed(low) or not passed(high):
                continue
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if passed(middle) else (middle, high)
            found.append(high)
        return found

    def deadlines(self):
        """Every pending deadline; one for each rule, trigger and objective that can come true in time."""
        if self.silent_moves < REST_AFTER:
            for index, rule in enumerate(self.model.rules):
                if not rule.when and self.stage in rule.origin:
                    for instant in self.changes(rule):
                        if instant > self.entered and self.holds(rule, instant):
                            yield Deadline(instant, RULE, index)
                            break
        for index, trigger in enumerate(self.model.triggers):
            if trigger.kind == "in" and trigger.stage == self.stage and not trigger.when \
                    and not self.is_spent(trigger):
                for instant in self.changes(trigger):
                    if self.holds(trigger, instant):
                        yield Deadline(instant, TRIGGER, index)
                        break
        if self.objective_open and self.model.objectives[self.stage].within is not None:
            yield Deadline(self.entered + self.model.objectives[self.stage].within, OBJECTIVE, 0)

    def next_deadline(self):
        if self.next is None:
            self.next = [min(self.deadlines(), default=None)]
        return self.next[0]

    def fire(self, deadline):
        assert deadline.time >= self.clock, "a deadline lies before its customer's clock"
        self.next = None
        self.clock = deadline.time
        cause = {"kind": "deadline", "due": format_time(deadline.time)}
        if deadline.kind == RULE:
            self.silent_moves += 1
            self.move(self.model.rules[deadline.index], deadline.time, cause, [])
        elif deadline.kind == TRIGGER:
            self.fire_trigger(self.model.triggers[deadline.index], deadline.time, cause)
        else:
            self.close_objective("missed", deadline.time, cause)

    # What happens.

    def output(self, kind, now, cause, **rest):
        self.ordinal += 1
        self.emit({"model": self.model.name, "version": self.model.version, "customer": self.customer,
                   "ordinal": self.ordinal, "kind": kind, **rest, "time": now, "cause": cause})

    def is_spent(self, trigger):
        return trigger.name in self.spent or trigger.name in self.spent_for_ever

    def fire_trigger(self, trigger, now, cause, **rest):
        if self.is_spent(trigger):
            return
        # Choice: with once: ever, being silenced spends the trigger for ever.
        (self.spent_for_ever if trigger.once == "ever" else self.spent).add(trigger.name)
        if trigger.unless is not None and self.true(trigger.unless, now):
            return
        if self.over_cap(trigger.campaign, now):
            rest["suppressed"] = "cap"
        else:
            self.sent.append((now, trigger.campaign))
        self.output("trigger", now, cause, trigger=trigger.name, campaign=trigger.campaign, stage=self.stage,
                    visit=self.visits[self.stage], **rest)

    def over_cap(self, campaign, now):
        for name, (most, per) in self.model.caps.items():
            counted = [time for time, sent in self.sent if name in ("all", sent) and time > now - per]
            if name in ("all", campaign) and len(counted) >= most:
                return True
        return False

    def close_objective(self, how, now, cause):
        self.objective_open = False
        self.output("trigger", now, cause, trigger=f"objective.{how}", campaign="objective", stage=self.stage,
                    visit=self.visits[self.stage])

    def move(self, rule, now, cause, signals):
        """The transition, exit triggers, enter triggers, then the left stage's objective."""
        left, left_visit, was_open = self.stage, self.visits[self.stage], self.objective_open
        self.output("transition", now, cause, **{"from": left, "to": rule.to, "rule": rule.name,
                                                 "visit": self.visits[rule.to] + 1})
        for trigger in self.model.triggers:
            if trigger.kind == "exit" and trigger.stage == left and rule.to in (trigger.origin or [rule.to]):
                # Choice: an exit trigger's `from` is the stage being left, like its `stage`.
                self.fire_trigger(trigger, now, cause, **{"from": left})
        self.enter(rule.to, now)
        for trigger in self.model.triggers:
            if trigger.kind == "enter" and trigger.stage == rule.to and left in (trigger.origin or [left]):
                self.fire_trigger(trigger, now, cause, **{"from": left})
        objective = self.model.objectives.get(left)
        if was_open:    # Choice: `reach` means that this very move leads there, not a later one.
            met = objective.reach == rule.to or any(signal in objective.when for signal in signals)
            # Choice: an objective without `within` is never missed, not even by leaving elsewhere.
            if met or objective.within is not None:
                self.output("trigger", now, cause, trigger="objective.met" if met else "objective.missed",
                            campaign="objective", stage=left, visit=left_visit)

    def step(self, event, signals, partition_clock):
        """One matched event takes effect."""
        # 1. The customer's deadlines; they move its clock.  Nothing is due before the event that creates it.
        while self.events and (due := self.next_deadline()):
            passed = max(event.time, self.clock)
            if partition_clock is not None:
                passed = max(passed, partition_clock)
            if due.time >= passed:
                break
            self.fire(due)
        now = max(event.time, self.clock)
        self.late += event.time < now
        self.clock = now
        self.next = None
        self.silent_moves = 0
        # 2. Facts and score fold the event.
        self.events.append(Folded(event.time, signals, parse_value(event.value), self.visit_number))
        self.fold_score(event.time, signals)
        for trigger in self.model.triggers:
            if trigger.once == "spell" and not self.quiet_holds(trigger, now):
                self.spent.discard(trigger.name)
        # 3. At most one move by a rule with `when`; without one, the stage's objective.
        cause = {"kind": "event", "type": event.type}
        if isinstance(event.id, str):
            cause["id"] = event.id
        for rule in self.model.rules:
            if self.stage in rule.origin and any(s in rule.when for s in signals) and self.holds(rule, now):
                self.move(rule, now, cause, signals)
                break
        else:
            if self.objective_open and any(s in self.model.objectives[self.stage].when for s in signals):
                self.close_objective("met", now, cause)
        # 4. `in` triggers with `when`, where the customer now is.
        for trigger in self.model.triggers:
            if trigger.kind == "in" and trigger.stage == self.stage \
                    and any(s in trigger.when for s in signals) and self.holds(trigger, now):
                self.fire_trigger(trigger, now, cause)
        # 5. Whatever is due by now.  Choice: its cause is a deadline, even where the event made it true.
        while (due := self.next_deadline()) and due.time <= now:
            self.fire(due)

    def fold_score(self, time, signals):
        weight = sum(self.model.weights.get(signal, 0.0) for signal in signals)
        if weight == 0:
            return
        if self.energy_at is None:
            self.energy, self.energy_at = weight, time
        elif time >= self.energy_at:
            self.energy *= math.exp2(-(time - self.energy_at) / self.model.half_life)
            self.energy, self.energy_at = self.energy + weight, time
        else:
            self.energy += weight * math.exp2(-(self.energy_at - time) / self.model.half_life)

    def state(self):
        due = self.next_deadline()
        return {"model": self.model.name, "customer": self.customer, "stage": self.stage,
                "visit": self.visits[self.stage], "entered": self.entered, "clock": self.clock,
                "first_seen": self.first_seen(), "last_seen": self.last_seen(), "ordinal": self.ordinal,
                "late": self.late,
                "facts": {str(fact): self.fact(fact, self.clock) for fact in self.model.facts},
                "next_deadline": due.time if due else None}


# --- A partition -----------------------------------------------------------------------------------------

class Engine:
    """Steps the events of one partition, in their order, through several models."""

    def __init__(self, models, grace_ms=10_000):
        self.models, self.grace = models, grace_ms
        self.latest = None          # the largest event time seen
        self.lives = {}             # (customer, number of the model)
        self.outputs = []

    def partition_clock(self):
        return None if self.latest is None else self.latest - self.grace

    def step(self, event):
        before = self.partition_clock()
        for number, model in enumerate(self.models):
            signals = model.match(event)
            if signals:  # Choice: clocks are of a customer in a model; other models' events leave it alone.
                key = (event.customer, number)
                if key not in self.lives:
                    self.lives[key] = Life(model, event.customer, event.time, self.outputs.append)
                self.lives[key].step(event, signals, before)
        self.latest = event.time if self.latest is None else max(self.latest, event.time)
        self.fire_until(self.partition_clock() - 1)

    def fire_until(self, last):
        """Fire every deadline at or before an instant, earliest first."""
        while True:
            due = [(life.next_deadline().time, key)
                   for key, life in self.lives.items() if life.next_deadline()]
            if not due or min(due)[0] > last:
                return
            life = self.lives[min(due)[1]]
            life.fire(life.next_deadline())

    def finish(self, until=None):
        """The end of the events.  Choice: the "last event's time" is the largest time of any good event.

        Choice: `until` only adds or spares deadlines here; events after it are stepped all the same.
        """
        if until is None:
            until = self.latest
        if until is not None:
            self.fire_until(until)
        return self.outputs

    def states(self):
        return [life.state() for _, life in sorted(self.lives.items())]


def run(models, events, grace_ms=10_000, until=None):
    """The outputs of a list of events, in the order in which they are made."""
    engine = Engine(models, grace_ms)
    for event in events:
        engine.step(event)
    return engine.finish(until)


def read_events(lines, preset="plain", fields=None, bad=None):
    """Events of JSON lines; what is no event goes to `bad` as (line number, reason), and is skipped."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield parse_event(line, preset, fields)
        except BadEvent as error:
            if bad is not None:
                bad.append((number, str(error)))


def plain(value):
    return float(value) if isinstance(value, Fraction) else value


def main():
    parser = argparse.ArgumentParser(description="Step events through a stage model, slowly and surely.")
    parser.add_argument("model")
    parser.add_argument("events", help="JSON lines")
    parser.add_argument("--grace", default="10000", help="milliseconds, or a duration such as 10s")
    parser.add_argument("--until", help="RFC 3339 or milliseconds: deadlines up to then fire at the end")
    parser.add_argument("--preset", default="plain", choices=sorted(PRESETS))
    parser.add_argument("--states", action="store_true", help="print the final states as well")
    options = parser.parse_args()
    grace = int(options.grace) if options.grace.isdigit() else duration(options.grace)
    until = options.until
    if until is not None:
        until = int(until) if re.fullmatch(r"-?\d+", until) else parse_time(until)
    engine, bad = Engine([Model.load(options.model)], grace), []
    with open(options.events, encoding="utf-8") as lines:
        for event in read_events(lines, options.preset, bad=bad):
            engine.step(event)
    for output in engine.finish(until):
        print(json.dumps({**output, "time": format_time(output["time"])}, ensure_ascii=False))
    for state in engine.states() if options.states else []:
        print(json.dumps(state, ensure_ascii=False, default=plain))
    for number, reason in bad:
        print(f"{options.events}:{number}: bad event: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
