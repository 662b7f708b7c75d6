"""The same cluster and sidecars as the system suite."""
import importlib.util
import pathlib

_spec = importlib.util.spec_from_file_location("system_conftest", pathlib.Path(__file__).parents[1] / "system/conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
lab, group, three = _module.lab, _module.group, _module.three
