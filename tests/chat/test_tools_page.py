"""docs/tools.md: its example in Python does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from furet.chat.tools.family import families

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "furet.load" in code]
    exec(compile(example, "docs/tools.md", "exec"), names := {})
    names["model"].close()
    assert names["city"] == "Paris"
    assert capsys.readouterr().out.strip()


def test_every_family_is_named():
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE) == [*families()]
