"""simulate --compare against the two simulations that it stands for, each run alone and counted here."""
import json
import re
from collections import Counter

import pytest

from ctl import MODELS, ctl, edited, shop, simulate
from test_ctl import counts

LIFECYCLE = MODELS / "lifecycle.yaml"

# The other model: B is A with these texts in the place of others.
CHANGES = {
    "same": [("version: 1", "version: 2")],
    "sooner": [("version: 1", "version: 2"), ("quiet: 45d", "quiet: 20d"),
               ("lapsed,  after: 60d", "lapsed,  after: 30d")],
    "renamed": [("version: 1", "version: 2"), ("advocate", "fan"), ("advocacy.quiet,", "fan.quiet,")],
    "picky": [("version: 1", "version: 2"), ("complaint:  [complaint, support_ticket,", "complaint:  [support_ticket,"),
              ("engagement: [page_view, ", "engagement: ["),
              ("reactivation: {max: 1, per: 14d}", "advocacy: {max: 1, per: 14d}")],
}


@pytest.fixture(name="events", scope="module")
def events_of_a_shop(tmp_path_factory):
    return shop(tmp_path_factory.mktemp("events") / "shop.jsonl", seed=7)


def last_stages(model, events, tmp_path):
    """The stage of each customer, by its transitions; customers without one are in the first stage.

    Who is a customer: all who match a signal, which a rule that each event of any signal fulfils tells.
    """
    text = model.read_text(encoding="utf-8")
    signals = re.findall(r"^  ([\w-]+):", text[text.index("signals:"):text.index("report:")], re.M)
    probe = tmp_path / f"probe-{model.name}"
    probe.write_text(text[:text.index("\nstages:")] + "\nstages: {new: , seen: }\ntransitions:\n"
                     f"  - {{name: seen, from: new, to: seen, when: [{', '.join(signals)}]}}\n", encoding="utf-8")
    first = re.search(r"^  ([\w-]+):", text[text.index("\nstages:"):], re.M)[1]
    stages = {output["customer"]: first for output in simulate("-m", probe, events)}
    stages |= {output["customer"]: output["to"] for output in simulate("-m", model, events) if "trigger" not in output}
    return stages


def rows(found, *keys):
    table = {tuple(row[key] for key in keys): (row["a"], row["b"]) for row in found}
    assert all(row["difference"] == row["b"] - row["a"] for row in found) and len(table) == len(found)
    return table


def side_by_side(a, b):
    return {key if isinstance(key, tuple) else (key,): (a[key], b[key]) for key in a.keys() | b.keys()}


@pytest.mark.parametrize("name", CHANGES)
def test_compare(name, events, tmp_path):
    other = edited(tmp_path / "b.yaml", LIFECYCLE, *CHANGES[name])
    out, err = ctl("simulate", "--model", LIFECYCLE, "--compare", other, "--format", "json", events)
    found = json.loads(out)
    a, b = (counts(simulate("-m", model, events)) for model in (LIFECYCLE, other))
    assert rows(found["flows"], "from", "to") == side_by_side(a[0], b[0])
    assert rows(found["triggers"], "trigger") == side_by_side(a[1], b[1])
    assert rows(found["over_a_cap"], "trigger") == side_by_side(a[2], b[2])

    ends_a, ends_b = (last_stages(model, events, tmp_path) for model in (LIFECYCLE, other))
    population = rows(found["population"], "stage")
    assert {key: n for key, n in population.items() if n != (0, 0)} == \
        side_by_side(Counter(ends_a.values()), Counter(ends_b.values()))
    assert (found["a"]["customers"], found["b"]["customers"]) == (len(ends_a), len(ends_b))
    moved = {customer: (ends_a.get(customer), ends_b.get(customer)) for customer in ends_a | ends_b
             if ends_a.get(customer) != ends_b.get(customer)}
    assert found["customers_in_different_stages"] == len(moved)
    assert bool(moved) == (name != "same")
    assert any(None in pair for pair in moved.values()) == (name == "picky")    # no customer at all in B
    groups = Counter(moved.values())
    assert len(found["samples"]) == min(5, len(groups))
    for sample in found["samples"]:
        pair = (sample["a"], sample["b"])
        assert sample["customer"] == min(customer for customer in moved if moved[customer] == pair)
        assert sample["customers"] == groups[pair]
    assert [sample["customers"] for sample in found["samples"]] == sorted(groups.values(), reverse=True)[:5]
    assert err == ctl("simulate", "--model", LIFECYCLE, "-m", other, events)[1]     # events are counted once


def test_table_is_the_object(events, tmp_path):
    other = edited(tmp_path / "b.yaml", LIFECYCLE, *CHANGES["renamed"])
    words = ["simulate", "-m", LIFECYCLE, "--compare", other, events]
    table, found = ctl(*words)[0], json.loads(ctl(*words, "--format", "json")[0])
    lines = [(name, int(a), int(b), int(difference)) for name, a, b, difference in
             re.findall(r"^  (\S+(?: -> \S+)?) +(\d+) +(\d+) +([-+]?\d+)$", table, re.M)]
    assert lines == [(row.get("stage") or row.get("trigger") or f"{row['from']} -> {row['to']}", row["a"], row["b"],
                      row["difference"]) for key in ("population", "flows", "triggers", "over_a_cap")
                     for row in found[key]]
    assert f"{found['customers_in_different_stages']} customers end in different stages" in table
    assert all(table.count(sample["customer"]) == 1 for sample in found["samples"])
