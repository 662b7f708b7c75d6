"""TLS to endpoints on other hosts: what is refused, with which words, and that the next endpoint serves meanwhile."""
import re

import pytest
from certificates import Authority
from sidecars import wait_for


@pytest.fixture
def certified(lab):
    """The lab; every node has a good certificate again afterwards, and speaks TLS."""
    yield lab
    for node in lab.nodes:
        node.certify()
        if not node.query("SELECT @@have_ssl = 'YES'")[0][0]:
            node.stop()
            node.start()
            node.wait_synced()


def follow_n2_then_n3(group, **options):
    """One sidecar on the first host that knows only the two other hosts."""
    member = group.add(1, tls=True, tls_ca=str(group.lab.authority.certificate), **options)
    member.endpoints = [f"{n.address}:3306" for n in group.lab.nodes[1:]]
    member.options["controller_endpoint"] = member.endpoints[1]
    group.init()
    return member


def complaints(member, node):
    """(error, text) of all lines about that endpoint."""
    return re.findall(rf'event=database [^\n]*endpoint={node.address}:3306 error=(\d+) text="([^"]*)"', member.log_text())


def in_use(member):
    return [e["endpoint"] for e in member.status()["endpoints"] if e["in_use"]]


def test_good_certificates_lead(certified, group):
    member = follow_n2_then_n3(group)
    for node in certified.nodes[1:]:
        node.query("SET GLOBAL require_secure_transport = ON")
    try:
        member.start()
        group.wait_leader(10)
        assert in_use(member) == [f"{certified.nodes[1].address}:3306"]
        assert "event=database" not in member.log_text()
        assert member.cli("status", inside=True).returncode == 0
        wait_for("the list", lambda: "Acting as leader." in member.cli("list", inside=True).stdout, 5)
        # The same without TLS: these servers refuse it, and the verbs say so.
        member.options |= {"tls": False}
        member.options.pop("tls_ca")
        member.write_config()
        refused = member.cli("list", "--timeout", "5s", inside=True)
        assert refused.returncode != 0 and "denied" in refused.stderr, refused.stderr
    finally:
        for node in certified.nodes[1:]:
            node.query("SET GLOBAL require_secure_transport = OFF")


def spoil_expired(group, node):
    node.certify(days=-1)


def spoil_host(group, node):
    node.certify(address="10.9.9.9")


def spoil_authority(group, node):
    node.certify(authority=Authority(group.dir / "other"))


def spoil_clear(group, node):
    node.stop()
    node.start(tls=False)
    node.wait_synced()


@pytest.mark.parametrize("spoil, words", [
    (spoil_expired, "expired"), (spoil_host, "host"), (spoil_authority, "issuer"), (spoil_clear, "the server does not support it")],
    ids=["expired", "wrong_host", "unknown_authority", "without_tls"])
def test_refused_and_the_next_endpoint_serves(certified, group, spoil, words):
    bad, good = certified.nodes[1:]
    member = follow_n2_then_n3(group)
    spoil(group, bad)
    member.start()
    group.wait_leader(12)
    assert in_use(member) == [f"{good.address}:3306"]
    said = complaints(member, bad)
    assert said and all(words.lower() in text.lower() for _, text in said), said
    # The verbs meet the same refusal, and go on the same way.
    wait_for("the list", lambda: member.cli("list", inside=True).returncode == 0, 5)
    member.endpoints = [f"{bad.address}:3306"]
    member.options.pop("controller_endpoint")
    member.write_config()
    alone = member.cli("list", "--timeout", "5s", inside=True)
    assert alone.returncode != 0 and bad.address in alone.stderr and words.lower() in alone.stderr.lower(), alone.stderr


def test_a_server_that_asks_for_our_certificate(certified, group):
    node = certified.nodes[1]
    cert, key = group.dir / "own.pem", group.dir / "own.key"
    certified.authority.issue(cert, key, "sidecar")
    member = follow_n2_then_n3(group, tls_cert=str(cert), tls_key=str(key))
    node.query("ALTER USER sidecar@'%' REQUIRE X509")
    try:
        member.start()
        group.wait_leader(10)
        member.options.pop("tls_cert")
        member.options.pop("tls_key")
        member.write_config()
        refused = member.cli("list", "--timeout", "5s", inside=True)
        assert refused.returncode != 0 and "denied" in refused.stderr, refused.stderr
    finally:
        node.query("ALTER USER sidecar@'%' REQUIRE NONE")


def test_no_way_in_clear_by_accident(group):
    member = group.add(1)
    member.options |= {"tls": True}
    member.write_config()
    refused = member.cli("run", "--check-config")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1 and "tls = false" in refused.stderr, refused.stderr
    member.options |= {"tls": False}
    member.write_config()
    accepted = member.cli("run", "--check-config")
    assert accepted.returncode == 0 and "warning" in accepted.stderr
