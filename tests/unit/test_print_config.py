"""run --print-config: values, where they come from, and an arithmetic that is true."""
import json
import random
import re
from fractions import Fraction

import pytest
from program import GOOD, run

UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}


@pytest.fixture
def config(tmp_path):
    def write(text, name="x.conf"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)
    return write


def printed(path):
    code, out, err = run("run", "--print-config", "--json", "--config", path)
    return code, json.loads(out), err


def test_text(config):
    path = config(GOOD + 'ttl = "6s"; margin = "400ms";\npriority = 7;\n')
    code, out, err = run("run", "--print-config", "--config", path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"# {path}"
    for line in ('name = "a";                                          # PATH:1',
                 '# tls = true;                                        # default',
                 'ttl = "6s";                                          # PATH:2',
                 '# renew = "600ms";                                   # default: ttl/10',
                 'priority = 7;                                        # PATH:3',
                 'endpoints = ("unix:/s");                             # PATH:1',
                 '# state_dir = "/var/lib/galera-lease/a";             # default: /var/lib/galera-lease/NAME',
                 '#   silence = ttl - (demote_budget + kill_budget + margin) - renew',
                 '#     = 6s - (1500ms + 600ms + 400ms) - 600ms = 2900ms: so long the database may be silent, and no '
                 'controller is stopped',
                 '#   holds  renew <= ttl/3: 600ms <= 6s/3',
                 '#   holds  silence >= renew + ttl/100: 2900ms >= 600ms + 6s/100'):
        assert line.replace("PATH", path) in lines


def test_the_text_is_a_configuration(config):
    """Printed, read again and printed: the same values."""
    path = config(GOOD + 'ttl = "7s"; address = "a \\"b\\" \\\\ c"; tls_cert = ""; restart_window = "90s"; tls = false;\n'
                  'controller_endpoint = "unix:/s"; check_failures = 9;\n'
                  'webhooks = ( { url = "https://h/\\"x\\""; events = ("rogue", "alarm"); tries = 2; }, { url = "http://i"; } );\n'
                  'files = ("/a", "/b"); ignore_lines = ("^\\\\["); require_match = true;\n')
    again = config(run("run", "--print-config", "--config", path)[1], "again.conf")
    first, second = printed(path), printed(again)
    assert first[0] == second[0] == 0
    assert [(o["name"], o["value"], o["default"]) for o in first[1]["options"]] == \
        [(o["name"], o["value"], o["default"]) for o in second[1]["options"]]
    assert next(o for o in first[1]["options"] if o["name"] == "address")["value"] == 'a "b" \\ c'
    assert next(o for o in first[1]["options"] if o["name"] == "ignore_lines")["value"] == ["^\\["]
    one, two = next(o for o in first[1]["options"] if o["name"] == "webhooks")["value"]
    assert one == {"url": 'https://h/"x"', "secret_file": "", "events": ["rogue", "alarm"], "ca_file": "", "timeout": "10s", "tries": 2}
    assert two["events"] == ["role", "alarm"] and two["tries"] == 5


def test_included_files_are_named(config, tmp_path):
    other = config('\nttl = "8s";\n', "times.conf")
    path = config(GOOD + f'@include "{other}"\n')
    code, found, _ = printed(path)
    assert code == 0
    ttl = next(o for o in found["options"] if o["name"] == "ttl")
    assert (ttl["value"], ttl["ns"], ttl["file"], ttl["line"], ttl["default"]) == ("8s", 8 * 10**9, other, 2, False)


def exact(text):
    """A formula with its values, as exact fractions of a nanosecond."""
    text = re.sub(r"(\d+)(?:\.(\d{6}))?(ms|h|m|s)\b", lambda m: f"F({int(m[1]) * UNITS[m[3]] + int(m[2] or 0)})", text)
    return eval(text.replace("/", "/F(1)/"), {"F": Fraction})  # noqa: S307: what the program printed, in a test


def test_the_arithmetic_is_true(config):
    """Every formula gives the value beside it, every rule holds exactly when its formula does, and one that does not refuses."""
    seed = 20
    dice = random.Random(seed)
    refused = allowed = 0
    for turn in range(150):
        times = {"ttl": dice.choice([700, 1000, 2345, 6000, 20000, 3600000, 4000000])}
        for name, part in (("renew", 10), ("demote_budget", 4), ("kill_budget", 10), ("margin", 20), ("poll", 40),
                           ("check_budget", 10)):
            if dice.random() < 0.4:
                times[name] = max(0, int(times["ttl"] / part * dice.choice([0, 0.3, 0.9, 1, 1.1, 2, 4])))
        path = config(GOOD + "".join(f'{k} = "{v}ms";\n' for k, v in times.items()))
        code, found, err = printed(path)
        where = f"seed {seed} turn {turn}: {times}"
        for row in found["times"]:
            assert max(0, exact(row["with_values"])) == row["ns"] == exact(row["value"]), (where, row)
        rules = [r for r in found["rules"] if "every" not in r["formula"]]
        assert len(rules) == len(found["rules"]) - 1
        for row in rules:
            assert bool(exact(row["with_values"])) == row["holds"], (where, row)
        broken = [r for r in found["rules"] if not r["holds"]]
        assert code == (2 if broken else 0) and bool(err) == bool(broken), (where, err)
        refused, allowed = refused + bool(broken), allowed + (not broken)
    assert refused > 20 and allowed > 20


def test_refused_times_are_shown(config):
    path = config(GOOD + 'ttl = "4s";\nrenew = "2s"; poll = "0s";\n')
    code, out, err = run("run", "--print-config", "--config", path)
    assert code == 2
    assert 'ttl = "4s"' not in out
    assert "#   BROKEN renew <= ttl/3: 2s <= 4s/3 (renew must be at most ttl/3: otherwise one lost renewal is too many)" in out
    assert "#   BROKEN 0s < every duration <= 24h (every duration must be above zero and below a day)" in out
    assert [line.split(" ")[0:2] for line in err.splitlines()] == [[f"{path}:3:", "poll:"], [f"{path}:3:", "renew:"]]


@pytest.mark.parametrize("text", ['ttl = "4";\n', "ttl = 4;\n", "ttl = = 4;\n"])
def test_unreadable_times_show_nothing(config, text):
    code, out, err = run("run", "--print-config", "--config", config(GOOD + text))
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
