"""A kit for testing fitness-fatigue models and code that uses retrowalk: strategies, laws, a self-test.

The strategies are for `hypothesis <https://hypothesis.readthedocs.io>`_; `check_model` holds any model
against the laws of the family; `selftest` holds the installed package against published numbers. Nothing else
in retrowalk imports this module, so that only those who test pay for hypothesis.

Examples
--------
A property of your own, on loads and parameters that reach the corners; the first call compiles a kernel,
which no deadline should count:

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
from retrowalk.testing.installation import Comparison, SelfTest, selftest
from retrowalk.testing.laws import LAWS, Law
from retrowalk.testing.model_cases import KINDS, loads, parameter_sets
from retrowalk.testing.scenario_strategies import (
    documents,
    populations,
    programmes,
    result_datasets,
    scenarios,
)

__all__ = [
    "KINDS",
    "LAWS",
    "Breach",
    "Comparison",
    "Law",
    "LawBrokenError",
    "Report",
    "SelfTest",
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
