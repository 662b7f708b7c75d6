"""Webhooks of a real sidecar, to a real HTTP receiver: what arrives, what is tried again, and that none of it disturbs the lease."""
import hashlib
import hmac
import json
import os
import subprocess
import time

import pytest
from certificates import Authority
from farend import FarEnd
from sidecars import Raw, wait_for


@pytest.fixture
def far_ends():
    made = []
    yield made
    for end in made:
        end.end()


def hook(url, **more):
    settings = " ".join(f"{k} = {json.dumps(v) if not isinstance(v, tuple) else '(' + ', '.join(map(json.dumps, v)) + ')'};"
                        for k, v in ({"url": url} | more).items())
    return "{ " + settings + " }"


def webhooks(*hooks):
    return Raw(f"( {', '.join(hooks)} )")


def counts(member, number):
    return next((r for r in member.status().get("receivers", []) if r["name"] == f"webhook{number}"), {})


def bodies(end, path):
    return [json.loads(r["body"]) for r in end.requests(path)]


def test_what_arrives(group, far_ends):
    """In order, without a gap, signed; each hears what it asked for; the last words too."""
    m = group.add(1)
    end = FarEnd(group.dir, m.node)
    far_ends.append(end)
    secret = group.dir / "secret"
    secret.write_text("geheim and long\n")
    secret.chmod(0o600)
    m.options["webhooks"] = webhooks(hook(end.url("/ok/all"), secret_file=str(secret)), hook(end.url("/ok/alarms"), events=("alarm",)),
                                     hook(end.url("/ok/named"), events=("acquired", "released")))
    group.init().start()
    group.wait_leader(15)
    wait_for("the news", lambda: any(b["role"] == "leader" for b in bodies(end, "/ok/all")), 5)
    first = end.requests("/ok/all")[0]
    assert first["method"] == "POST" and first["headers"]["content-type"] == "application/json"
    for request in end.requests("/ok/all"):
        code = hmac.new(b"geheim and long", request["body"].encode(), hashlib.sha256).hexdigest()
        assert hmac.compare_digest(request["headers"]["x-galera-lease-signature"], f"sha256={code}")
    heard = bodies(end, "/ok/all")
    assert [b["number"] for b in heard] == list(range(1, len(heard) + 1))
    assert [b["from"] for b in heard] == ["boot"] + [b["role"] for b in heard[:-1]]
    leading = next(b for b in heard if b["role"] == "leader")
    now = time.time()
    at = time.mktime(time.strptime(leading.pop("at")[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert abs(now - at) < 60
    leading.pop("number")
    assert leading == {"version": 1, "lease": group.lease, "member": "m1", "event": "role", "from": "promoting", "role": "leader",
                       "reason": "free", "epoch": 1, "alarm": False}
    wait_for("the named one", lambda: [b["event"] for b in bodies(end, "/ok/named")] == ["acquired"], 5)
    # The secret may change while it runs; without a usable one nothing goes out unsigned.
    secret.write_text("another\n")
    assert m.terminate() == 0
    last = end.requests("/ok/all")[-1]
    assert json.loads(last["body"])["reason"] == "shutdown"
    code = hmac.new(b"another", last["body"].encode(), hashlib.sha256).hexdigest()
    assert last["headers"]["x-galera-lease-signature"] == f"sha256={code}"
    assert [b["event"] for b in bodies(end, "/ok/named")] == ["acquired", "released"]
    assert "x-galera-lease-signature" not in end.requests("/ok/named")[0]["headers"]
    assert bodies(end, "/ok/alarms") == []


def test_alarms_arrive(group, far_ends):
    m, other = group.add(1), group.add(2)
    end = FarEnd(group.dir, other.node)
    far_ends.append(end)
    other.options |= {"priority": 0, "webhooks": webhooks(hook(end.url("/ok"), events=("alarm",)))}
    group.init().start()
    assert group.wait_leader(15) is m
    wait_for("a follower", lambda: other.role() == "follower", 10)  # one that still boots stops it without a word
    rogue = subprocess.Popen(["sleep", "60"], env=os.environ | {
        "GALERA_LEASE_CONTROLLER": "1", "GALERA_LEASE_NAME": group.lease, "GALERA_LEASE_MEMBER": other.name})
    wait_for("the alarm", lambda: [(b["event"], b["alarm"], b["number"]) for b in bodies(end, "/ok")] == [("rogue", True, 1)], 10)
    rogue.wait(10)


def test_receivers_that_fail(group, far_ends):
    """Each in its own way, all at once: what may get better is tried again, what won't is given up, and the lease goes on."""
    m = group.add(1)
    authority = Authority(group.dir / "ca")
    stranger = Authority(group.dir / "stranger", "stranger")
    pair = group.dir / "certificate", group.dir / "key"
    authority.issue(*pair, "receiver", address="127.0.0.1")
    end, safe = FarEnd(group.dir, m.node), FarEnd(group.dir, m.node, *pair)
    far_ends.extend((end, safe))
    alone = {"events": ("acquired",)}  # one notice each
    m.options["webhooks"] = webhooks(
        hook(end.url("/flaky/503/2"), **alone), hook(end.url("/flaky/429/1"), **alone), hook(end.url("/status/410"), **alone),
        hook("http://127.0.0.1:1/", tries=2, **alone), hook(end.url("/redirect"), **alone),
        hook(safe.url("/ok"), ca_file=str(authority.certificate), **alone),
        hook(safe.url("/ok/stranger"), ca_file=str(stranger.certificate), tries=1, **alone),
        hook(end.url("/hang"), timeout="60s"))
    group.init().start()
    group.wait_leader(15)
    wait_for("all outcomes", lambda: all(counts(m, n).get("waiting") == 0 for n in range(1, 8)), 20)
    outcome = {n: (counts(m, n)["delivered"], counts(m, n)["failed"], counts(m, n)["retries"]) for n in range(1, 8)}
    assert outcome == {1: (1, 0, 2), 2: (1, 0, 1), 3: (0, 1, 0), 4: (0, 1, 1), 5: (0, 1, 0), 6: (1, 0, 0), 7: (0, 1, 0)}
    assert len({r["body"] for r in end.requests("/flaky/503/2")}) == 1  # the same notice, each time
    at = [r["at"] for r in end.requests("/flaky/503/2")]
    assert at[1] - at[0] > 0.9 and at[2] - at[1] > 1.9  # pauses that double
    assert counts(m, 3)["error"] == "it answered 410" and "redirects are not followed" in counts(m, 5)["error"]
    assert not end.requests("/ok")
    assert "certificate" in counts(m, 7)["error"] and not safe.requests("/ok/stranger")
    stuck = counts(m, 8)
    assert stuck["delivered"] == 0 and stuck["waiting"] == stuck["put"] >= 3 and len(end.requests("/hang")) == 1
    assert group.leader() is m and m.status()["loop_stall_own_max_us"] < 300_000
    assert "webhook3:   0 delivered, 1 failed, 0 dropped, 0 waiting: it answered 410" in m.cli("status").stdout
    assert m.log_text().count("event=notice-lost") == 4
    start = time.monotonic()
    assert m.terminate() == 0  # nobody waits for the one that hangs
    assert time.monotonic() - start < 5
