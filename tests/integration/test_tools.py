"""Command lines and exit statuses, the agreement with what they print, and SIGHUP."""
import json
import re
import signal
import subprocess

import pytest

import harness
import oracle
import reference
import streams

MINIMAL = harness.MODELS / "minimal.yaml"
BAD_MODEL = """model: bad
version: 1
signals: {seen: [seen]}
stages: {one: , two: }
transitions:
  - {name: r, from: one, to: three, when: heard}
"""
EVENTS = """{"customer":"c-1","type":"purchase","time":"2026-01-01T00:00:00Z"}
this is no event
{"customer":"c-1","type":"purchase","time":"2026-01-02T00:00:00Z"}
"""

# command line: (status, words on standard output, words on standard error)
COMMANDS = {
    "engaged --help": (0, ["usage: engaged", "--config"], []),
    "engaged --version": (0, ["engaged "], []),
    "engaged --confg x": (64, [], ["did you mean --config"]),
    "engaged more": (64, [], ["unexpected argument more"]),
    "engaged --config none.yaml": (78, [], ["none.yaml"]),
    "engaged --check-config --config good.yaml": (0, [], []),
    "engaged --check-config --config bad-config.yaml": (78, [], ["bad-config.yaml:3:", "bad.yaml:6:"]),
    "engagectl": (64, [], ["engagectl --help"]),
    "engagectl --help": (0, ["usage: engagectl", "check", "simulate"], []),
    "engagectl --version": (0, ["engagectl "], []),
    "engagectl chekc": (64, [], ["did you mean check"]),
    "engagectl check --help": (0, ["usage: engagectl check"], []),
    "engagectl check good-model.yaml": (0, ["good-model.yaml: ok: model minimal"], []),
    "engagectl check bad.yaml good-model.yaml": (78, ["good-model.yaml: ok"],
                                                 ["bad.yaml:6:30:", "three", "bad.yaml:6:43:", "heard"]),
    "engagectl check none.yaml": (78, [], ["none.yaml"]),
    "engagectl check --explain good-model.yaml": (0, ["first-time-buyer", "second-purchase"], []),
    "engagectl check --dot good-model.yaml": (0, ["digraph"], []),
    "engagectl check --config good.yaml": (0, ["ok"], []),
    "engagectl check --colour": (64, [], ["--colour"]),
    "engagectl simulate --help": (0, ["usage: engagectl simulate"], []),
    "engagectl simulate": (64, [], ["EVENTS"]),
    "engagectl simulate --model good-model.yaml events.jsonl": (0, ["first-purchase", "second-purchase"],
                                                              ["3 events", "1 bad"]),
    "engagectl simulate --model good-model.yaml --format table events.jsonl": (0, ["population", "active"], []),
    "engagectl simulate --model good-model.yaml -": (0, ["second-purchase"], []),
    "engagectl simulate --model good-model.yaml none.jsonl": (65, [], ["none.jsonl"]),
    "engagectl simulate --model bad.yaml events.jsonl": (78, [], ["bad.yaml:6:"]),
    "engagectl simulate --model good-model.yaml --until soon events.jsonl": (64, [], ["soon"]),
    "engagectl simulate --model good-model.yaml --grace 5 events.jsonl": (64, [], ["5"]),
    "engagectl simulate --model good-model.yaml --format xml events.jsonl": (64, [], ["xml"]),
    "engagectl simulate --config good.yaml events.jsonl": (0, ["second-purchase"], []),
}


@pytest.mark.quick
@pytest.mark.parametrize("line", COMMANDS)
def test_command(tmp_path, line):
    status, out, err = COMMANDS[line]
    (tmp_path / "good-model.yaml").write_text(MINIMAL.read_text())
    (tmp_path / "bad.yaml").write_text(BAD_MODEL)
    (tmp_path / "good.yaml").write_text("models: [good-model.yaml]\nsources: [{topics: [events], preset: plain}]\n")
    (tmp_path / "bad-config.yaml").write_text("models: [bad.yaml]\nsources: [{topics: [e], preset: plain}]\n"
                                              "colour: red\n")
    (tmp_path / "events.jsonl").write_text(EVENTS)
    program, *words = line.split()
    done = subprocess.run([harness.BUILD / program, *words], cwd=tmp_path, input=EVENTS, capture_output=True, text=True,
                          timeout=20, check=False)
    told = f"status {done.returncode}\n--- standard output\n{done.stdout}\n--- standard error\n{done.stderr}"
    assert done.returncode == status, told
    assert all(word in done.stdout for word in out) and all(word in done.stderr for word in err), told
    if status:
        assert not done.stdout or out, told


def write_model(path, version, trigger):
    """The minimal model with one more trigger, which needs no other facts."""
    text = MINIMAL.read_text().replace("version: 1", f"version: {version}")
    path.write_text(text + f"  - {{name: {trigger}, campaign: extra, enter: active}}\n")
    return path


def test_reload_of_a_wrong_model(make_app, tmp_path, rng):
    """SIGHUP with mistakes: they are told, and the daemon works on as before."""
    model = write_model(tmp_path / "model.yaml", 1, "extra.one")
    models = [reference.Model.load(model)]
    app = make_app(model, http={"listen": f"127.0.0.1:{harness.free_port()}"})
    daemon = app.start_live()

    def feed(events):
        streams.feed(app.feeder(), streams.history(rng, streams.customers(rng, events // 9), events))
        app.await_caught_up()
    feed(500)
    harness.eventually(lambda: re.search(r'engaged_customers.*"first-time-buyer".* [1-9]', app.http("/metrics")),
                       "customers in first-time-buyer")
    good = model.read_text()
    for spoilt in (good.replace("to: active", "to: nowhere"), "model: [", "",
                   good.replace("first-time-buyer", "newcomer").replace("version: 1", "version: 2")):
        told = daemon.log().count("not reloaded")
        model.write_text(spoilt)
        daemon.signal(signal.SIGHUP)
        daemon.says("not reloaded", times=told + 1)
        assert daemon.runs() and app.http("/readyz") == "ready\n"
    assert "nowhere" in daemon.log()
    model.write_text(good)
    feed(500)
    oracle.settle(app, models)
    assert "replaying" not in daemon.log()


def test_reload_of_a_new_version(make_app, servers, tmp_path, rng):
    """SIGHUP with a raised version under load, then a kill: each event is stepped by one version, exactly once."""
    model = write_model(tmp_path / "model.yaml", 1, "extra.one")
    first = [reference.Model.load(model)]
    app = make_app(model)
    daemon = app.start_live()
    flow = streams.Flow(app.feeder(), streams.history(rng, streams.customers(rng, 800), 8000), 8000, 6)
    flow.wait_until(2)
    second = [reference.Model.load(write_model(model, 2, "extra.two"))]
    daemon.signal(signal.SIGHUP)
    daemon.says("switched to program", times=app.partitions)
    flow.wait_until(4)
    daemon.kill()
    app.start()
    flow.finish()
    app.await_caught_up()
    switches = {}
    for record in servers.read(f"{app.name}.journal"):
        entry = json.loads(record.value())
        if entry["kind"] == "switch":
            switches[record.partition()] = {entry["offset"]: second}
    assert len(switches) == app.partitions
    expected = oracle.expect(app, first, switches=switches)
    oracle.await_outputs(app, expected)
    app.daemons[-1].stop()
    outputs, _ = oracle.assert_equal(app, second, expected)
    assert {output["trigger"] for sent in expected.outputs.values() for output in sent if "trigger" in output} \
        > {"extra.one", "extra.two"}
    print(f"{outputs} outputs agree; the versions changed at {[next(iter(at)) for at in switches.values()]}")


def test_reload_at_a_bad_moment(make_app, servers, tmp_path, rng):
    """What Kafka would refuse, and outputs that run ahead of states in a full Redis: the former configuration stays."""
    model = write_model(tmp_path / "model.yaml", 1, "extra.one")
    app = make_app(model)
    daemon = app.start_live()
    feeder = app.feeder()

    def feed(events):
        streams.feed(feeder, streams.history(rng, streams.customers(rng, events // 9), events))
    feed(500)
    app.await_caught_up()
    write_model(model, 2, "extra.two")
    servers.create_topic(other := f"{app.name}.other", app.partitions + 1)
    app.write_config(outputs={"transitions": other})
    daemon.signal(signal.SIGHUP)
    daemon.says("not reloaded", "they must be as many")
    app.write_config()
    with servers.redis_setting("maxmemory", 1):
        feed(500)
        daemon.says("taking the partition again", times=app.partitions)
        daemon.signal(signal.SIGHUP)
        daemon.says("reload again when all are live")
    app.await_caught_up()
    harness.eventually(lambda: not re.search("replaying[^\n]*$", daemon.log()), "the end of replays")
    daemon.signal(signal.SIGHUP)
    daemon.says("switched to program", times=app.partitions)
    feed(500)
    app.await_caught_up()
    assert daemon.runs()
