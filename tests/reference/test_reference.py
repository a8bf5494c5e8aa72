"""The reference against examples worked out by hand from the description of the language.

Outputs are written short: "10e x>y#1" is a transition at 10 ms by an event into the first visit of y;
"10d t@x#1" is trigger t of the first visit of x, by a deadline; " cap" at the end: suppressed by a cap.
"""
from fractions import Fraction

import pytest
import yaml

import reference

HEAD = """
model: m
version: 1
signals:
  a: [A]
  b: [B]
  p: {events: [P], value: true}
  vip: {events: [V], where: {plan: vip}}
stages: {x: , y: , z: }
"""


def load(text):
    given = yaml.load(HEAD, Loader=reference.ModelLoader)
    given.update(yaml.load(text, Loader=reference.ModelLoader) or {})
    return reference.Model(given)


def event(time, kind, value=None, customer="c"):
    if isinstance(value, (int, float)):
        value = reference.Number(str(value))
    return reference.Event(customer, kind, time, value)


def short(output):
    head = f"{output['time']}{output['cause']['kind'][0]} "
    if output["kind"] == "transition":
        return head + f"{output['from']}>{output['to']}#{output['visit']}"
    return head + f"{output['trigger']}@{output['stage']}#{output['visit']}" + \
        (f" {output['suppressed']}" if "suppressed" in output else "")


def play(text, events, until=None, grace=0):
    return [short(output) for output in
            reference.run([load(text)], [event(*given) for given in events], grace, until)]


# One rule each, x to y, tried with a list of events.  Expected: when it moves the customer, or None.
CONDITIONS = [
    # `when`: the event that creates the customer can move it already.
    ("when: a", [(5, "A")], None, "5e"),
    ("when: [b, a]", [(5, "A")], None, "5e"),
    ("when: b", [(5, "A")], None, None),
    # A late event takes effect at the clock, not at its own time.
    ("when: b", [(10, "A"), (4, "B")], None, "10e"),
    # `after`: in the stage since 2; at least 10 ms is reached at 12, and `until` is inclusive.
    ("after: 10ms", [(2, "A")], 12, "12d"),
    ("after: 10ms", [(2, "A")], 11, None),
    ("when: b, after: 10ms", [(2, "A"), (11, "B"), (12, "B")], None, "12e"),
    # `quiet` of anything counts from the largest own time; a late event (3 after 7) moves nothing.
    ("quiet: 10ms", [(0, "A"), (7, "B"), (3, "A")], 50, "17d"),
    # A deadline at exactly the event's time comes after the event, and then no longer holds: 10 + 10.
    ("quiet: 10ms", [(0, "A"), (10, "A")], 50, "20d"),
    # One millisecond earlier than the event it fires.
    ("quiet: 10ms", [(0, "A"), (11, "A")], 50, "10d"),
    # Never any p: from the first event, which is the one at 1 although it came second.
    ("quiet: {of: p, for: 10ms}", [(3, "A"), (7, "A")], 50, "13d"),
    ("quiet: {of: p, for: 10ms}", [(3, "A"), (1, "A")], 50, "11d"),
    ("quiet: {of: p, for: 10ms}", [(3, "A"), (5, "P"), (9, "A")], 50, "15d"),
    # count in a window: t_i > now - 10.  The event at 0 is out at 10, in at 9.
    ('when: b, if: "count(a, 10ms) >= 1"', [(0, "A"), (10, "B")], None, None),
    ('when: b, if: "count(a, 10ms) >= 1"', [(0, "A"), (9, "B")], None, "9e"),
    # By time alone: at 13 the event of 3 leaves the window.
    ('if: "count(a, 10ms) == 0"', [(3, "A")], 50, "13d"),
    # Two in the window from the second event (at 7) on, at once.
    ('if: "count(a, 10ms) >= 2"', [(3, "A"), (7, "A")], 50, "7d"),
    # The creating event is in the first visit.
    ('when: b, if: "count(a, stage) == 1"', [(1, "A"), (2, "B")], None, "2e"),
    # since: 10 after the last; > needs one millisecond more; never any p: never.
    ('if: "since(a) >= 10ms"', [(2, "A")], 50, "12d"),
    ('if: "since(a) > 10ms"', [(2, "A")], 50, "13d"),
    ('if: "since(p) >= 10ms"', [(2, "A")], 50, None),
    ('if: "since(p) != 10ms"', [(2, "A")], 50, None),
    ('if: "not since(p) < 10ms"', [(2, "A")], 50, "3d"),
    # gap: between the two latest by their own times: 4 and 9, whatever order they came in.
    ('when: b, if: "gap(a) == 5ms"', [(9, "A"), (4, "A"), (9, "B")], None, "9e"),
    ('when: b, if: "gap(a) >= 0ms"', [(9, "A"), (9, "B")], None, None),
    # in_stage and age: entered at 4; the late event of 1 makes the customer older, not longer in the stage.
    ('if: "in_stage >= 10ms"', [(4, "A"), (1, "A")], 50, "14d"),
    ('if: "age >= 10ms"', [(4, "A"), (1, "A")], 50, "11d"),
    # entered + 1: true all along, but the stage can be left only a millisecond after it was entered.
    ('if: "count(a) >= 1"', [(5, "A")], 50, "6d"),
    ('if: "visits(x) == 1 and visits(y) == 0"', [(5, "A")], 50, "6d"),
    # The value is that of the latest by its own time, the later arrival among equals; it has one.
    ('when: b, if: "value(p) == 2"', [(8, "P", 2), (5, "P", 7), (9, "B")], None, "9e"),
    ('when: b, if: "value(p) == 7"', [(8, "P", 2), (8, "P", 7), (9, "B")], None, "9e"),
    ('when: b, if: "value(p) == 2"', [(7, "P", 2), (8, "P", "none"), (9, "B")], None, "9e"),
    # 1 and 2, and one without a value: sum 3, mean 3/2.
    ('when: b, if: "mean(p) == 1.5 and sum(p) == 3"',
     [(1, "P", 1), (2, "P"), (3, "P", "2"), (4, "B")], None, "4e"),
    # A third is not 0.333.
    ('when: b, if: "mean(p) > 0.333"', [(1, "P", 0), (2, "P", 0), (3, "P", 1), (4, "B")], None, "4e"),
    # None yet: the sum is 0, value and mean compare with nothing.
    ('when: b, if: "sum(p) == 0 and not (value(p) < 1 or mean(p) >= 0)"', [(4, "B")], None, "4e"),
    # and before or, not before and: false or (true and not false).
    ('when: b, if: "count(a) > 0 or count(b) == 1 and not count(p) == 1"', [(4, "B")], None, "4e"),
    ('when: b, if: "(count(a) > 0 or count(b) == 1) and not count(b) == 1"', [(4, "B")], None, None),
]


@pytest.mark.parametrize("rule, events, until, expected", CONDITIONS)
def test_condition(rule, events, until, expected):
    played = play(f"transitions: [{{name: r, from: x, to: y, {rule}}}]", events, until)
    assert played == ([f"{expected} x>y#1"] if expected else [])


SCORES = [
    # An event of weight 4 of 8 is 50; half of it after 10 ms; `<` needs a millisecond more.
    ('if: "score <= 25"', [(3, "A")], 50, "13d"),
    ('if: "score < 25"', [(3, "A")], 50, "14d"),
    # 4, and a late 4 of 10 ms before: 4 + 2 = 6 of 8.
    ('when: b, if: "score == 75"', [(10, "A"), (0, "A"), (10, "B")], None, "10e"),
    # 4 halved is 2, and 4: 6 of 8.
    ('when: b, if: "score == 75"', [(0, "A"), (10, "A"), (10, "B")], None, "10e"),
    # 20 of 8 is 100 at most, and is 250 underneath: below 100 after log2(2.5) * 10 = 13.2 ms.
    ('when: b, if: "score == 100"', [(0, "A")] * 5 + [(13, "B"), (14, "B")], None, "13e"),
    ('if: "score < 100"', [(0, "A")] * 5, 50, "14d"),
    # Complaints push it below 0, where the score stays 0.
    ('when: b, if: "score == 0"', [(0, "A"), (0, "P"), (1, "B")], None, "1e"),
]


@pytest.mark.parametrize("rule, events, until, expected", SCORES)
def test_score(rule, events, until, expected):
    played = play("score: {half_life: 10ms, potential: 8, weights: {a: 4, p: -10}}\n"
                  f"transitions: [{{name: r, from: x, to: y, {rule}}}]", events, until)
    assert played == [f"{expected} x>y#1"]


STORIES = {
    "events of no signal create nobody": ("transitions: [{name: r, from: x, to: y, after: 5ms}]",
                                          [(1, "Q"), (9, "V")], 50, []),
    # An event moves once, but the next one at the same millisecond moves again.
    "one move an event": (
        "transitions: [{name: r, from: x, to: y, when: a}, {name: s, from: y, to: z, when: a}]",
        [(5, "A"), (5, "A")], None, ["5e x>y#1", "5e y>z#1"]),
    "the first rule wins": (
        "transitions: [{name: r, from: x, to: z, when: a}, {name: s, from: x, to: y, when: a}]",
        [(5, "A")], None, ["5e x>z#1"]),
    "of two deadlines at an instant the first rule wins": (
        "transitions: [{name: r, from: x, to: z, after: 5ms}, {name: s, from: x, to: y, quiet: 5ms}]",
        [(0, "A")], 50, ["5d x>z#1"]),
    "the earlier deadline wins": (
        "transitions: [{name: r, from: x, to: z, after: 5ms}, {name: s, from: x, to: y, quiet: 4ms}]",
        [(0, "A")], 50, ["4d x>y#1"]),
    # The event enters y at 5; the rule that already holds there waits for 6.
    "a stage entered now is left a millisecond later": (
        'transitions: [{name: r, from: x, to: y, when: a}, {name: s, from: y, to: z, if: "count(a) == 1"}]',
        [(5, "A")], 50, ["5e x>y#1", "6d y>z#1"]),
    # Entered by the event at 1, which is not in the visit; 2 is its first, 3 its second.
    "counters restart at the move": (
        'transitions: [{name: r, from: x, to: y, when: a}, '
        '{name: s, from: y, to: z, when: a, if: "count(a, stage) >= 2"}]',
        [(1, "A"), (2, "A"), (3, "A")], None, ["1e x>y#1", "3e y>z#1"]),
    "visits count up": (
        "transitions: [{name: r, from: x, to: y, when: a}, {name: s, from: y, to: x, when: a}]",
        [(1, "A"), (2, "A"), (3, "A")], None, ["1e x>y#1", "2e y>x#2", "3e x>y#2"]),
    # Transition, exit, enter, the left stage's objective (missed: it wanted z), then `in` triggers: first
    # those with `when`, then what is due.
    "the order within a move": (
        "stages: {x: {objective: {name: o, reach: z, within: 9ms}}, y: , z: }\n"
        "transitions: [{name: r, from: x, to: y, when: a}]\n"
        'triggers: [{name: i, campaign: k, in: y, if: "count(a) > 0"}, '
        "{name: w, campaign: k, in: y, when: a}, "
        "{name: n, campaign: k, enter: y}, {name: e, campaign: k, exit: x}]",
        [(5, "A")], None,
        ["5e x>y#1", "5e e@x#1", "5e n@y#1", "5e objective.missed@x#1", "5e w@y#1", "5d i@y#1"]),
    "from and to of enter and exit": (
        "transitions: [{name: r, from: x, to: y, when: a}]\n"
        "triggers: [{name: n, campaign: k, enter: y, from: z}, {name: o, campaign: k, enter: y, from: x}, "
        "{name: e, campaign: k, exit: x, to: z}, {name: f, campaign: k, exit: x, to: y}]",
        [(5, "A")], None, ["5e x>y#1", "5e f@x#1", "5e o@y#1"]),
    "creation enters nothing": ("triggers: [{name: n, campaign: k, enter: x}]", [(5, "A")], None, []),
    # The moving event is in the visit that is left, not in the one entered.
    "unless of exit looks at the visit being left": (
        "transitions: [{name: r, from: x, to: y, when: a}]\n"
        'triggers: [{name: e, campaign: k, exit: x, unless: "count(a, stage) == 1"}, '
        '{name: n, campaign: k, enter: y, unless: "count(a, stage) == 1"}]',
        [(5, "A")], None, ["5e x>y#1", "5e n@y#1"]),
    "transitions come before triggers": ("transitions: [{name: r, from: x, to: y, after: 5ms}]\n"
                                         "triggers: [{name: t, campaign: k, in: x, after: 5ms}]",
                                         [(0, "A")], 50, ["5d x>y#1"]),
    "triggers come before objectives, in file order": (
        "stages: {x: {objective: {name: o, when: b, within: 5ms}}, y: }\n"
        "triggers: [{name: t, campaign: k, in: x, after: 5ms}, {name: s, campaign: k, in: x, quiet: 5ms}]",
        [(0, "A")], 50, ["5d t@x#1", "5d s@x#1", "5d objective.missed@x#1"]),
    # Objectives.
    "met at the last instant": ("stages: {x: {objective: {name: o, when: b, within: 5ms}}, y: }",
                                [(0, "A"), (5, "B"), (6, "B")], 50, ["5e objective.met@x#1"]),
    "missed after the first event of the last instant": (
        "stages: {x: {objective: {name: o, when: b, within: 5ms}}, y: }",
        [(0, "A"), (5, "A"), (5, "B")], 50, ["5d objective.missed@x#1"]),
    "the first event can meet the objective": (
        "stages: {x: {objective: {name: o, when: a, within: 5ms}}, y: }",
                                               [(3, "A")], 50, ["3e objective.met@x#1"]),
    "met by the event that moves out": (
        "stages: {x: {objective: {name: o, when: b, within: 5ms}}, y: }\n"
        "transitions: [{name: r, from: x, to: y, when: b}]",
        [(0, "A"), (4, "B")], 50, ["4e x>y#1", "4e objective.met@x#1"]),
    "reached by a deadline at the last instant": (
        "stages: {x: {objective: {name: o, reach: y, within: 5ms}}, y: }\n"
        "transitions: [{name: r, from: x, to: y, after: 5ms}]",
        [(0, "A")], 50, ["5d x>y#1", "5d objective.met@x#1"]),
    "reached too late": (
        "stages: {x: {objective: {name: o, reach: y, within: 4ms}}, y: }\n"
        "transitions: [{name: r, from: x, to: y, after: 5ms}]",
        [(0, "A")], 50, ["4d objective.missed@x#1", "5d x>y#1"]),
    "without within never missed": ("stages: {x: {objective: {name: o, reach: z}}, y: , z: }\n"
                                    "transitions: [{name: r, from: x, to: y, when: b}]",
                                    [(0, "A"), (9, "B")], 50, ["9e x>y#1"]),
    # once: quiet at 10; the event at 15 breaks the spell, quiet again at 25.
    "once a visit": ("triggers: [{name: t, campaign: k, in: x, quiet: 10ms}]",
                     [(0, "A"), (15, "A")], 50, ["10d t@x#1"]),
    "once a spell": ("triggers: [{name: t, campaign: k, in: x, quiet: 10ms, once: spell}]",
                     [(0, "A"), (15, "A")], 50, ["10d t@x#1", "25d t@x#1"]),
    # Fired at 10 because the partition clock passed it.  The late event of 0 leaves it quiet (0 + 10), that
    # of 2 does not: quiet again at 12.
    "a spell is broken only by noise": (
        "triggers: [{name: t, campaign: k, in: x, quiet: 10ms, once: spell}]",
        [(0, "A"), (30, "Q"), (0, "A")], 50, ["10d t@x#1"]),
    "a late event can break a spell": (
        "triggers: [{name: t, campaign: k, in: x, quiet: 10ms, once: spell}]",
        [(0, "A"), (30, "Q"), (2, "A")], 50, ["10d t@x#1", "12d t@x#1"]),
    "once ever": (
        "transitions: [{name: r, from: x, to: y, when: a}, {name: s, from: y, to: x, when: a}]\n"
        "triggers: [{name: v, campaign: k, in: y, when: a}, "
        "{name: e, campaign: k, in: y, when: a, once: ever}]",
        [(1, "A"), (2, "A"), (3, "A")], None,
        ["1e x>y#1", "1e v@y#1", "1e e@y#1", "2e y>x#2", "3e x>y#2", "3e v@y#2"]),
    # Silenced at 5 and spent: b at 9 would no longer silence it, but it is over.
    "silenced is spent": ('triggers: [{name: t, campaign: k, in: x, after: 5ms, unless: "count(b) == 0"}]',
                          [(0, "A"), (9, "B")], 50, []),
    # Silenced at 10, because the partition clock passed it: the clock moved, the late event comes at 10.
    "a silenced trigger moves the clock": (
        "transitions: [{name: r, from: x, to: y, when: b}]\n"
        'triggers: [{name: t, campaign: k, in: x, after: 10ms, unless: "count(a) == 1"}]',
        [(0, "A"), (20, "Q"), (5, "B")], None, ["10e x>y#1"]),
    # Caps: two of k in 10 ms; the capped one does not count, and at 11 the one of 1 is out of the window.
    "caps": ("triggers: [{name: n, campaign: k, enter: y}, {name: e, campaign: j, enter: x}]\n"
             "transitions: [{name: r, from: x, to: y, when: a}, {name: s, from: y, to: x, when: b}]\n"
             "caps: {k: {max: 2, per: 10ms}}",
             [(1, "A"), (1, "B"), (2, "A"), (2, "B"), (10, "A"), (10, "B"), (11, "A")], None,
             ["1e x>y#1", "1e n@y#1", "1e y>x#2", "1e e@x#2", "2e x>y#2", "2e n@y#2", "2e y>x#3", "2e e@x#3",
              "10e x>y#3", "10e n@y#3 cap", "10e y>x#4", "10e e@x#4", "11e x>y#4", "11e n@y#4"]),
    # t is sent, u is over k's cap and so does not count towards all; v is the second of all, w the third.
    "what one cap suppresses does not count towards the other": (
        "triggers: [{name: t, campaign: k, in: x, after: 5ms}, {name: u, campaign: k, in: x, after: 5ms}, "
        "{name: v, campaign: j, in: x, after: 5ms}, {name: w, campaign: j, in: x, after: 5ms}]\n"
        "caps: {k: {max: 1, per: 9ms}, all: {max: 2, per: 9ms}}",
        [(0, "A")], 50, ["5d t@x#1", "5d u@x#1 cap", "5d v@x#1", "5d w@x#1 cap"]),
    # A customer that is new late: entered at its own time; its deadlines are past, and fire at theirs.
    "late creation": ("transitions: [{name: r, from: x, to: y, after: 5ms}]",
                      [(100, "Q"), (50, "A")], None, ["55d x>y#1"]),
}


@pytest.mark.parametrize("text, events, until, expected", STORIES.values(), ids=STORIES.keys())
def test_story(text, events, until, expected):
    assert play(text, events, until) == expected


def test_partition_clock():
    text = "transitions: [{name: r, from: x, to: y, when: b}, {name: q, from: x, to: z, quiet: 10ms}]"
    # With grace 15 the clock before the late event is 25 - 15 = 10: not past 10, so b comes first, at 5.
    assert play(text, [(0, "A"), (25, "Q"), (5, "B")], 50, grace=15) == ["5e x>y#1"]
    # With 26 it is 11: quiet came at 10, and b, at 10, finds the customer in z.
    assert play(text, [(0, "A"), (26, "Q"), (5, "B")], 50, grace=15) == ["10d x>z#1"]
    # The clock of the event itself (26) does not count before it, but its own time does.
    assert play(text, [(0, "A"), (11, "B")], 50, grace=15) == ["10d x>z#1"]
    # At the end deadlines at or before the largest time fire, whatever the grace.
    assert play(text, [(0, "A"), (10, "Q"), (3, "Q")], None, grace=10_000) == ["10d x>z#1"]
    assert play(text, [(0, "A"), (9, "Q")], None, grace=10_000) == []


def test_rest():
    text = ("transitions: [{name: r, from: x, to: y, after: 1ms}, {name: s, from: y, to: x, after: 1ms}]\n"
            "triggers: [{name: t, campaign: k, in: x, quiet: 100ms}]")
    # 64 moves, at 1 … 64, end in x; there quiet comes at 100, as triggers do not rest.
    played = play(text, [(0, "A")], 500)
    assert len(played) == 65 and played[63:] == ["64d y>x#33", "100d t@x#33"]
    # The event at 200 wakes the rules: `after` has long held, so the first goes at once.  The 64th, at 263,
    # ends in the 65th visit of x, where quiet comes at 300.
    played = play(text, [(0, "A"), (200, "A")], 500)
    assert played[65] == "200d x>y#33" and played[65 + 63:] == ["263d y>x#65", "300d t@x#65"]


def test_ordinals_and_fields():
    text = ("stages: {x: {objective: {name: o, reach: y, within: 9ms}}, y: }\n"
            "transitions: [{name: r, from: x, to: y, when: a}]\ncaps: {k: {max: 1, per: 1d}}\n"
            'triggers: [{name: e, campaign: k, exit: x, unless: "age < 1d"}, '
            "{name: n, campaign: k, enter: y}, {name: q, campaign: k, in: y, after: 2ms}]")
    outputs = reference.run([load(text)], [event(5, "A")], 0, 100)
    assert [(o["ordinal"], o.get("trigger"), o.get("from"), o.get("suppressed")) for o in outputs] == [
        (1, None, "x", None), (2, "n", "x", None), (3, "objective.met", None, None), (4, "q", None, "cap")]
    assert outputs[0]["rule"] == "r" and outputs[0]["cause"] == {"kind": "event", "type": "A"}
    assert outputs[3]["cause"] == {"kind": "deadline", "due": "1970-01-01T00:00:00.007Z"}


def test_models_are_independent():
    one = load("transitions: [{name: r, from: x, to: y, quiet: 10ms}]")
    two = load("model: n\nsignals: {b: [B]}\ntransitions: [{name: s, from: x, to: z, when: b}]")
    outputs = reference.run([one, two], [event(0, "A"), event(5, "B"), event(40, "Q")], 0)
    assert [(o["model"], short(o), o["ordinal"]) for o in outputs] == [
        ("n", "5e x>z#1", 1), ("m", "15d x>y#1", 1)]


def test_states():
    engine = reference.Engine([load("report: [count(a), sum(p), value(p)]\n"
                                    "transitions: [{name: r, from: x, to: y, quiet: 10ms}]")], 0)
    for given in ((7, "P", 2), (3, "A"), (3, "P", 5)):
        engine.step(event(*given))
    assert engine.states() == [{
        "model": "m", "customer": "c", "stage": "x", "visit": 1, "entered": 7, "clock": 7, "first_seen": 3,
        "last_seen": 7, "ordinal": 0, "late": 2, "facts": {"count(a)": 1, "sum(p)": 7, "value(p)": 2},
        "next_deadline": 17}]


@pytest.mark.parametrize("text, expected", [
    ("25.00", "25"), ("0.0005", "0.001"), ("-0.0005", "-0.001"), ("0.00049999", "0"), ("2.4995", "2.5"),
    ("1e2", "100"), ("999999999999.9994", "999999999999.999"), ("999999999999.9995", None), ("1e12", None),
    ("-1000000000000", None), ("1e400", None)])
def test_numbers(text, expected):
    expected = None if expected is None else Fraction(expected)
    assert reference.parse_value(reference.Number(text)) == expected
    assert reference.parse_value(text) == expected      # a numeric string


@pytest.mark.parametrize("raw", [None, True, "", "many", "1,5", " 1", [], {}])
def test_no_number(raw):
    assert reference.parse_value(raw) is None


@pytest.mark.parametrize("text, expected", [
    ("1970-01-01T00:00:01Z", 1000), ("1970-01-01T00:00:00.0129Z", 12), ("1970-01-01T00:00:00.5Z", 500),
    ("1970-01-01T02:00:00.001999+02:00", 1), ("1969-12-31T23:30:00-00:30", 0),
    ("2026-01-05T10:20:30.123Z", 1767608430123)])
def test_times(text, expected):
    assert reference.parse_time(text) == expected


def test_reading_events():
    read = reference.parse_event
    assert read('{"customer":"c","type":"t","time":12,"value":null,"properties":null}') == \
        reference.Event("c", "t", 12)
    segment = read('{"userId":null,"anonymousId":"n","type":"track","event":"Order Completed",'
                   '"messageId":"i","originalTimestamp":"1970-01-01T00:00:01Z",'
                   '"properties":{"total":"5","value":1}}', "segment")
    assert (segment.customer, segment.type, segment.time, segment.value, segment.id) == \
        ("n", "Order Completed", 1000, "5", "i")
    assert read('{"userId":"u","type":"page","timestamp":"1970-01-01T00:00:00Z"}', "segment").type == "page"
    fields = {"customer": ["/who/id", "/a~1b"], "type": "/list/1", "time": "/t"}
    assert read('{"a/b":"c","list":[0,"x"],"t":5}', fields=fields) == reference.Event("c", "x", 5)
    for written in ("1000", "1e3", "1000.0", "1.00000E+3", "0.01e5", "100000e-2"):
        assert read('{"customer":"c","type":"t","time":%s}' % written).time == 1000
    assert read('{"customer":"c","type":"t","time":0e99}').time == 0
    for bad in ("", "[]", '{"customer":"c","type":"t"}', '{"type":"t","time":1}', '{"customer":"c","time":1}',
                '{"customer":"c","type":"t","time":"yesterday"}', '{"customer":"c","type":"t","time":1.5}',
                '{"customer":"c","type":"t","time":1e-1}',
                '{"customer":"c","type":"t","time":1e99}'):
        with pytest.raises(reference.BadEvent):
            read(bad)


@pytest.mark.parametrize("properties, matches", [
    ('{"plan":"vip"}', True), ('{"plan":"VIP"}', False), ("{}", False), ('{"plan":null}', False),
    ("null", False)])
def test_where(properties, matches):
    line = f'{{"customer":"c","type":"V","time":1,"properties":{properties}}}'
    assert load("").match(reference.parse_event(line)) == (["vip"] if matches else [])


def test_where_kinds():
    model = load("signals: {n: {events: [E], where: {items: 3, gift: true}}}")
    for items, gift, matches in (("3", "true", True), ("3.0", "true", True), ("30e-1", "true", True),
                                 ('"3"', "true", False), ("3", '"true"', False), ("4", "true", False)):
        line = f'{{"customer":"c","type":"E","time":1,"properties":{{"items":{items},"gift":{gift}}}}}'
        assert bool(model.match(reference.parse_event(line))) == matches


def test_yaml_words():
    model = load("signals: {on: [yes, on, 1:30]}\nstages: {off: , no: }")
    assert model.signals["on"].events == ["yes", "on", "1:30"] and model.stages == ["off", "no"]


@pytest.mark.parametrize("text", [
    "transitions: [{name: r, from: x, to: x, when: a}]", "transitions: [{name: r, from: x, to: w, when: a}]",
    "transitions: [{name: r, from: x, to: y, on: a}]", "transitions: [{name: r, from: x, to: y, when: c}]",
    'transitions: [{name: r, from: x, to: y, if: "count(a) >= 1d"}]',
    'transitions: [{name: r, from: x, to: y, if: "since(a) >= 10"}]',
    'transitions: [{name: r, from: x, to: y, if: "sum(a) >= 10"}]',
    "transitions: [{name: r, from: x, to: y, after: 5}]",
    "triggers: [{name: t, campaign: all, in: x, after: 1d}]",
    "triggers: [{name: t, campaign: k, enter: x, after: 1d}]",
    "triggers: [{name: t, campaign: k, in: x, after: 1d, once: spell}]"])
def test_mistakes(text):
    with pytest.raises(reference.ModelError):
        load(text)
