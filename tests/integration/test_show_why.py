"""What operators are told: show, why and status, of states and outputs that real daemons have made."""
import json
import re
import socket
import subprocess
import urllib.request

import pytest

import harness
import reference

LIFECYCLE = harness.MODELS / "lifecycle.yaml"
DAY_MS = 86400000
START_MS = 1735689600000        # 2025-01-01


def ctl(command, config, *words, status=0):
    done = subprocess.run([harness.BUILD / "engagectl", command, "--config", config, *words], capture_output=True,
                          text=True, timeout=harness.WAIT_S, check=False)
    assert done.returncode == status, f"engagectl {command} ended with {done.returncode}: {done.stderr}"
    return done.stdout if status == 0 else done.stdout + done.stderr


def block(out, heading):
    """The lines of a rule or trigger: its condition, what holds and lacks, and what follows."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"  {heading}"))
    end = start + 1
    while end < len(lines) and lines[end].startswith("      "):
        end += 1
    return [line.strip() for line in lines[start:end]]


class Story:
    """Events by day, each with an id; what has been fed is remembered by offset.

    Tests tell something before they start a daemon: then the new topic is known to the broker for sure.
    """

    def __init__(self, app):
        self.app, self.feeder, self.fed = app, app.feeder(), {partition: 0 for partition in range(app.partitions)}

    def tell(self, *events, partition=None):
        """(day, customer, type) or (day, customer, type, value). The place of the last one, as engagectl writes it."""
        for day, customer, kind, *value in events:
            place = self.feeder.place(customer) if partition is None else partition
            number = self.fed[place]
            line = {"customer": customer, "type": kind, "id": f"e-{place}-{number}",
                    "time": START_MS + int(day * DAY_MS)}
            if value:
                line["value"] = value[0]
            self.feeder.put(json.dumps(line), customer, place)
            self.fed[place] += 1
        self.feeder.flush()
        return f"e-{place}-{number} ({self.app.source}/{place}, offset {number})"

    def pass_time(self, day):
        """Moves the clock of every partition, by customers that match no signal."""
        for partition in self.fed:
            self.tell((day, f"clock-{partition}", "tick"), partition=partition)
        self.app.await_caught_up()


def instant(day, ms=0):
    return reference.format_time(START_MS + int(day * DAY_MS) + ms)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


FORMATS = [("json", "structured"), ("json", "binary"), ("msgpack", "structured"), ("msgpack", "binary")]


@pytest.mark.parametrize("style", FORMATS, ids="-".join)
def test_why(make_app, style):
    app = make_app(LIFECYCLE, outputs={"format": style[0], "cloudevents": style[1]})
    story, config = Story(app), app.write_config()
    story.tell((0, "c-1", "page_view"), (1, "c-1", "purchase", 10))
    app.start_live()
    cause = story.tell((3, "c-1", "purchase", 20))
    story.tell((4, "c-1", "complaint"), (5, "new", "page_view"))
    story.pass_time(10)

    out = ctl("why", config, "c-1")
    place = story.feeder.place("c-1")
    assert out.splitlines()[0] == "c-1 in lifecycle, version 1"
    for line in [f"stage      active, visit 1, since {instant(3)} (6d 23h ago)",
                 f"by         second-purchase, from first-time-buyer: purchase {cause}",
                 f"last seen  {instant(4)} (5d 23h ago), in {app.source}/{place}",
                 f"clock      {instant(10, -10000)}",
                 f"next       reactivation.quiet, due {instant(25)} (in 15d)",
                 f"  next-purchase: purchase: open, missed after {instant(93)} (in 83d)"]:
        assert line in out.splitlines(), f"{line}\n{out}"
    assert block(out, "complaints -> at-risk") == [
        "complaints -> at-risk: when complaint, if count(complaint, 30d) >= 2",
        "lacks  count(complaint, 30d) >= 2 (now 1)", "so     one complaint now is enough"]
    assert block(out, "gone-quiet -> at-risk")[1:] == [
        "lacks  45d without any event (now 5d 23h)", f"so     due {instant(49)} (in 39d)"]
    assert block(out, "advocacy -> advocate")[1:] == [
        "lacks  count(purchase) >= 3 (now 2)", "lacks  count(referral, 180d) >= 1 (now 0)",
        "lacks  value(review) >= 4 (none yet)", "lacks  value(nps) >= 9 (none yet)",
        "so     it depends on the value of review or nps", "so     one referral now is not enough"]
    assert block(out, "reactivation.quiet")[-1] == f"so     due {instant(25)} (in 15d)"
    assert "by         its first event\n" in ctl("why", config, "new")

    story.pass_time(60)             # what was said comes true
    out = ctl("why", config, "c-1")
    assert f"stage      at-risk, visit 1, since {instant(49)} (10d 23h ago)\n" in out
    assert "by         gone-quiet, from active: by time alone\n" in out
    assert block(out, "reactivation.follow-up")[1:] == [
        "lacks  21d in the stage (now 10d 23h)", f"so     due {instant(70)} (in 10d)"]
    story.tell((61, "c-1", "ticket_resolved"), (62, "c-1", "complaint"))
    app.await_caught_up()
    out = ctl("why", config, "c-1")
    assert "stage      active, visit 2, since " in out and "by         recovered, from at-risk: ticket_resolved " in out
    assert "no such customer" in ctl("why", config, "nobody", status=65)


def test_why_without_transitions(make_app):
    app = make_app([LIFECYCLE, harness.MODELS / "minimal.yaml"], outputs={"transitions": None})
    story, config = Story(app), app.write_config()
    uuid = "3f2a9c1e-7b1d-4a58-9f0e-2c6d8b4a1e00"
    story.tell((0, uuid, "purchase", 10))
    app.start_live()
    app.await_caught_up()
    out = ctl("why", config, uuid)
    assert re.findall(r"^\S+ in (\S+),", out, re.M) == ["lifecycle", "minimal"]
    assert "by         not known: transitions are not published (outputs.transitions)" in out


def test_show_is_what_http_has(make_app):
    port = free_port()
    app = make_app(LIFECYCLE, http={"listen": f"127.0.0.1:{port}"})
    story, config = Story(app), app.write_config()
    story.tell((0, "c-1", "page_view"), (1, "c-1", "purchase", 12.5), (2, "c-1", "nps_response", 9))
    app.start_live()
    app.await_caught_up()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/customers/c-1") as answer:
        shown = json.loads(answer.read())
    assert json.loads(ctl("show", config, "c-1", "--format", "json")) == shown
    table = dict(re.findall(r"^ *(\S.*?)  +(\S+)$", ctl("show", config, "c-1"), re.M))
    state = shown["models"][0]
    assert table["customer"] == "c-1" and table["stage"] == state["stage"] == "first-time-buyer"
    assert table["count(purchase)"] == "1" and table["sum(purchase)"] == "12.5" and table["value(nps)"] == "9.0"
    assert table["at"] == state["deadline"]["at"] == instant(8) and table["trigger"] == "onboarding.day-7"
    assert "no such customer" in ctl("show", config, "nobody", status=65)


def status_of(config, **more):
    return json.loads(ctl("status", config, "--format", "json", **more))


def test_status(make_app, servers):
    port = free_port()
    app = make_app(LIFECYCLE, http={"listen": f"127.0.0.1:{port}"})
    story, config = Story(app), app.write_config()
    story.tell((0, "c-0", "page_view"))
    daemon = app.start_live()
    story.tell(*((day / 8, f"c-{day}", "purchase" if day % 3 else "page_view") for day in range(40)))
    app.await_caught_up()
    harness.eventually(
        lambda: {(part["lag"], part["state"]) for part in status_of(config)["partitions"]} == {(0, "live")},
        lambda: f"live without lag: {status_of(config)}")
    found = status_of(config)
    assert (found["app"], found["daemon"], found["trouble"]) == (app.name, "one", None)
    for part in found["partitions"]:
        cursor = app.cursor(part["partition"])
        assert (part["topic"], part["owner"]) == (app.source, cursor["owner"])
        assert (part["offset"], part["flushes"]) == (int(cursor["offset"]), int(cursor["n"]))
        assert part["customers"] == int(cursor["customers:lifecycle"]) and part["clock"].startswith("2025-01-0")
    assert found["populations"]["lifecycle:stage:first-time-buyer"] == 26
    assert found["populations"]["lifecycle:stage:prospect"] == 14
    table = ctl("status", config)
    assert f"app {app.name}: daemon one answers at 127.0.0.1:{port}" in table and "first-time-buyer" in table

    daemon.stop()
    story.tell((9, "c-1", "page_view"))
    found = status_of(config)
    assert found["daemon"] is None and "refused" in found["trouble"]
    assert [part["state"] for part in found["partitions"]] == [None, None]
    assert sum(part["lag"] for part in found["partitions"]) >= 1
    with servers.away("redis"):
        out = ctl("status", config, status=69)
        assert "Redis at" in out and "lifecycle:" not in out and re.search(r"^ +0 .* \d+ +- ", out, re.M)
    with servers.away("kafka"):
        out = ctl("status", config, status=69)
        assert "Kafka at" in out and re.search(r"first-time-buyer +26 ", out)


def test_status_of_a_halted_partition(make_app, servers):
    port = free_port()
    app = make_app(LIFECYCLE, http={"listen": f"127.0.0.1:{port}"})
    story, config = Story(app), app.write_config()
    story.tell((0, "c-1", "purchase"), partition=0)
    daemon = app.start_live()
    app.await_caught_up()
    daemon.stop()
    servers.redis.delete(*servers.redis.keys(f"{{{app.name}:{app.source}:0}}*"))
    app.start().says("partition halted")
    harness.eventually(lambda: {part["state"] for part in status_of(config)["partitions"]} == {"halted", "live"},
                       lambda: f"one of the partitions halted: {status_of(config)}")
    halted = status_of(config)["partitions"][0]
    assert halted["state"] == "halted" and halted["reason"] and halted["reason"] in ctl("status", config)


def test_states_of_a_former_version_are_told(make_app, tmp_path):
    """After a new version nobody has touched the customer yet: its state is told as the daemon will read it."""
    model = tmp_path / "model.yaml"
    model.write_text(LIFECYCLE.read_text(encoding="utf-8"), encoding="utf-8")
    app = make_app(model)
    story = Story(app)
    story.tell((0, "ann", "page_view"), (1, "ann", "purchase", 20))
    daemon = app.start()
    app.await_caught_up()
    daemon.stop()
    model.write_text(model.read_text(encoding="utf-8").replace("\nversion: 1", "\nversion: 2"), encoding="utf-8")
    daemon = app.start()
    daemon.says("switched to program", times=app.partitions)
    told = json.loads(ctl("show", daemon.config, "--format", "json", "ann"))
    assert [(one["version"], one["stage"], one["facts"]["count"]["purchase"]) for one in told["models"]] == [
        (2, "first-time-buyer", 1)]
