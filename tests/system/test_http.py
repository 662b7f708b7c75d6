"""What a sidecar answers through HTTP: to load balancers, to people, to Prometheus; and to clients that misbehave."""
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest
from freezer import frozen
from sidecars import BUILD, boottime_ns, wait_for
from test_sidecar import hook_script
from webclient import ask, dial, read_reply

TTL = 6.0
PORT = 8008
PATHS = ("/leader", "/follower", "/health", "/redirect")


def add(group, index, **options):
    member = group.add(index, controller_port=9500 + index, **options)
    member.options.setdefault("http_listen", f"{member.node.address}:{PORT}")
    return member


def web(member, path, **how):
    return ask(member.node, (member.node.address, PORT), path, **how)


def code(member, path):
    try:
        return web(member, path).status
    except OSError:
        return 0


def codes(member):
    return {path: code(member, path) for path in PATHS}


def metrics(member):
    """name{labels without the lease's} -> value"""
    found = {}
    for line in web(member, "/metrics").body.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[re.sub(r'\{lease="[^"]*",?', "{", name).replace("{}", "")] = float(value)
    return found


def three_served(group):
    for index in (1, 2, 3):
        add(group, index)
    group.init().start()
    group.wait_leader(10)
    wait_for("two followers", lambda: sorted(str(m.role()) for m in group.members) == ["follower", "follower", "leader"], 10)
    return group


def test_every_role(group):
    """One member through all the roles that last, each made to last by a slow hook."""
    m = add(group, 1, demote_budget="2500ms", kill_budget="1500ms")
    m.hook["promote"] = hook_script(m, "promote", f"sleep 1\nexec {m.hook['promote']}\n")
    m.hook["demote"] = hook_script(m, "demote", f"sleep 1.5\nexec {m.hook['demote']}\n")
    m.hook["fence"] = hook_script(m, "fence", f"sleep 0.5\nexec {m.hook['fence']}\n")
    group.init().start()
    nobody = {"/leader": 503, "/follower": 503, "/health": 200, "/redirect": 503}

    def shows(role, wanted):
        wait_for(role, lambda: m.role() == role, 15)
        # Within a role that lasts a second.
        wait_for(f"{role}: {wanted}", lambda: codes(m) == wanted and m.role() == role, 0.9)
    shows("boot", nobody)
    shows("promoting", nobody)
    shows("leader", {"/leader": 200, "/follower": 503, "/health": 200, "/redirect": 307})
    assert web(m, "/redirect").headers["Location"] == f"http://{m.node.address}:9501/"
    m.cli("step-down", "--no-wait")
    shows("demoting", nobody)
    shows("follower", nobody | {"/follower": 200})
    wait_for("leader again", lambda: m.role() == "leader", 15)
    group.lab.nodes[0].query("UPDATE galera_lease.lease SET counter = counter + 1000 WHERE name = %s", (group.lease,))
    shows("fenced", nobody)


def test_no_before_the_demote_hook(group):
    """Asked at the instant before each hook is started: /leader is yes beside a check only."""
    m = add(group, 1, http_listen=f"127.0.0.1:{PORT}", restarts=1)
    log = m.dir / "asked"
    m.environment = {"LD_PRELOAD": str(BUILD / "tests/lib/libasker.so"), "ASKER_PORT": str(PORT), "ASKER_LOG": str(log)}
    group.init().start()

    def asked(*hooks):
        return [line for line in log.read_text().splitlines() if line.split()[0] in hooks]
    group.wait_leader(10)
    wait_for("a check while leading", lambda: "check 200" in asked("check"), 5)
    # No handover is announced before a restart in place: finding the controller dead and stopping it are one step.
    wait_for("the watch on its controller", lambda: group.observer.watched, 5)
    os.kill(group.observer.spans()[-1][1], signal.SIGKILL)
    wait_for("the restart", lambda: len(asked("promote")) == 2 and m.role() == "leader", 10)
    m.cli("step-down")
    group.wait_leader(10)
    group.lab.nodes[0].query("UPDATE galera_lease.lease SET counter = counter + 1000 WHERE name = %s", (group.lease,))
    wait_for("the fence", lambda: asked("fence"), 5)
    wait_for("leader again", lambda: m.role() == "leader", 15)
    assert m.terminate() == 0
    assert len(asked("promote")) >= 4 and set(asked("promote")) == {"promote 503"}
    assert len(asked("demote")) >= 4
    # The first demote is that of the boot: maybe nobody listens yet.
    assert asked("demote")[0] in ("demote 0", "demote 503") and set(asked("demote")[1:]) == {"demote 503"}, asked("demote")
    assert set(asked("fence")) == {"fence 503"}


def test_a_loop_that_hangs_is_not_believed(group):
    """The thread that knows hangs, the one that answers does not: the deadline decides, before the guardian does."""
    three_served(group)
    leader = group.leader()
    wait_for("the watch on its controller", lambda: group.observer.watched, 5)
    last_yes = boottime_ns()
    leader.disturbed = True
    with frozen(leader.process.pid):
        began = boottime_ns()
        while code(leader, "/leader") == 200:
            last_yes = boottime_ns()
            assert last_yes - began < 2 * TTL * 1e9
        assert group.observer.watched, "the controller was stopped before /leader said no"
        health = wait_for("the word about it", lambda: (lambda r: r if r.status == 503 else None)(web(leader, "/health")), 5)
        assert health.body == "the sidecar's loop hangs\n"
        assert web(leader, "/redirect").status == 503
        assert json.loads(web(leader, "/status").body)["answers"] is False
        wait_for("the fence", lambda: not group.observer.watched, TTL)
    (_, end), = group.observer.ends.items()
    # Between the two is D, a quarter of the ttl.
    assert (end - last_yes) / 1e9 > TTL / 8
    other = group.wait_leader(15, other_than=leader)
    wait_for("its yes", lambda: code(other, "/leader") == 200, 2)


def test_thawed_past_its_deadline(group):
    """Asked while everything is frozen; the answers come at the thaw, maybe before the loop has looked at its clock."""
    three_served(group)
    leader = group.leader()
    leader.signal(signal.SIGSTOP)
    waiting = []
    for _ in range(20):
        waiting.append(dial(leader.node, (leader.node.address, PORT)))
        waiting[-1].sendall(b"GET /leader HTTP/1.1\r\nHost: x\r\n\r\n")
    group.wait_leader(15, other_than=leader)
    assert select.select(waiting, [], [], 0)[0] == []  # none was answered before, when it was true
    leader.signal(signal.SIGCONT)
    assert {read_reply(c).status for c in waiting} == {503}
    wait_for("a follower", lambda: code(leader, "/follower") == 200, 10)


def test_many_that_stall(group):
    """500 clients that say half a request: others are answered at once, the lease and the memory do not notice."""
    m = add(group, 1)
    group.init().start()
    group.wait_leader(10)
    wait_for("its yes", lambda: code(m, "/leader") == 200, 3)

    def rss_kb():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{m.process.pid}/status").read()).group(1))
    before = rss_kb()
    stalled = []
    for _ in range(500):
        stalled.append(dial(m.node, (m.node.address, PORT)))
        stalled[-1].sendall(b"GET /lea")
    for _ in range(10):
        begun = time.monotonic()
        assert code(m, "/leader") == 200
        assert time.monotonic() - begun < 1
        time.sleep(0.1)
    found = metrics(m)
    assert found["galera_lease_http_connections_dropped_total"] > 400
    assert found["galera_lease_http_connections"] <= 40
    assert rss_kb() - before < 4096
    assert m.status()["loop_stall_own_max_us"] < 300_000
    assert found['galera_lease_loop_lateness_seconds_count'] - found['galera_lease_loop_lateness_seconds_bucket{le="0.25"}'] <= 1
    for connection in stalled:
        connection.close()


def test_tls(group):
    m = group.add(1)
    cert, key = m.dir / "http.pem", m.dir / "http.key"
    authority = group.lab.authority
    authority.issue(cert, key, "http", address=m.node.address)
    m.options |= {"http_listen": f"{m.node.address}:{PORT}", "http_tls_cert": str(cert), "http_tls_key": str(key)}
    group.init().start()
    group.wait_leader(10)
    wait_for("its yes", lambda: web(m, "/leader", tls=authority.certificate).status == 200, 3)
    assert web(m, "/metrics", tls=authority.certificate).body.startswith("# HELP")
    with pytest.raises(OSError):
        web(m, "/leader")  # in clear
    stalled = [dial(m.node, (m.node.address, PORT)) for _ in range(100)]
    begun = time.monotonic()
    assert web(m, "/leader", tls=authority.certificate).status == 200
    assert time.monotonic() - begun < 1
    for connection in stalled:
        connection.close()
    # Renewed ones are taken; what is none is said, and the old ones serve on.
    authority.issue(cert, key, "http", address=m.node.address)
    wait_for("the renewed one", lambda: m.log_text().count("tls=yes") == 2, 15)
    assert web(m, "/leader", tls=authority.certificate).status == 200
    cert.write_text("nothing\n")
    wait_for("the word about it", lambda: "are no certificate and its key" in m.log_text(), 15)
    assert web(m, "/leader", tls=authority.certificate).status == 200


def test_a_port_that_is_taken_harms_no_lease(group):
    m = add(group, 1, http_listen=f"127.0.0.1:{PORT}")
    squatter = subprocess.Popen([*m.node.inside(), "python3", "-c", "import socket, time\n"
                                 f"s = socket.create_server(('127.0.0.1', {PORT}))\nprint('ready', flush=True)\ntime.sleep(600)"],
                                stdout=subprocess.PIPE)
    squatter.stdout.readline()
    try:
        group.init().start()
        assert group.wait_leader(10) is m
        wait_for("the word about it", lambda: "event=http" in m.log_text() and "Address already in use" in m.log_text(), 5)
    finally:
        squatter.kill()
        squatter.wait()
        squatter.stdout.close()
    wait_for("the next try", lambda: f"event=http lease={group.lease} listen=127.0.0.1:{PORT} tls=no" in m.log_text(), 10)
    assert ask(m.node, ("127.0.0.1", PORT), "/leader").status == 200


def test_what_it_says(group):
    """Status, metrics and redirects of three members, through a switchover."""
    three_served(group)
    leader = group.leader()
    other = next(m for m in group.members if m is not leader)
    for m in group.members:
        wait_for("the way to the leader", lambda m=m: web(m, "/redirect").headers["Location"] ==
                 f"http://{leader.node.address}:{leader.options['controller_port']}/", 5)
    with leader.node.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT http_port FROM galera_lease.member WHERE lease = %s", (group.lease,))
        assert cursor.fetchall() == ((PORT,),)
    # The same as the command line's.
    ours, theirs = json.loads(web(other, "/status").body), json.loads(other.cli("status", "--json").stdout)
    assert ours.keys() == theirs.keys()
    assert ours["role"] == theirs["role"] == "follower" and ours["answers"]
    wait_for("the holder", lambda: json.loads(web(other, "/status").body)["holder"] == leader.name, 5)
    assert 0 < json.loads(web(leader, "/status").body)["time_left_ms"] < TTL * 1000
    # What Prometheus' own tool finds.
    checked = subprocess.run(["promtool", "check", "metrics"], input=web(leader, "/metrics").body, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert checked.returncode == 0 and checked.stdout == "", checked.stdout
    before = wait_for("a renewal", lambda: (lambda f: f if f["galera_lease_renewal_duration_seconds_count"] > 0 else None)(metrics(leader)), 5)
    assert before['galera_lease_role{role="leader"}'] == 1 and before["galera_lease_leader"] == 1
    assert before["galera_lease_elections_total"] == 1 and before["galera_lease_epoch"] == 1
    assert 0 < before["galera_lease_remaining_seconds"] < TTL
    assert before['galera_lease_renewals_total{outcome="confirmed"}'] == before["galera_lease_renewal_duration_seconds_count"] > 0
    assert before['galera_lease_hook_duration_seconds_count{hook="promote"}'] == 1
    assert before["galera_lease_guardian_up"] == 1 and before["galera_lease_guardian_restarts_total"] == 0
    wait_for("the endpoint", lambda: sum(v for k, v in metrics(leader).items() if k.startswith("galera_lease_endpoint_in_use")) == 1, 5)
    assert leader.cli("switchover", "--to", other.name, "--reason", "x").returncode == 0
    wait_for("the other's yes", lambda: code(other, "/leader") == 200, 10)
    for m in group.members:
        wait_for("the way to the new leader", lambda m=m: web(m, "/redirect").headers["Location"] ==
                 f"http://{other.node.address}:{other.options['controller_port']}/", 5)
    after = metrics(leader)
    assert after["galera_lease_leader"] == 0 and after['galera_lease_role_changes_total{role="demoting"}'] == 1
    assert after['galera_lease_hook_duration_seconds_count{hook="demote"}'] == 2  # one at the start
    # Nobody else has: nobody is told to go anywhere.
    for m in group.members:
        if m is not leader:
            m.signal(signal.SIGSTOP)
    leader.options["priority"] = 0
    wait_for("nobody", lambda: web(leader, "/redirect").status == 503, TTL)
    for m in group.members:
        m.signal(signal.SIGCONT)


def test_rude_requests(group):
    m = add(group, 1)
    group.init().start()
    wait_for("health", lambda: code(m, "/health") == 200, 10)
    for method, wanted in (("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("DELETE", 405), ("TRACE", 405)):
        reply = web(m, "/health", method=method)
        assert reply.status == wanted and reply.body == ""
        assert (reply.headers["Allow"] == "GET, HEAD, OPTIONS") == (method != "HEAD")
    assert web(m, "/nowhere").status == 404 and web(m, "/leader/../health").status == 404
    assert web(m, "/health?x=1").status == 200
    assert web(m, "/health", headers={"X-Long": "a" * 10000}).status == 431
    assert web(m, "/" + "a" * 10000).status == 414
    assert code(m, "/health") == 200
