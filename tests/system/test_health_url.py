"""The controller's health URL: one that lives and does not answer well is restarted in place, then another host leads."""
import time

import pytest
from farend import FarEnd
from sidecars import wait_for
from test_http import PORT, metrics


@pytest.fixture
def pair(group):
    """Two members, each with a far end whose answer stands in a file of its own."""
    ends = []
    for i in (1, 2):
        m = group.add(i)
        m.far_end = FarEnd(group.dir, m.node)
        m.health = m.dir / "health"
        m.health.write_text("200 all is well")
        ends.append(m.far_end)
        m.options |= {"restarts": 2, "check_failures": 2, "health_url": m.far_end.url(f"/file{m.health}"), "health_text": "is well",
                      "health_timeout": "300ms", "http_listen": f"{m.node.address}:{PORT}"}
    group.init()
    yield group
    for end in ends:
        end.end()


def asked(m):
    return len(m.far_end.requests(f"/file{m.health}"))


def epochs(m):
    return sorted(epoch for _, epoch, _, _ in m.starts())


@pytest.mark.parametrize("answer, why", [("500 all is well", "it answered 500"), ("200 all is lost", "without the text"), ("hang", "timed out")])
def test_restarted_in_place_then_released(pair, answer, why):
    first, second = pair.members
    first.start()
    assert pair.wait_leader(15) is first
    second.start()
    wait_for("a follower", lambda: second.role() == "follower", 10)
    wait_for("a good answer", lambda: first.status().get("health_url", {}).get("state") == "healthy", 10)
    assert "health URL: healthy" in first.cli("status").stdout
    assert asked(second) == 0 and second.status()["health_url"]["state"] == "not asked"  # a follower's controller is stopped
    first.health.write_text(answer)
    wait_for("a bad answer", lambda: why in first.status().get("health_url", {}).get("why", ""), 10)
    pair.wait_leader(30, other_than=first)
    wait_for("its controller", lambda: epochs(second) == [4], 10)
    assert epochs(first) == [1, 2, 3] and pair.leader() is second
    assert first.log_text().count("reason=unhealthy") >= 3
    assert "healthy=no" in first.log_text() and first.status()["loop_stall_own_max_us"] < 300_000
    wait_for("the other one's good answer", lambda: second.status().get("health_url", {}).get("state") == "healthy", 10)
    start = time.monotonic()
    second.health.write_text("hang")
    time.sleep(0.6)  # it hangs in a question by now
    assert second.terminate() == 0
    assert time.monotonic() - start < 6


def test_one_bad_answer_is_forgiven(pair):
    first = pair.members[0]
    first.options |= {"check_failures": 100}
    first.start()
    pair.wait_leader(15)
    first.health.write_text("503")
    wait_for("a bad answer", lambda: first.status().get("health_url", {}).get("state") == "unhealthy", 10)
    first.health.write_text("200 it is well again")
    wait_for("a good answer", lambda: first.status().get("health_url", {}).get("state") == "healthy", 10)
    assert epochs(first) == [1] and pair.leader() is first
    seen = metrics(first)
    assert seen["galera_lease_controller_healthy"] == 1
    assert all(seen[f'galera_lease_health_answers_total{{outcome="{o}"}}'] > 0 for o in ("healthy", "unhealthy"))
