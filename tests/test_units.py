"""Quantities with units: exact, forgiving about spelling, one sentence when they are not quantities."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.errors import InputError
from retrowalk.units import KINDS, parse_quantity


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("5 km/h", "speed", 5 / 3.6),
        ("5km/h", "speed", 5 / 3.6),
        ("3.6 kph", "speed", 1.0),
        ("60 m/min", "speed", 1.0),
        ("1 mph", "speed", 0.44704),
        ("6:00 min/km", "speed", 1000 / 360),
        ("6:30 min/km", "speed", 1000 / 390),
        ("8 min/mile", "speed", 1609.344 / 480),
        ("30 min", "minutes", 30.0),
        ("1:30 h", "minutes", 90.0),
        ("90 s", "minutes", 1.5),
        ("5 %", "fraction", 0.05),
        ("-5%", "fraction", -0.05),
        ("6 weeks", "weeks", 6.0),
        ("42 d", "weeks", 6.0),
        ("6 weeks", "days", 42.0),
        ("18 months", "years", 1.5),
        (" 1e1  min ", "minutes", 10.0),
    ],
)
def test_known_units(text, kind, value):
    assert parse_quantity(text, kind) == pytest.approx(value, rel=1e-15)


def test_units_outside_the_table_go_through_pint():
    assert parse_quantity("2 knots", "speed") == pytest.approx(2 * 1852 / 3600)
    assert parse_quantity("1 fortnight", "days") == pytest.approx(14)
    assert parse_quantity("10 foot/second", "speed") == pytest.approx(3.048)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("fast", "speed", "must be a number"),
        ("10", "minutes", "must be a number"),
        ("", "speed", "must be a number"),
        ("5 kmm/h", "speed", "did you mean 'km/h'"),
        ("5 kg", "speed", "does not measure this"),
        ("5 min", "speed", "does not measure this"),
        ("0 min/km", "speed", "pace must be above 0"),
        ("1 m/s; import os", "speed", "unknown unit"),
        ("2 m**9999999999/s", "speed", "unknown unit"),
        ("1e999999999 min", "minutes", "must be a number"),
        ("1" * 200 + " min", "minutes", "must be a number"),
        ("6:75 min", "minutes", "must be a number"),
        ("nan min", "minutes", "must be a number"),
    ],
)
def test_what_is_no_quantity_gets_a_sentence(text, kind, words):
    with pytest.raises(InputError, match=None) as caught:
        parse_quantity(text, kind)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@given(st.integers(0, 10**6), st.sampled_from(sorted(KINDS)), st.data())
def test_equal_quantities_in_different_units_are_the_same_float(count, kind, data):
    factors = KINDS[kind].factors
    one, other = data.draw(st.sampled_from(sorted(factors))), data.draw(st.sampled_from(sorted(factors)))
    ratio = factors[one] / factors[other]
    in_other = count * ratio.numerator
    assert parse_quantity(f"{count * ratio.denominator} {one}", kind) == parse_quantity(
        f"{in_other} {other}", kind
    )


@given(st.text(max_size=60), st.sampled_from(sorted(KINDS)))
def test_any_text_gives_a_float_or_an_input_error(text, kind):
    try:
        value = parse_quantity(text, kind)
    except InputError:
        return
    assert isinstance(value, float)


def test_the_table_needs_no_pint():
    code = (
        "import sys; from retrowalk.units import parse_quantity; "
        "parse_quantity('5 km/h', 'speed'); print('pint' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
