"""The manual pages: well-formed, and complete beside --help and the shipped configuration."""
import os
import re
import shutil
import subprocess

import pytest
import yaml

from ctl import BUILD, ROOT, ctl

MAN = ROOT / "daemon" / "man"
PAGES = sorted(path.name for path in MAN.glob("*.[1-8]"))


def rendered(page):
    if not shutil.which("man"):
        pytest.skip("no man")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", MAN / page], capture_output=True, text=True,
                          check=False, env={**os.environ, "MANWIDTH": "1000", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def options(text):
    """--long names in a help text or a page."""
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))


@pytest.mark.parametrize("page", PAGES)
def test_is_well_formed(page):
    assert len(rendered(page)) > 1000


def test_engaged_has_every_option():
    told = subprocess.run([BUILD / "engaged", "--help"], capture_output=True, text=True, check=True).stdout
    assert options(told) == options(rendered("engaged.8"))


def test_engagectl_has_every_command_and_option():
    page = rendered("engagectl.1")
    commands = re.findall(r"^  (\w+)", ctl("--help")[0], re.M)
    assert set(commands) == set(re.findall(r"^ {5}engagectl (\w+) [\[-]", page, re.M))
    told = {option for command in commands for option in options(ctl(command, "--help")[0])}
    assert told == options(page)


def keys(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict) and value and key not in ("campaigns", "fields"):
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_configuration_has_every_key():
    shipped = yaml.safe_load((ROOT / "config" / "engaged.yaml").read_text(encoding="utf-8"))
    page = rendered("engaged.yaml.5")
    sources = shipped.pop("sources")[0]
    assert all(re.search(rf"\b{name}\b", page) for name in [*sources, "fields", "format"])
    listed = set(re.findall(r"^     ([a-z_]+(?:\.[a-z_]+)?)(?: \(|  |$)", page, re.M))
    assert listed - {"sources", "instance"} == set(keys(shipped))
