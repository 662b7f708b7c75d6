"""Sidecars with one rule removed, each built from the sources as they are and a patch of tests/mutants."""
import pathlib
import shutil
import subprocess
import tempfile

from sidecars import ROOT


def copy_sources(to):
    """Without what earlier builds left, and without git, which need not be there."""
    names = subprocess.run(["tests/lint/list-sources"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name, follow_symlinks=False)


class Mutants:
    """One tree, patched and mended in turn: each build makes anew only what the patch touched."""

    def __init__(self):
        self.tree = pathlib.Path(tempfile.mkdtemp(prefix="gl-mutants-"))
        self.tree.chmod(0o755)
        self.built = {}

    def _sources(self):
        source = self.tree / "source"
        if not source.exists():
            copy_sources(source)
            subprocess.run(["meson", "setup", source / "build", source], check=True, stdout=subprocess.DEVNULL)
        return source

    def binary(self, name):
        """The program with tests/mutants/NAME.patch applied."""
        if name not in self.built:
            source = self._sources()
            patch = ["patch", "-s", "-p1", "-d", source, "-i", ROOT / f"tests/mutants/{name}.patch"]
            subprocess.run(patch, check=True)
            subprocess.run(["ninja", "-C", source / "build", "sidecar/cli/galera-lease"], check=True, stdout=subprocess.DEVNULL)
            self.built[name] = self.tree / name
            shutil.copy(source / "build/sidecar/cli/galera-lease", self.built[name])
            subprocess.run([*patch, "-R"], check=True)
        return self.built[name]

    def clean(self):
        shutil.rmtree(self.tree, ignore_errors=True)
