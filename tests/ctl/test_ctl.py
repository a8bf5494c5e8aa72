"""The commands that need no servers: check, simulate and size; and how all commands take their arguments."""
import re
from collections import Counter

import pytest

from ctl import CONFIG, DATA, INTERNAL, MODELS, UNAVAILABLE, USAGE, ctl, edited, refused, shop, simulate

LIFECYCLE = MODELS / "lifecycle.yaml"
COMMANDS = ["check", "simulate", "size", "show", "why", "status"]


@pytest.fixture(name="events", scope="module")
def events_of_a_shop(tmp_path_factory):
    return shop(tmp_path_factory.mktemp("events") / "shop.jsonl")


# ---- arguments

def test_help_names_every_command():
    out, _ = ctl("--help")
    assert set(COMMANDS) <= set(re.findall(r"^  (\w+)", out, re.M))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command(command):
    out, _ = ctl(command, "--help")
    assert out.startswith(f"usage: engagectl {command} ")
    assert ctl(command, "--version")[0].startswith("engagectl ")
    refused(command, "--unheard-of", status=USAGE, says=f"unknown option --unheard-of; see engagectl {command} --help")


def test_no_command():
    refused(status=USAGE, says="no command")
    refused("simulat", status=USAGE, says="did you mean simulate?")


@pytest.mark.parametrize("words, says", [
    (["simulate", "events"], "no model"),
    (["simulate", "-m", LIFECYCLE], "missing argument"),
    (["simulate", "--modle", LIFECYCLE, "events"], "did you mean --model?"),
    (["simulate", "-m", LIFECYCLE, "--grace", "10", "events"], "--grace 10 is no duration"),
    (["simulate", "-m", LIFECYCLE, "--until", "soon", "events"], "--until soon is no time"),
    (["simulate", "-m", LIFECYCLE, "--format", "xml", "events"], "no format xml"),
    (["simulate", "-m", LIFECYCLE, "--preset", "plane", "events"], "no preset plane"),
    (["simulate", "-m", LIFECYCLE, "-m", LIFECYCLE, "--compare", LIFECYCLE, "events"], "one --model"),
    (["show"], "missing argument CUSTOMER"),
    (["why", "a", "b"], "unexpected argument b"),
    (["status", "-f", "xml"], "no format xml"),
])
def test_usage(words, says):
    refused(*words, status=USAGE, says=says)


# ---- check

def test_mistakes(tmp_path):
    model = edited(tmp_path / "m.yaml", LIFECYCLE, ("from: at-risk,", "from: at-riks,"), ("quiet: 45d", "quiet: 45"))
    err = refused("check", model, status=CONFIG, says="did you mean")
    assert all(re.match(rf"{re.escape(str(model))}:\d+:\d+: ", line) for line in err.splitlines())
    refused("simulate", "-m", model, "events", status=CONFIG, says="at-riks")
    refused("check", tmp_path / "none.yaml", status=CONFIG, says="No such file")
    refused("simulate", "--config", tmp_path / "none.yaml", "events", status=CONFIG, says="none.yaml")
    refused("status", "--config", tmp_path / "none.yaml", status=CONFIG, says="none.yaml")


def test_full_disk():
    with open("/dev/full", "w", encoding="utf-8") as full:
        _, err = ctl("check", LIFECYCLE, stdout=full, status=INTERNAL)
    assert "No space left" in err


# ---- simulate

def test_bad_lines_are_counted(tmp_path):
    lines = ['{"customer":"c","type":"purchase","time":5}', "", "no JSON", '{"type":"purchase","time":6}',
             '{"customer":"c","type":"purchase","time":"yesterday"}', '{"customer":"c","type":"odd","time":7}',
             '{"customer":"c","type":"purchase","time":3}']
    path = tmp_path / "events"
    path.write_text("\r\n".join(lines), encoding="utf-8")
    said = "6 events: 2 matched a signal, 1 late, 3 bad; syntax: 1; customer: 1; time: 1\n"
    assert ctl("simulate", "-m", LIFECYCLE, path)[1] == said
    assert ctl("simulate", "-m", LIFECYCLE, "-m", MODELS / "race.yaml", "-", stdin="\n".join(lines))[1] == said


def test_unreadable_events(tmp_path):
    refused("simulate", "-m", LIFECYCLE, tmp_path / "none", status=DATA, says="No such file")
    refused("simulate", "-m", LIFECYCLE, tmp_path, status=DATA, says="directory")


def test_until_fires_deadlines(tmp_path):
    path = tmp_path / "events"
    path.write_text('{"customer":"c","type":"page_view","time":"2025-01-01T00:00:00Z"}\n', encoding="utf-8")
    assert simulate("-m", LIFECYCLE, path) == []
    missed = simulate("-m", LIFECYCLE, "--until", "2025-01-31T00:00:00Z", path)
    assert [(output["trigger"], output["time"]) for output in missed] == \
        [("objective.missed", "2025-01-31T00:00:00.000Z")]


def test_config_names_models_and_fields(tmp_path):
    config = tmp_path / "engaged.yaml"
    fields = "{customer: /who, type: /what, time: /when}"
    config.write_text(f"models: [{LIFECYCLE}]\nsources: [{{topics: [t], fields: {fields}}}]\n", encoding="utf-8")
    path = tmp_path / "events"
    path.write_text('{"who":"c","what":"purchase","when":5}\n', encoding="utf-8")
    assert simulate("--config", config, path)[0]["rule"] == "first-purchase"


def counts(outputs):
    """Flows, and triggers sent and over a cap, by name."""
    flows = Counter((output["from"], output["to"]) for output in outputs if "trigger" not in output)
    sent = Counter(output["trigger"] for output in outputs if "trigger" in output and "suppressed" not in output)
    capped = Counter(output["trigger"] for output in outputs if "suppressed" in output)
    return flows, sent, capped


def test_table_has_the_sums_of_the_lines(events):
    out, _ = ctl("simulate", "-m", LIFECYCLE, "--format", "table", events)
    flows, sent, capped = counts(simulate("-m", LIFECYCLE, events))
    assert flows and sent and capped
    found = re.findall(r"^  (\S+) +-> (\S+) +(\d+)$", out, re.M)
    assert {(a, b): int(n) for a, b, n in found} == flows
    found = re.findall(r"^  (\S+) +\S+ +(\d+)  over a cap: (\d+)$", out, re.M)
    assert {name: int(n) for name, n, _ in found if n != "0"} == sent
    assert {name: int(n) for name, _, n in found if n != "0"} == capped


# ---- size

def size(*words):
    out, _ = ctl("size", *words)
    return out


def gigabytes(out):
    number, unit = re.search(r"Redis memory +(\S+) (.B) of states", out).groups()
    return float(number) * {"kB": 1e-6, "MB": 1e-3, "GB": 1, "TB": 1e3}[unit]


def test_size():
    small, large = size("--customers", "1e7", "--rate", 20000), size("--customers", "1000000000", "--rate", "1e6")
    assert gigabytes(large) == pytest.approx(100 * gigabytes(small), rel=0.01)
    uuid = size("--customers", "1e9", "--rate", "1e6", "--id-bytes", 17)
    assert gigabytes(uuid) - gigabytes(large) == pytest.approx(3, rel=0.1)      # 3 bytes more, 10^9 times
    larger = size("--customers", "1e9", "--rate", "1e6", "--state-bytes", 47)
    assert gigabytes(larger) - gigabytes(large) == pytest.approx(10, rel=0.1)
    for out in (small, large):
        cost = re.search(r"([\d.]+) us of a core for an event, in the daemon", out)
        busy = re.search(r"daemon cores +(\d+), of which (\S+) busy", out)
        rate = 20000 if out is small else 1e6
        assert float(busy[2]) == pytest.approx(rate * float(cost[1]) / 1e6, rel=0.1)
        assert int(busy[1]) > float(busy[2])
    assert "Redis nodes      1," in small and "Redis nodes      1," not in large


@pytest.mark.parametrize("words, says", [
    ([], "no --customers"), (["--customers", 5], "no --rate"), (["--customers", 0, "--rate", 5], "--customers 0"),
    (["--customers", 5, "--rate", "fast"], "--rate fast"), (["--customers", 5, "--rate", -1], "--rate -1"),
    (["--customers", 5, "--rate", 5, "--id-bytes", 1025], "--id-bytes 1025"),
])
def test_size_usage(words, says):
    refused("size", *words, status=USAGE, says=says)


# ---- nobody there

@pytest.mark.parametrize("words", [["show", "c"], ["why", "c"], ["status"]])
def test_servers_away(tmp_path, words):
    config = tmp_path / "engaged.yaml"
    config.write_text(f"models: [{LIFECYCLE}]\nsources: [{{topics: [t], preset: plain}}]\n"
                      "redis: {url: 'redis://127.0.0.1:1/0', timeout: 100ms}\nkafka: {brokers: '127.0.0.1:1'}\n",
                      encoding="utf-8")
    refused(*words, "--config", config, status=UNAVAILABLE, says="Redis at 127.0.0.1:1: ")
