"""SIGHUP while leading: what may change does, and the controller is not touched. What else there is to it: unit/test_reload.py."""
import os
import signal

from sidecars import wait_for


def reload(member, **options):
    member.options |= options
    member.write_config()
    known = len(member.log_text())
    member.signal(signal.SIGHUP)
    wait_for("the reload", lambda: "taken=" in member.log_text()[known:] or "mistakes=" in member.log_text()[known:], 5)
    file = member.run / "status.json"
    seen = file.stat().st_mtime_ns  # what is written after that line knows of it; at the latest the next beat
    wait_for("the status", lambda: file.stat().st_mtime_ns > seen, 5)


def test_reload_while_leading(three):
    leader = three.leader()
    wait_for("its ticks", lambda: three.observer.watched, 5)
    reload(leader, priority=0, restarts=3, controller_version="9.9", controller_port=4711, log_level="debug")
    wait_for("the list to say so", lambda: "4711" in leader.cli("list", "--long").stdout, 5)
    assert "9.9" in leader.cli("list", "--long").stdout
    wait_for("a line of debug", lambda: "level=debug" in leader.log_text(), 5)
    # A mistake: nothing changes, and it leads on.
    reload(leader, priority=50, check_failures=0)
    assert "check_failures: 0 is not between" in leader.status()["reload"]["mistake"]
    assert "option=priority from=0" not in leader.log_text()
    reload(leader, check_failures=3, ttl="7s")
    wait_for("the priority", lambda: "option=priority from=0 to=50" in leader.log_text(), 5)
    assert leader.status()["reload"]["waits_for_restart"] == ["ttl"]
    assert three.leader() is leader
    assert len(three.observer.spans()) == 1


def test_lowered_priority_counts_in_the_next_election(three):
    """And "restarts", raised while leading, counts for a controller that dies then."""
    leader = three.leader()
    chosen, other = [m for m in three.members if m is not leader]
    reload(leader, restarts=1)
    reload(other, priority=0)
    wait_for("the controller", lambda: three.observer.watched, 5)
    os.kill(three.observer.spans()[-1][1], signal.SIGKILL)
    wait_for("its restart in place", lambda: len(three.observer.spans()) == 2, 10)
    assert three.wait_leader(5) is leader  # the controller acts before its promote hook has ended
    assert leader.cli("step-down").returncode == 0
    assert three.wait_leader(10, other_than=leader) is chosen
