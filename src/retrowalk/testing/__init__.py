"""A kit for testing fitness-fatigue models and code that uses retrowalk: strategies, laws and a self-test.

The strategies are for `hypothesis <https://hypothesis.readthedocs.io>`_; `check_model` tries the laws of the
two-component model on any function; `selftest` compares the installed package with published numbers. Nothing
else in retrowalk imports this package, so that only those who test load hypothesis.

Examples
--------
A property of your own, on loads and parameters that reach the corners. The first call compiles a kernel, for
which no deadline should hold:

>>> from hypothesis import given, settings
>>> from retrowalk import fitness_fatigue
>>> from retrowalk.testing import loads, parameter_sets
>>> @settings(deadline=None)
... @given(loads(), parameter_sets("banister", kind="degenerate"))
... def test_every_day_has_a_response(load, parameters):
...     assert fitness_fatigue(load, **parameters).shape == load.shape
>>> test_every_day_has_a_response()
"""

from retrowalk.testing.checking import Breach, LawBrokenError, Report, check_model
from retrowalk.testing.laws import LAWS, Law
from retrowalk.testing.model_cases import KINDS, loads, parameter_sets
from retrowalk.testing.scenario_strategies import (
    documents,
    populations,
    programmes,
    result_datasets,
    scenarios,
)
from retrowalk.testing.self_test import NUMBERS, Comparison, PublishedNumber, SelfTest, selftest
from retrowalk.testing.trial_laws import TRIAL_LAWS, TrialLaw

__all__ = [
    "KINDS",
    "LAWS",
    "NUMBERS",
    "TRIAL_LAWS",
    "Breach",
    "Comparison",
    "Law",
    "LawBrokenError",
    "PublishedNumber",
    "Report",
    "SelfTest",
    "TrialLaw",
    "check_model",
    "documents",
    "loads",
    "parameter_sets",
    "populations",
    "programmes",
    "result_datasets",
    "scenarios",
    "selftest",
]
