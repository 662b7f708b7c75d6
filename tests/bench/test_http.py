"""HTTP under load: whether the loop notices, and what it takes. Printed, not asserted."""
import re
import subprocess
import time

from certificates import Authority
from farend import FarEnd
from measure import smaps
from sidecars import Raw, wait_for
from table import REST_S, row
from webclient import ask, dial

PORT = 8008
RATE = 5000
SECONDS = min(20, REST_S)
CONNECTIONS = 10


def lateness(member):
    """The buckets of the loop's timers: [(bound in s, count of timers at most that late)]."""
    body = ask(member.node, (member.node.address, PORT), "/metrics").body
    found = re.findall(r'^galera_lease_loop_lateness_seconds_bucket\{.*le="([^"]+)"\} (\d+)$', body, re.M)
    return [(float(bound), int(count)) for bound, count in found]


def during(member, work):
    """How late timers were while work() was done, as (bound, count) of that time alone."""
    before = lateness(member)
    work()
    return [(bound, after - count) for (bound, after), (_, count) in zip(lateness(member), before)]


def percentile(buckets, part):
    """The upper bound of the class in which it lies, in ms."""
    total = buckets[-1][1]
    return next(bound for bound, count in buckets if count >= total * part) * 1000


# wrk has no rate of its own: each of its connections waits between two requests.
PACE = """
local pause = %d
function delay() return pause end
"""


def load(member, pause_ms, script):
    script.write_text(PACE % pause_ms)
    done = subprocess.run([*member.node.inside(), "wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-s", str(script),
                           f"http://{member.node.address}:{PORT}/leader"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "Non-2xx" not in done, done
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])


def test_load(group):
    m = group.add(1)
    m.options["http_listen"] = f"{m.node.address}:{PORT}"
    group.init().start()
    group.wait_leader(20)
    time.sleep(2)
    quiet = during(m, lambda: time.sleep(SECONDS))
    rates = []
    busy = during(m, lambda: rates.append(load(m, CONNECTIONS * 1000 // RATE - 1, group.dir / "pace.lua")))
    row("/leader, asked steadily", rates, "/s", f">= {RATE}")
    for name, buckets in (("quiet", quiet), ("under that load", busy)):
        row(f"timers late, 50th percentile, {name}", [percentile(buckets, 0.5)], "ms", "")
        row(f"timers late, 99th percentile, {name}", [percentile(buckets, 0.99)], "ms", "<= 5 ms")
        row(f"timers late, most, {name}", [percentile(buckets, 1)], "ms", "")
    assert group.leader() is m


def test_memory(group):
    """TLS, every path asked, webhooks delivered over TLS, and all places held by clients that have shaken hands."""
    m = group.add(1, ttl="20s")
    cert, key = m.dir / "http.pem", m.dir / "http.key"
    group.lab.authority.issue(cert, key, "http", address=m.node.address)
    m.options |= {"http_listen": f"{m.node.address}:{PORT}", "http_tls_cert": str(cert), "http_tls_key": str(key)}
    m.endpoints = [f"{n.address}:3306" for n in group.lab.nodes]  # TLS to the database too
    m.options |= {"tls": True, "tls_ca": str(group.lab.authority.certificate)}
    authority = Authority(group.dir / "receiver")  # for loopback, where the receiver is
    authority.issue(group.dir / "far.pem", group.dir / "far.key", "far", address="127.0.0.1")
    far = FarEnd(group.dir, m.node, group.dir / "far.pem", group.dir / "far.key")
    m.options["webhooks"] = Raw(f'( {{ url = "{far.url("/ok")}"; ca_file = "{authority.certificate}"; }} )')
    group.init().start()
    group.wait_leader(20)
    wait_for("a webhook", lambda: far.requests("/ok"), 10)
    for _ in range(20):
        for path in ("/leader", "/follower", "/health", "/status", "/metrics", "/redirect"):
            ask(m.node, (m.node.address, PORT), path, tls=group.lab.authority.certificate)
    time.sleep(1)
    rss, anonymous = smaps(m.process.pid)
    row("with HTTP, TLS and webhooks: RSS", [rss], "MB", "<= 18 MB")
    row("with HTTP, TLS and webhooks: anonymous", [anonymous], "MB", "<= 5 MB")
    stalled = [dial(m.node, (m.node.address, PORT)) for _ in range(500)]
    time.sleep(1)
    rss, anonymous = smaps(m.process.pid)
    row("... and 500 stalled connections: RSS", [rss], "MB", "<= 18 MB")
    row("... and 500 stalled connections: anonymous", [anonymous], "MB", "<= 5 MB")
    for connection in stalled:
        connection.close()
    far.end()
