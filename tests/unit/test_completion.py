"""The completion for bash, sourced in a real bash and asked."""
import os
import re
import subprocess

import pytest
from program import BINARY, ROOT, run

SCRIPT = ROOT / "packaging/completion/galera-lease"
# What bash does at Tab: the words, the word under the cursor, the one before it.
ASK = '''
source "$SCRIPT"
[ "$(complete -p galera-lease)" = "complete -F _galera_lease galera-lease" ] || exit 9
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_galera_lease galera-lease "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
'''


def complete(*words, script=SCRIPT, cwd=None):
    """What is offered for the last of the words."""
    done = subprocess.run(["bash", "--norc", "-c", ASK, "bash", "galera-lease", *words], capture_output=True, text=True,
                          timeout=20, cwd=cwd, env={"PATH": f"{BINARY.parent}:{os.environ['PATH']}", "SCRIPT": str(script)})
    assert (done.returncode, done.stderr) == (0, "")
    return sorted(line for line in done.stdout.splitlines() if line)


def verbs():
    return [line[2:13].strip() for line in run("--help")[1].splitlines() if re.match(r"  [a-z]", line)]


def test_verbs():
    assert complete("") == sorted({v.split()[0] for v in verbs()} | {"--help", "--version"})
    assert complete("s") == ["status", "step-down", "switchover"]
    assert complete("alarm", "") == ["ack"]
    assert complete("elect", "") == ["--help"]


@pytest.mark.parametrize("verb", verbs())
def test_options_are_those_of_the_help(verb):
    options = re.findall(r"^  (--[a-z-]+)", run(*verb.split(), "--help")[1], re.M)
    assert options
    assert complete(*verb.split(), "--") == sorted([*options, "--help"])


def test_what_is_given_is_not_offered_again():
    assert complete("version", "--json", "--") == ["--help"]
    offered = complete("list", "--config", "x", "--long", "--")
    assert "--watch" in offered and not {"--config", "--lease", "--long"} & set(offered)


def test_files(tmp_path):
    (tmp_path / "a.conf").touch()
    (tmp_path / "a dir").mkdir()
    assert complete("list", "--config", "a", cwd=tmp_path) == ["a dir", "a.conf"]
    assert complete("list", "--config", "=", "a.", cwd=tmp_path) == ["a.conf"]
    assert complete("init", "--socket", str(tmp_path / "a."), cwd=tmp_path) == [str(tmp_path / "a.conf")]
    assert complete("replay", "a.", cwd=tmp_path) == ["a.conf"]
    # Times, names and reasons are for people to write.
    assert complete("hold", "--for", "", cwd=tmp_path) == complete("switchover", "--to", "", cwd=tmp_path) == []


def test_leases(tmp_path):
    """The script as it is, but for the folder that it looks into."""
    script = SCRIPT.read_text()
    assert script.count("/etc/galera-lease") == 1
    elsewhere, folder = tmp_path / "script", tmp_path / "etc"
    elsewhere.write_text(script.replace("/etc/galera-lease", str(folder)))
    assert complete("list", "--lease", "", script=elsewhere) == []
    folder.mkdir()
    assert complete("list", "--lease", "", script=elsewhere) == []
    for name in ("cmon", "ci"):
        (folder / f"{name}.conf").touch()
    assert complete("list", "--lease", "", script=elsewhere) == ["ci", "cmon"]
    assert complete("list", "--lease", "cm", script=elsewhere) == ["cmon"]
    assert complete("list", "--lease", "=", "ci", script=elsewhere) == ["ci"]
    assert complete("list", "--lease", "=", script=elsewhere) == ["ci", "cmon"]
