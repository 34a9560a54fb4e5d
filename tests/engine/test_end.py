"""The end of a program whose answers are not."""

import subprocess
import sys

import pytest

from furet.measure.random_model import random_model

ABANDON = """
import sys
import furet

stream = furet.load(sys.argv[1], context=256).stream("hello", max_tokens=200, ignore_eos=True)
next(stream)
"""


@pytest.fixture(scope="module")
def model():
    """One whose steps take milliseconds: an end meets one of them."""
    with random_model("135m", "q4_0") as path:
        yield path


@pytest.mark.parametrize("time", range(3))
def test_an_answer_left_in_the_middle_does_not_break_the_end_of_a_program(model, time):
    run = subprocess.run([sys.executable, "-c", ABANDON, model], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
