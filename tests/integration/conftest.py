"""Servers once a session, an app of its own for each test, and everything ended and removed at the end."""
import random

import pytest

import harness


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="only the tests marked quick")
    parser.addoption("--long", action="store_true", help="many more kills, for an hour nobody needs the machine")
    parser.addoption("--seed", type=int, help="of the random moments, to repeat a failure")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--quick"):
        config.hook.pytest_deselected(items=[item for item in items if not item.get_closest_marker("quick")])
        items[:] = [item for item in items if item.get_closest_marker("quick")]


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    assert (harness.BUILD / "engaged").exists(), f"no engaged in {harness.BUILD}: build it, or set ENGAGED_BUILD"
    servers = harness.Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.stop()


@pytest.fixture
def servers(started):
    """Kafka and Redis, both there, whatever the test before has done to them."""
    started.start()
    return started


@pytest.fixture
def make_app(servers, tmp_path):
    """make_app(model, **config): an app with a source of its own."""
    apps = []

    def make(model, name="test", **more):
        folder = tmp_path / str(len(apps))
        folder.mkdir()
        apps.append(harness.App(servers, folder, name, model, **more))
        return apps[-1]
    yield make
    for app in apps:
        app.close()


@pytest.fixture
def rng(request):
    """Chance, other in each run; the seed is shown with a failure."""
    given = request.config.getoption("--seed")
    seed = given if given is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}: repeat with --seed {seed}")
    return random.Random(seed)
