"""One Galera cluster for the whole run; one lease, and one outside observer, for each test."""
import pathlib
import re
import sys
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from account import account, contradictions, missing  # noqa: E402
from accounts import ACCOUNTS, FAULTS  # noqa: E402
from canary import Canary  # noqa: E402
from lab import Lab  # noqa: E402
from observer import Observer  # noqa: E402
import taken  # noqa: E402
from sidecars import Group, closest, wait_for  # noqa: E402


STALL_MAX = 0.05  # seconds that one callback may keep a sidecar's loop
# Where more of the time somebody has no CPU, the processes that a callback starts have none either, and it waits for them.
CROWDED, CROWDED_STALL_MAX = 0.25, 0.2


def pytest_sessionfinish(session):
    taken.write("system")


@pytest.fixture(scope="session")
def lab():
    lab = Lab()
    try:
        yield lab.up()
    finally:
        lab.down()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Whether the test itself failed, for what the fixture does after it."""
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    closest.update(used=0.0, what="")
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield
    item.user_properties.append(("closest_wait", f"{closest['used']:.2f} {closest['what']}"))


@pytest.fixture
def group(lab, tmp_path, request):
    """An empty group; the test adds members. Afterwards the observer judges, whatever the test
    asserted, and what the sidecars recorded is told to the core again."""
    lab.repair()
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    # Another run on this machine must not have the same lease: its hooks would take our processes for theirs.
    # Nor may another row of this test: a name that is cut says which by its sum.
    name = re.sub("[^A-Za-z0-9_]+", ".", request.node.name)
    lease = f"{name[:40].strip('.')}.{zlib.crc32(request.node.name.encode()):08x}.{lab.tag}"
    group = Group(lab, tmp_path, lease)
    observer = Observer(group)
    group.observer = observer
    group.sabotaged = False
    canary = Canary(tmp_path)
    yield group
    if getattr(request.node, "failed", False):
        print("\n".join(f"---- {m.name}\n{m.log_text()}" for m in group.members))  # shown with the failure
    group.end()
    stalls = group.stalls()
    worst, crowded = canary.worst(), canary.crowded()
    observer.stop()
    if group.sabotaged:
        group.slay()
        return
    for said in group.replay():
        taken.add(said)
    lines = account(group)
    request.node.user_properties += [("starts", len(observer.spans())), ("longest_gap_s", observer.longest_gap_s()),
                                     ("account", "\n".join(lines))]
    assert observer.judge() == [], "\n".join(m.log_text() for m in group.members)
    try:
        wait_for("the end of all that it started", lambda: not group.left(), 10)
    except TimeoutError as error:
        raise AssertionError(f"{error}: {group.left()}") from None
    finally:
        group.slay()
    if not getattr(request.node, "failed", False):
        judge_account(group, request.node, lines)
    quiet = worst <= STALL_MAX / 2 and crowded <= CROWDED  # the canary meets the same stall a little later
    bound = STALL_MAX + worst if quiet else CROWDED_STALL_MAX  # what the canary had to wait for is nobody's own doing
    if stalls:
        request.node.user_properties.append(("longest_stall_s", (max(stalls.values()), "quiet" if quiet else "crowded")))
    assert all(s <= bound for s in stalls.values()), f"the loop stalled: {stalls} s, others here {worst} s, {crowded:.0%} crowded"


def judge_account(group, node, lines):
    """Log and history tell one story; of a fault they tell what its account says, in that order."""
    if not any(m.process for m in group.members):
        return
    group.lab.repair()
    assert contradictions(group) == [], "\n".join(lines)
    if node.module.__name__ in FAULTS:
        assert node.name in ACCOUNTS or node.originalname in ACCOUNTS, "a fault without an account: system/accounts.py"
    stories = ACCOUNTS.get(node.name, ACCOUNTS.get(node.originalname, ""))
    for story in (stories,) if isinstance(stories, str) else stories:
        untold = missing(story, lines)
        assert untold is None, f"the account does not tell {untold} at its place:\n" + "\n".join(lines)


@pytest.fixture
def three(group):
    for index in (1, 2, 3):
        group.add(index)
    group.init().start()
    group.wait_leader(10)
    # The others may still be settling a claim that they lost: faults come after that.
    wait_for("two followers", lambda: sorted(str(m.role()) for m in group.members) == ["follower", "follower", "leader"], 10)
    return group
