"""Bad input, all in tables: what is given, the exact words it is answered with, and the exact exit code.

Run as root: some rows need files of somebody else. A server is only needed where tests/system says so.
"""
import os
import pathlib
import re

import pytest
from program import GOOD, ROOT, run

HOOK = str(ROOT / "hooks/process")
NAME_RULE = "is no valid name: 1 to 63 letters, digits, '.', '_' or '-', not beginning with '.' or '-'"
DURATION_RULE = 'is no duration: write a whole number and ms, s, m or h, like "20s"'
PRIVATE_RULE = "is not private: it must be a regular file of root or this user that group and others cannot touch (chmod 600)"
MINE_RULE = "must belong to root or the running user and be writable by nobody else"
NOBODY = 65534


@pytest.fixture(autouse=True)
def as_root():
    assert os.geteuid() == 0, "rows with files of somebody else need root"


@pytest.fixture
def folder(tmp_path):
    """Below folders that nobody else may write: pytest's own lie in /tmp, which is root's and sticky."""
    return tmp_path


def good(**changes):
    """A whole configuration in one line, as GOOD, with other values; None leaves one out."""
    settings = {"name": '"a"', "endpoints": '("unix:/s")', "user": '"u"', "promote": f'"{HOOK}"', "demote": f'"{HOOK}"',
                "fence": f'"{HOOK}"', "check": f'"{HOOK}"', "member": '"m"'} | changes
    return "; ".join(f"{k} = {v}" for k, v in settings.items() if v is not None) + ";\n"


def check(folder, text):
    """(exit code, stderr by line, with CONF and DIR for the paths)"""
    path = folder / "x.conf"
    path.write_text(text.replace("DIR", str(folder)))
    code, out, err = run("run", "--check-config", "--config", str(path))
    assert code == 0 or out == ""
    return code, err.replace(str(path), "CONF").replace(str(folder), "DIR").splitlines()


def test_good_input_is_good(folder):
    assert check(folder, GOOD) == (0, [])
    assert check(folder, good()) == (0, [])


# ---- the file

TEXTS = {
    "unknown_key": (GOOD + 'tlt = "6s";\n', ["CONF:2: tlt: there is no such option"]),
    "duplicate_key": (GOOD + 'ttl = "6s";\nttl = "7s";\n', ["CONF:3: duplicate setting name"]),
    "duplicate_of_the_first_line": (GOOD + 'name = "b";\n', ["CONF:2: duplicate setting name"]),
    "syntax": (GOOD + "ttl = ;\n", ["CONF:2: syntax error"]),
    "not_closed": (GOOD + 'address = "x;\n', ["CONF:3: syntax error"]),
    "binary": ("\x01\x02\x7f\n", ["CONF:1: syntax error"]),
    "missing_key": (good(user=None), ["CONF: user: is missing (database account of the sidecar)"]),
    "group_for_a_value": (GOOD + "ttl = { a = 1; };\n", ['CONF:2: ttl: must be a text in quotes with its unit, like "20s"']),
    "list_for_a_value": (GOOD + 'address = ("a", "b");\n', ["CONF:2: address: must be a text in quotes"]),
    "bare_number": (GOOD + "ttl = 6;\n", ['CONF:2: ttl: must be a text in quotes with its unit, like "20s"']),
    "negative": (GOOD + 'ttl = "-6s";\n', [f'CONF:2: ttl: "-6s" {DURATION_RULE}']),
    "no_unit": (GOOD + 'poll = "6";\n', [f'CONF:2: poll: "6" {DURATION_RULE}']),
    "days": (GOOD + 'restart_window = "2d";\n', [f'CONF:2: restart_window: "2d" {DURATION_RULE}']),
    "too_many_digits": (GOOD + 'ttl = "99999999999999999999s";\n', [f'CONF:2: ttl: "99999999999999999999s" {DURATION_RULE}']),
    "count_too_big": (GOOD + "priority = 99999999999999999999;\n", None),  # what libconfig makes of it is refused, whatever it is
    "hexadecimal_is_a_number": (GOOD + "priority = 0x400;\n", ["CONF:2: priority: 1024 is not between 0 and 1000"]),
    "switch_as_text": (GOOD + 'standalone = "yes";\n', ["CONF:2: standalone: must be true or false, without quotes"]),
    "standalone_of_two": (good(endpoints='("unix:/s", "unix:/t")') + "standalone = true;\n", [
        "CONF:2: standalone: true is for a single endpoint, and there are 2: servers without a cluster between them would each "
        "have a leader"]),
    "tcp_without_a_password": (good(endpoints='("unix:/s", "127.0.0.1:3306")'), [
        'CONF:1: endpoints: "127.0.0.1:3306" is reached over TCP, and there is no password_file: unix_socket authentication works '
        "on a local socket only"]),
    "impossible_ttl": (GOOD + 'ttl = "999ms";\n', [
        "CONF:2: ttl: ttl must lie between 1s and 1h (ttl 999ms - (demote_budget 249.750000ms + kill_budget 99.900000ms + margin "
        "49.950000ms) - renew 99.900000ms leaves 499.500000ms)"]),
    "impossible_silence": (GOOD + 'ttl = "6s";\nrenew = "2s";\nkill_budget = "2s";\n', [
        "CONF:3: renew: ttl - (demote_budget + kill_budget + margin) - renew must be at least one renew and ttl/100: otherwise a single lost "
        "renewal stops the controller (ttl 6s - (demote_budget 1500ms + kill_budget 2s + margin 300ms) - renew 2s leaves 200ms)"]),
    "impossible_check": (GOOD + 'check_budget = "3s";\n', [
        "CONF:2: check_budget: check_budget must be at most kill_budget: otherwise a stop can't be confirmed before the deadline "
        "(ttl 20s - (demote_budget 5s + kill_budget 2s + margin 1s) - renew 2s leaves 10s)"]),
    "health_url": (GOOD + 'health_url = "ftp://h/";\nhealth_timeout = "10ms";\nhealth_ca = "DIR/none";\n', [
        'CONF:2: health_url: "ftp://h/" is neither http nor https',
        "CONF:3: health_timeout: 10ms is not between 100ms and 1m",
        "CONF:4: health_ca: DIR/none cannot be read: No such file or directory"]),
    "health_without_url": (GOOD + 'health_text = "well";\nhealth_timeout = "1s";\n', [
        "CONF:2: health_text: is of no use without health_url", "CONF:3: health_timeout: is of no use without health_url"]),
    "files_no_list": (GOOD + 'files = "/etc/x";\nignore_lines = { a = "b"; };\n', [
        'CONF:2: files: must be a list of at most 8 texts in quotes, like ("/etc/cmon.cnf")',
        'CONF:3: ignore_lines: must be a list of at most 16 texts in quotes, like ("^#")']),
    "files": (GOOD + 'files = ("/etc/x",\n"etc/y", "/a,b",\n"/a:b", 7, "/etc/x", "");\nignore_lines = ("a(", "^#", "^#");\n', [
        'CONF:3: files: "etc/y" must be an absolute path',
        "CONF:3: files: \"/a,b\" must hold neither ',' nor ':'",
        "CONF:4: files: \"/a:b\" must hold neither ',' nor ':'",
        "CONF:4: files: entry 5 is not a text in quotes",
        'CONF:4: files: "/etc/x" is given twice',
        'CONF:4: files: "" is empty',
        'CONF:5: ignore_lines: "a(" is no regular expression: Unmatched ( or \\(',
        'CONF:5: ignore_lines: "^#" is given twice']),
    "files_too_long": (GOOD + "files = (" + ", ".join(f'"/{i}{"x" * 200}"' for i in range(5)) + ");\n", [
        "CONF:2: files: their paths are too long: 1010 characters together, and 953 fit"]),
    "files_too_many": (GOOD + "files = (" + ", ".join(f'"/{i}"' for i in range(9)) + ");\n", [
        'CONF:2: files: must be a list of at most 8 texts in quotes, like ("/etc/cmon.cnf")']),
    "no_files": (GOOD + 'require_match = true;\nignore_lines = ("^#");\n', [
        "CONF:3: ignore_lines: is of no use without files", "CONF:2: require_match: is of no use without files"]),
    "webhooks_no_list": (GOOD + 'webhooks = { url = "http://h"; };\n', [
        'CONF:2: webhooks: must be a list of at most 8 groups, like ( { url = "https://host/path"; } )']),
    "webhooks_no_group": (GOOD + 'webhooks = ("http://h");\n', [
        'CONF:2: webhooks: entry 1 is no group, like { url = "https://host/path"; }']),
    "webhooks_too_many": (GOOD + "webhooks = (" + ", ".join(['{ url = "http://h"; }'] * 9) + ");\n", [
        'CONF:2: webhooks: must be a list of at most 8 groups, like ( { url = "https://host/path"; } )']),
    "webhooks": (
        GOOD + 'webhooks = ( { url = "http://h";\ncolour = "red"; },\n{ tries = 0; timeout = "2m";\nevents = ("role",\n"roles", 7);\n},\n'
        '{ url = "ftp://h/";\nsecret_file = "DIR/none"; ca_file = "ca.pem"; },\n{ url = "http://me:pw@h/"; events = ();\n'
        'ca_file = "DIR/none"; tries = "1"; },\n{ url = "h"; }, { url = ""; } );\n', [
            "CONF:3: webhooks: colour: there is no such option of a webhook",
            "CONF:4: webhooks: tries: 0 is not between 1 and 20",
            "CONF:4: webhooks: timeout: 2m is not between 100ms and 1m",
            'CONF:6: webhooks: events: there is no event "roles": "role", "alarm" (any of them), or one of acquired, released, lost, '
            "stopped, unstopped, hold, unhold, rogue, regression, no-row, double",
            "CONF:6: webhooks: events: entry 3 is not a text in quotes",
            "CONF:4: webhooks: url: is missing (where notices are posted to: http or https)",
            'CONF:8: webhooks: url: "ftp://h/" is neither http nor https',
            'CONF:9: webhooks: ca_file: "ca.pem" must be an absolute path',
            "CONF:9: webhooks: secret_file: DIR/none cannot be read: does it exist, and may this user read it?",
            'CONF:10: webhooks: url: "http://me:pw@h/" holds a user name or password, and would be shown with it',
            'CONF:10: webhooks: events: must be a list, like ("role", "alarm")',
            "CONF:11: webhooks: tries: must be a whole number without quotes",
            "CONF:11: webhooks: ca_file: DIR/none cannot be read: No such file or directory",
            'CONF:12: webhooks: url: "h" is no address: write http://host/path or https://host/path',
            "CONF:12: webhooks: url: must not be empty (where notices are posted to: http or https)"]),
    "missing_include": (GOOD + '@include "DIR/none"\n', None),
    # Every kind of mistake at once: each is said, with its own line, and none twice.
    "everything": (
        good(name='"a b"', endpoints='("unix:s", "h:0", "unix:/s")', promote='"hooks/promote"', fence=None, member='"-m"')
        + 'colour = "red";\nttl = "6";\npriority = 2000;\ncgroup = "on";\ntls = 1;\nstate_dir = "var";\n'
        'controller_endpoint = "unix:/t";\npassword_file = "DIR/none";\nlog_level = "all";\nrestart_window = "1ms";\n', [
            f'CONF:1: name: "a b" {NAME_RULE}',
            'CONF:1: endpoints: "unix:s" is not an endpoint: write unix:/path, host:port or [v6-address]:port',
            'CONF:1: endpoints: "h:0" is not an endpoint: write unix:/path, host:port or [v6-address]:port',
            'CONF:1: promote: "hooks/promote" must be an absolute path',
            f'CONF:1: member: "-m" {NAME_RULE}',
            "CONF:2: colour: there is no such option",
            f'CONF:3: ttl: "6" {DURATION_RULE}',
            "CONF:4: priority: 2000 is not between 0 and 1000",
            "CONF:6: tls: must be true or false, without quotes",
            'CONF:7: state_dir: "var" must be an absolute path',
            "CONF:11: restart_window: 1ms is not between 1s and 168h",
            "CONF:9: password_file: DIR/none cannot be read: does it exist, and may this user read it?",
            "CONF: fence: is missing (hook: stop it by force)",
            'CONF:5: cgroup: "on" is neither "auto" nor "off"',
            'CONF:10: log_level: "all" is none of "error", "warning", "info", "debug"',
            'CONF:8: controller_endpoint: "unix:/t" is not among the endpoints']),
}


@pytest.mark.parametrize("case", TEXTS)
def test_file(folder, case):
    text, expected = TEXTS[case]
    code, said = check(folder, text)
    assert code == 2
    if expected is None:
        assert len(said) == 1 and re.match(r"CONF:2: |DIR/none:?\d*: ", said[0]), said
    else:
        assert said == expected


@pytest.mark.parametrize("key", ["name", "member"])
@pytest.mark.parametrize("value, shown", [
    ("a b", None), ("a/b", None), ("..", None), (".a", None), ("-a", None), ("", None), ("a'b", None), ("a;b", None),
    ("a\\nb", "a?b"), ("a\\x1b[31m", "a?[31m"), ("ä", "??"), ("a" * 64, None), ("$(id)", None), ("a`id`", None), ("%s%n", None)])
def test_names(folder, key, value, shown):
    code, said = check(folder, good(**{key: f'"{value}"'}))
    assert code == 2
    assert said == [f'CONF:1: {key}: "{shown or value}" {NAME_RULE}']


@pytest.mark.parametrize("value", ["a", "a" * 63, "A.b_c-9", "0"])
def test_names_that_are_fine(folder, value):
    assert check(folder, good(name=f'"{value}"', member=f'"{value}"')) == (0, [])


# ---- files on this host

def write(path, mode, owner=0, text="#!/bin/sh\n"):
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, owner)
    return path


def mkdir(path, mode, owner=0):
    path.mkdir()
    path.chmod(mode)
    os.chown(path, owner, owner)
    return path


def hook_group_writable(d):
    write(d / "hook", 0o775)


def hook_everybodys(d):
    write(d / "hook", 0o757)


def hook_of_another(d):
    write(d / "hook", 0o755, NOBODY)


def hook_not_executable(d):
    write(d / "hook", 0o644)


def hook_open_folder(d):
    write(mkdir(d / "open", 0o777) / "hook", 0o755)


def hook_folder_of_another(d):
    write(mkdir(d / "open", 0o755, NOBODY) / "hook", 0o755)


def hook_open_parent(d):
    write(mkdir(mkdir(d / "open", 0o775) / "safe", 0o755) / "hook", 0o755)


def hook_link_to_bad(d):
    write(d / "bad", 0o775)
    (d / "hook").symlink_to(d / "bad")


def hook_link_in_open_folder(d):
    write(d / "safe", 0o755)
    (mkdir(d / "open", 0o777) / "hook").symlink_to(d / "safe")


def hook_link_through_open_folder(d):
    write(d / "safe", 0o755)
    (mkdir(d / "open", 0o777) / "second").symlink_to(d / "safe")
    (d / "hook").symlink_to(d / "open/second")


def hook_folder_link_in_open_folder(d):
    write(mkdir(d / "safe", 0o755) / "hook", 0o755)
    (mkdir(d / "open", 0o777) / "way").symlink_to(d / "safe")


def hook_link_of_another_in_sticky_folder(d):
    write(d / "safe", 0o755)
    mkdir(d / "sticky", 0o1777)
    (d / "sticky/hook").symlink_to(d / "safe")
    os.chown(d / "sticky/hook", NOBODY, NOBODY, follow_symlinks=False)


def hook_dangling(d):
    (d / "hook").symlink_to(d / "none")


def hook_loop(d):
    (d / "hook").symlink_to(d / "hook")


def hook_fifo(d):
    os.mkfifo(d / "hook", 0o755)


def hook_empty_folder(d):
    mkdir(d / "hook", 0o755)


def hook_folder_with_a_bad_one(d):
    mkdir(d / "hook", 0o755)
    write(d / "hook/10-good", 0o755)
    write(d / "hook/20-bad", 0o777)


def nothing(_):
    pass


HOOKS = [
    (nothing, "DIR/hook", "DIR/hook: No such file or directory"),
    (hook_group_writable, "DIR/hook", f"DIR/hook {MINE_RULE}"),
    (hook_everybodys, "DIR/hook", f"DIR/hook {MINE_RULE}"),
    (hook_of_another, "DIR/hook", f"DIR/hook {MINE_RULE}"),
    (hook_not_executable, "DIR/hook", "DIR/hook is not an executable file"),
    (hook_open_folder, "DIR/open/hook", "the folder DIR/open can be written by others"),
    (hook_folder_of_another, "DIR/open/hook", "the folder DIR/open can be written by others"),
    (hook_open_parent, "DIR/open/safe/hook", "the folder DIR/open can be written by others"),
    (hook_link_to_bad, "DIR/hook", f"DIR/hook {MINE_RULE}"),
    (hook_link_in_open_folder, "DIR/open/hook", "the folder DIR/open can be written by others"),
    (hook_link_through_open_folder, "DIR/hook", "the folder DIR/open can be written by others"),
    (hook_folder_link_in_open_folder, "DIR/open/way/hook", "the folder DIR/open can be written by others"),
    (hook_link_of_another_in_sticky_folder, "DIR/sticky/hook", "the link DIR/sticky/hook belongs to somebody else"),
    (hook_dangling, "DIR/hook", "DIR/hook: No such file or directory"),
    (hook_loop, "DIR/hook", "DIR/hook: Too many levels of symbolic links"),
    (hook_fifo, "DIR/hook", "DIR/hook is not an executable file"),
    (hook_empty_folder, "DIR/hook", "the folder DIR/hook holds no hook"),
    (hook_folder_with_a_bad_one, "DIR/hook", f"DIR/hook/20-bad {MINE_RULE}"),
]


@pytest.mark.parametrize("prepare, path, reason", HOOKS, ids=[h[0].__name__ for h in HOOKS])
def test_hooks(folder, prepare, path, reason):
    prepare(folder)
    assert check(folder, good(demote=f'\n"{path}"')) == (2, [f"CONF:1: demote: hook refused: {reason}"])


def test_hooks_that_are_fine(folder):
    write(folder / "safe", 0o750)
    (folder / "link").symlink_to("safe")
    mkdir(folder / "sticky", 0o1777)
    (folder / "sticky/link").symlink_to(folder / "link")
    write(mkdir(folder / "many", 0o755) / "10-one", 0o700)
    (folder / "many/20-two").symlink_to("../sticky/../link")
    (folder / "way").symlink_to(folder / "many")
    for path in ("DIR/safe", "DIR/link", "DIR/sticky/link", "DIR/many", "DIR/way", "DIR/way/20-two", "DIR//many/../safe"):
        assert check(folder, good(check=f'"{path}"')) == (0, []), path


def password_missing(d):
    pass


def password_read_by_group(d):
    write(d / "password", 0o640, text="secret\n")


def password_read_by_others(d):
    write(d / "password", 0o604, text="secret\n")


def password_of_another(d):
    write(d / "password", 0o600, NOBODY, text="secret\n")


def password_link_to_open(d):
    write(d / "open", 0o644, text="secret\n")
    (d / "password").symlink_to("open")


def password_folder(d):
    (d / "password").mkdir(mode=0o700)


def password_fifo(d):
    os.mkfifo(d / "password", 0o600)


def password_empty(d):
    write(d / "password", 0o600, text="")


def password_too_long(d):
    write(d / "password", 0o600, text="x" * 256 + "\n")


def password_odd(d):
    write(d / "password", 0o600, text="a\tb\n")


UNUSABLE = "holds no usable password: one line of at most 255 printable characters"
PASSWORDS = [(password_missing, "cannot be read: does it exist, and may this user read it?"),
             (password_read_by_group, PRIVATE_RULE), (password_read_by_others, PRIVATE_RULE), (password_of_another, PRIVATE_RULE),
             (password_link_to_open, PRIVATE_RULE), (password_folder, PRIVATE_RULE), (password_fifo, PRIVATE_RULE),
             (password_empty, UNUSABLE), (password_too_long, UNUSABLE), (password_odd, UNUSABLE)]


@pytest.mark.parametrize("prepare, reason", PASSWORDS, ids=[p[0].__name__ for p in PASSWORDS])
def test_passwords(folder, prepare, reason):
    prepare(folder)
    text = GOOD + 'password_file = "DIR/password";\n'
    assert check(folder, text) == (2, [f"CONF:2: password_file: DIR/password {reason}"])
    # The verbs that log in as the sidecar say the same; run says it before it does anything.
    for verb in ("list", "init"):
        code, out, err = run(verb, "--config", str(folder / "x.conf"))
        assert (code, out) == (2, "")
        assert err == f"{folder}/x.conf: password_file: {folder}/password {reason}\n"
    code, out, err = run("run", "--config", str(folder / "x.conf"))
    assert (code, out, err) == (2, "", f"{folder}/x.conf:2: password_file: {folder}/password {reason}\n")


@pytest.mark.parametrize("prepare, reason", PASSWORDS, ids=[p[0].__name__ for p in PASSWORDS])
def test_webhook_secrets(folder, prepare, reason):
    prepare(folder)
    text = GOOD + 'webhooks = (\n{ url = "http://h";\nsecret_file = "DIR/password"; });\n'
    assert check(folder, text) == (2, [f"CONF:4: webhooks: secret_file: DIR/password {reason}"])


def test_configuration_that_cannot_be_read(folder):
    for path in (folder / "none", folder):
        assert run("run", "--check-config", "--config", str(path)) == (2, "", f"{path}: cannot be read\n")


# ---- the command line

HELD = ("--reason", "x")
VERBS = {  # verb: what makes its command line whole, but for --config
    "run": ("--check-config",), "init": ("--print-sql",), "list": (), "status": (), "step-down": (), "switchover": (),
    "hold": ("--for", "10m", *HELD), "unhold": (), "history": (), "alarm ack": HELD, "release": ("--i-stopped-it", *HELD),
    "replay": None, "version": None}
ARGUMENTS = {"replay": ("recording",)}


def test_every_verb_is_here():
    shown = re.findall(r"^  ([a-z]+(?: ack|-[a-z]+)?)\s", run("--help")[1], re.M)
    missing = set(shown) - set(VERBS)
    assert set(VERBS) <= set(shown)
    assert missing <= {"check", "enable", "join"}, f"no row for {missing}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb(folder, verb):
    path = folder / "x.conf"
    path.write_text(GOOD)
    words = verb.split()
    whole = [*words, "--config", str(path), *VERBS[verb]] if VERBS[verb] is not None else [*words, *ARGUMENTS.get(verb, ())]
    see = f"see galera-lease {verb} --help\n"
    bad = {
        ("--nonsense",): f"galera-lease {verb}: unrecognized option '--nonsense'\n",
        ("-z",): f"galera-lease {verb}: invalid option -- 'z'\n",
        ("surplus",): f'galera-lease {verb}: "surplus" is one argument too many; {see}',
        ("",): f'galera-lease {verb}: "" is one argument too many; {see}',
        ("--help=x",): f"galera-lease {verb}: option '--help' doesn't allow an argument\n",
    }
    if VERBS[verb] is not None:
        bad |= {
            ("--config",): f"galera-lease {verb}: option '--config' requires an argument\n",
            ("--config", "y"): f'galera-lease {verb}: "y" is a second configuration: give one --config or --lease; {see}',
            ("--lease", "a"): f'galera-lease {verb}: "a" is a second configuration: give one --config or --lease; {see}',
        }
        if verb not in ("hold", "alarm ack", "release", "status"):
            alone = run(*words, *VERBS[verb])
            assert alone == (2, "", "galera-lease: which lease? give --config FILE or --lease NAME\n")
        none = run(*words, "--config", str(folder / "none"), *VERBS[verb])
        assert none == (2, "", f"{folder}/none: cannot be read\n")
        odd = run(*words, "--lease", "../x", *VERBS[verb])
        assert odd == (2, "", f'galera-lease {verb}: --lease "../x" is no lease name; {see}')
    for extra, said in bad.items():
        assert run(*whole, *extra) == (2, "", said)
    code, out, err = run(*words, "--help")
    assert code == 0 and out.startswith(f"usage: galera-lease {verb}") and err == ""


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in ("run", "replay", "version")])
@pytest.mark.parametrize("time", ["", "10", "0s", "-1s", "1.5s", "61m", "2h", "10x", " 1s", "99999999999999999999s"])
def test_timeouts(verb, time):
    assert run(*verb.split(), "--lease", "a", "--timeout", time) == (
        2, "", f'galera-lease {verb}: --timeout "{time}" is no time: write a whole number and ms, s or m, up to an hour; '
        f"see galera-lease {verb} --help\n")


@pytest.mark.parametrize("time", ["", "10", "0s", "-1s", "1.5s", "500ms", "1500ms", "25h", "86401s", "1d", "forever"])
def test_hold_for(time):
    assert run("hold", "--lease", "a", "--reason", "x", "--for", time) == (
        2, "", f'galera-lease hold: --for "{time}" is no time for a hold: write whole seconds, minutes or hours up to 24h; '
        "see galera-lease hold --help\n")


@pytest.mark.parametrize("time", ["", "10", "0s", "999ms", "-1h", "7d", "yesterday", "2026-01-01", "876001h", "9999999999999h"])
def test_since(time):
    assert run("history", "--lease", "a", "--since", time) == (
        2, "", f'galera-lease history: --since "{time}" is no time: write a whole number and s, m or h, up to 876000h; '
        "see galera-lease history --help\n")


LINES = [
    (("elect",), 'galera-lease: "elect" is no verb; see galera-lease --help\n'),
    (("--lease", "a", "list"), 'galera-lease: "--lease" is no verb; see galera-lease --help\n'),
    (("alarm",), 'galera-lease: "alarm" is no verb; see galera-lease --help\n'),
    (("alarm", "off"), 'galera-lease: "alarm" is no verb; see galera-lease --help\n'),
    (("hold", "--lease", "a", "--reason", "x"),
     "galera-lease hold: give --for TIME: for how long may the database be away, such as 10m?\n"),
    (("hold", "--lease", "a", "--for", "10m"),
     "galera-lease hold: give --reason TEXT: those who look later see it beside your name\n"),
    (("hold", "--lease", "a", "--for", "10m", "--reason", ""),
     "galera-lease hold: give --reason TEXT: those who look later see it beside your name\n"),
    (("alarm", "ack", "--lease", "a"),
     "galera-lease alarm ack: give --reason TEXT: what was found, for those who look later\n"),
    (("release", "--lease", "a", "--i-stopped-it"),
     "galera-lease release: give --reason TEXT: how you made sure, for those who look later\n"),
    (("switchover", "--lease", "a", "--to"), "galera-lease switchover: option '--to' requires an argument\n"),
    (("switchover", "--lease", "a", "--to", "../m"),
     'galera-lease switchover: --to "../m" is no member name; see galera-lease switchover --help\n'),
    (("run", "--lease", "a", "--json"), "galera-lease run: --json is for --print-config and --check-config\n"),
    (("run", "--lease", "a", "--trace"), "galera-lease run: option '--trace' requires an argument\n"),
    (("replay",), 'galera-lease replay: "FILE" is missing; see galera-lease replay --help\n'),
    (("replay", "a", "--json", "--scenario"), "galera-lease replay: --scenario has no --json\n"),
    (("replay", "/nowhere"), "/nowhere: No such file or directory\n"),
    (("replay", "/"), "/: Is a directory\n"),
    (("replay", "/dev/null"), "/dev/null: this is no recording: it is empty\n"),
    (("replay", "/etc/passwd"), "/etc/passwd:1: this is no recording: it does not begin with a segment\n"),
    (("init", "--lease", "a", "--socket"), "galera-lease init: option '--socket' requires an argument\n"),
]


@pytest.mark.parametrize("words, said", LINES, ids=[" ".join(line[0]) for line in LINES])
def test_lines(words, said):
    assert run(*words) == (2, "", said)


def test_no_words_at_all():
    code, out, err = run()
    assert (code, out) == (2, "") and err.startswith("usage: galera-lease VERB")


def test_account_host_without_a_password(folder):
    """It was passed over in silence: an account that only a socket can prove has no other host."""
    path = folder / "x.conf"
    path.write_text(GOOD)
    assert run("init", "--config", str(path), "--account-host", "10.0.0.%", "--print-sql") == (
        2, "", "galera-lease init: --account-host: there is no password_file: the account is that of an OS user, on unix sockets only\n")


def test_a_reason_is_not_cut(folder):
    """Kept whole or refused before anything is asked: what the history says is what was given."""
    path = folder / "x.conf"
    path.write_text(GOOD)
    long = "x" * 256
    assert run("step-down", "--config", str(path), "--reason", long) == (
        2, "", f'galera-lease step-down: --reason "{long}" is longer than 255 bytes; see galera-lease step-down --help\n')
    assert run("step-down", "--config", str(path), "--reason", long[:255])[0] == 4  # there is no database here
