"""The same cluster and sidecars as the system suite; one table for all."""
import importlib.util
import pathlib

_spec = importlib.util.spec_from_file_location("system_conftest", pathlib.Path(__file__).parents[1] / "system/conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
lab, group, three = _module.lab, _module.group, _module.three

import table  # noqa: E402
from sidecars import BINARY  # noqa: E402


def pytest_terminal_summary(terminalreporter):
    if table.rows:
        terminalreporter.write_line("")
        for line in table.lines(BINARY):
            terminalreporter.write_line(line)
