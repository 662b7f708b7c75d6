"""Named sabotages of a sidecar under test: what a test that can see is made to see. Each is applied as its member starts."""
import shutil

from sidecars import LIBEXEC

QUIET_GUARDIAN = "#!/bin/sh\nexec sleep 60\n"


def script(member, name, text):
    path = member.dir / name
    path.write_text(text if text.startswith("#!") else "#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def nothing_stops(member):
    """Neither demote nor fence does anything, and the check says what the sidecar would like to hear."""
    member.hook["demote"] = member.hook["fence"] = "/bin/true"
    member.hook["check"] = str(script(member, "lie", 'case $GALERA_LEASE_ROLE in leader | promoting) exit 0 ;; *) exit 3 ;; esac\n'))


def fence_does_nothing(member):
    """The fence hook does nothing and is believed; the demote hook is the row's own."""
    member.hook["fence"] = "/bin/true"
    member.hook["check"] = str(script(member, "lie", '[ "$GALERA_LEASE_ROLE" = fenced ] && exit 3\nexec %s "$@"\n' % member.hook["check"]))


def guardian_never_fences(member):
    libexec = member.dir / "libexec"
    if not libexec.exists():
        libexec.mkdir()
        shutil.copy(LIBEXEC / "galera-lease-launch", libexec)
        script(member, "libexec/galera-lease-guardian", QUIET_GUARDIAN)
    member.options["libexec_dir"] = str(libexec)


def guardian_starts_once(member):
    libexec = member.dir / "libexec"
    libexec.mkdir(exist_ok=True)
    shutil.copy(LIBEXEC / "galera-lease-launch", libexec)
    # The later ones live for as long as it takes to be seen.
    script(member, "libexec/galera-lease-guardian",
           f'mkdir {member.dir}/once 2>/dev/null || {{ sleep 0.2; exit 1; }}\nexec {LIBEXEC}/galera-lease-guardian "$@"\n')
    member.options["libexec_dir"] = str(libexec)


def check_sees_nothing(member):
    """A check that never finds what runs where nothing should, nor misses what should run."""
    member.hook["check"] = str(script(member, "lie", 'case $GALERA_LEASE_ROLE in leader | promoting) exit 0 ;; follower) exit 3 ;; esac\n'
                                      'exec %s "$@"\n' % member.hook["check"]))


def own_node_only(member):
    member.endpoints = [f"unix:{member.node.socket}"]


def another_node_only(member):
    """The one that the test is going to kill while this member leads."""
    member.endpoints = [next(f"{n.address}:3306" for n in member.group.lab.nodes if n is not member.node)]


def first_endpoint_only(member):
    """Of the test's own list."""
    if member.endpoints:
        member.endpoints = member.endpoints[:1]
        member.options.pop("controller_endpoint", None)
    else:
        own_node_only(member)


def only_the_first_leads(member):
    """So whoever waits for another leader waits in vain."""
    if member is not member.group.members[0]:
        member.options["priority"] = 0


def promote_may_take_for_ever(member):
    member.options["promote_budget"] = "1h"


def time_is_short(member):
    """So short a lease that what it should survive it does not."""
    member.options["ttl"] = "2500ms"
    member.options.pop("check_interval", None)


def nobody_leads(member):
    member.options["priority"] = 0


def starts_once(member):
    """It never comes back."""
    if member.process:
        member.binary = "/bin/false"


def _own_password(member, password):
    file = member.dir / "password"
    file.write_text(password + "\n")
    file.chmod(0o600)
    member.options["password_file"] = str(file)


def keeps_its_password(member):
    """Whatever becomes of the group's."""
    _own_password(member, "secret")


def knows_the_next_password(member):
    _own_password(member, "rotated")


def a_disk_of_its_own(member):
    """Whatever becomes of the state folder that the test spoils, this one is well."""
    member.options["state_dir"] = str(member.dir / "own-state")
    (member.dir / "own-state").mkdir(exist_ok=True)
    (member.dir / "own-state/process.conf").write_text(f'COMMAND="{member.command}"\n')


def waits_for_ever(member):
    """Instead of saying what is wrong."""
    member.binary = script(member, "waits", "exec sleep 60\n")
