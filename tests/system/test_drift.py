"""Files of the controller that differ between hosts: said where people look, ranked last, and with require_match not led with."""
import signal

from sidecars import Raw, wait_for

TEXT = "# the same everywhere\nhostname = {}\njobs = 4\n"


def member(group, index, **options):
    m = group.add(index, **options)
    m.file = m.dir.parent / f"etc-{index}" / "cmon.cnf"
    m.file.parent.mkdir()
    m.file.write_text(TEXT.format(m.name))
    # On hosts of their own all would have the same path: here it leads each sidecar to its own working folder.
    m.cwd = m.file.parent
    m.options |= {"files": Raw('("/proc/self/cwd/cmon.cnf")'), "ignore_lines": Raw('("^#", "^hostname *=")')}
    return m


def comment(m, about):
    line = next((row for row in m.cli("list", "--long").stdout.splitlines() if f" {about.name} " in row), "")
    return line


def view(m, about):
    return m.node.query("SELECT comment FROM galera_lease.controllers WHERE lease = %s AND name = %s", (m.group.lease, about.name))[0][0]


def follow(m):
    m.start()
    wait_for("a follower", lambda: m.role() == "follower", 10)


def test_who_differs_says_so_and_leads_last(group):
    first, second, third = (member(group, i) for i in (1, 2, 3))
    second.options["priority"] = 900
    group.init()
    first.start()
    assert group.wait_leader(15) is first
    follow(second)
    follow(third)
    # Lines that are ignored do not count: all three differ in one.
    wait_for("all digests", lambda: all("event=files" in m.log_text() for m in group.members), 10)
    wait_for("a second that competes, and differs in nothing", lambda: comment(first, second).endswith("Accepting heartbeats."), 10)
    assert second.status()["drift"] == ""
    # A fresh member makes sure of its name first, and does not compete until then.
    wait_for("a third that competes", lambda: comment(first, third).endswith("Accepting heartbeats."), 10)
    second.file.write_text(TEXT.format("m2").replace("4", "5"))
    said = "Accepting heartbeats. cmon.cnf differs from the leader's."
    wait_for("the list", lambda: comment(third, second).endswith(said), 10)
    assert view(third, second) == said and "differs" not in comment(first, third) and "differs" not in comment(second, first)
    wait_for("its own status", lambda: second.status()["drift"] == "cmon.cnf differs from the leader's.", 10)
    assert "drift:      cmon.cnf differs from the leader's." in second.cli("status").stdout
    # It ranks last, whatever its priority, and it lasts: whoever leads is the reference.
    wait_for("the ranks", lambda: (third.status().get("rank"), second.status().get("rank")) == (0, 1), 10)
    moved = second.cli("switchover", "--to", third.name, "--reason", "x")
    assert moved.returncode == 0 and group.wait_leader(15, other_than=first) is third, moved.stderr
    assert first.terminate() == 0
    assert comment(third, second).endswith("cmon.cnf differs from the leader's.")
    wait_for("the list", lambda: comment(third, second).endswith(said), 5)
    # Missing is a state of its own; equal again is equal.
    second.file.unlink()
    wait_for("missing", lambda: comment(third, second).endswith("cmon.cnf is missing; the leader has it."), 10)
    wait_for("its own news", lambda: "is missing" in second.status()["drift"], 10)
    second.file.write_text(TEXT.format("elsewhere"))
    wait_for("a match", lambda: comment(third, second).endswith("Accepting heartbeats."), 10)
    wait_for("its own news", lambda: "its files match" in second.log_text(), 10)
    assert second.log_text().count("event=drift") == 3
    third.signal(signal.SIGTERM)
    assert group.wait_leader(15, other_than=third) is second
    assert max(m.status().get("loop_stall_own_max_us", 0) for m in group.members) < 300_000


def test_with_require_match_it_does_not_lead(group):
    first, second = (member(group, i) for i in (1, 2))
    second.file.write_text(TEXT.format("m2") + "more = 1\n")
    first.options["require_match"] = second.options["require_match"] = True
    group.init()
    first.start()
    assert group.wait_leader(15) is first
    follow(second)
    why = "Its files are not known to match the leader's: it does not lead. cmon.cnf differs from the leader's."
    wait_for("its reason", lambda: comment(first, second).endswith(why), 10)
    refused = second.cli("switchover", "--to", second.name, "--reason", "x")
    assert refused.returncode == 1 and "cannot take the lease now: Its files are not known to match" in refused.stderr
    assert first.terminate() == 0
    try:
        wait_for("nobody", lambda: group.leader(), 6)  # longer than the ttl, and the lease is free
    except TimeoutError:
        pass
    assert group.leader() is None and second.starts() == []
    second.file.write_text(TEXT.format("m2"))
    assert group.wait_leader(15) is second
