"""The fitness-fatigue family behind one call, for arrays, labelled arrays and pandas objects alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, overload

import numpy as np

from retrowalk.errors import InputError
from retrowalk.model.arguments import Numbers, first, hill_values
from retrowalk.model.family import (
    FAMILIES,
    IMPULSES,
    MISSING,
    SCALINGS,
    form_problem,
    parameter_problem,
    require,
    require_choice,
)
from retrowalk.response import labelled
from retrowalk.response.curves import Conventions, Timeline, compute_curves, from_coordinate, from_times
from retrowalk.response.labelled import pandas_like, through_labels

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from retrowalk.model.family import FamilyName, Impulse, Missing, Scaling

_BALANCE_NAMES = {"ctl": "chronic training load", "atl": "acute training load", "tsb": "training balance"}


#: Numbers without names; loads have their days on the last axis.
Plain: TypeAlias = "float | Sequence[float] | Sequence[Sequence[float]] | NDArray[Any]"


#: A parameter: a number, one for each member, athlete or draw, or an array with names.
Value: TypeAlias = "Plain | xr.DataArray | pd.Series[Any]"


class Options(TypedDict, total=False):
    """The keyword arguments of `fitness_fatigue`, for type checkers; see there."""

    model: FamilyName
    impulse: Impulse
    scaling: Scaling
    form: str | None
    hill: Sequence[Value] | None
    times: Sequence[Any] | NDArray[Any] | None
    baseline: Value
    initial_fitness: Value
    initial_fatigue: Value
    missing: Missing
    dim: str
    gain_fitness: Value
    tau_fitness: Value
    gain_fatigue: Value
    tau_fatigue: Value
    tau_delay: Value
    tau_gain: Value
    exponent_fitness: Value
    exponent_fatigue: Value


@overload
def fitness_fatigue(
    load: Plain, *, components: Literal[False] = False, **options: Unpack[Options]
) -> NDArray[Any]: ...
@overload
def fitness_fatigue(
    load: xr.DataArray, *, components: Literal[False] = False, **options: Unpack[Options]
) -> xr.DataArray: ...
@overload
def fitness_fatigue(
    load: Plain | xr.DataArray, *, components: Literal[True], **options: Unpack[Options]
) -> xr.Dataset: ...
@overload
def fitness_fatigue(
    load: pd.Series[Any], *, components: Literal[False] = False, **options: Unpack[Options]
) -> pd.Series[Any]: ...
@overload
def fitness_fatigue(
    load: pd.Series[Any], *, components: Literal[True], **options: Unpack[Options]
) -> pd.DataFrame: ...
@overload
def fitness_fatigue(
    load: pd.DataFrame, *, components: bool = False, **options: Unpack[Options]
) -> pd.DataFrame: ...


def fitness_fatigue(
    load: Numbers,
    *,
    model: str = "banister",
    impulse: str = "next_day",
    scaling: str = "sum",
    form: str | None = None,
    hill: Sequence[Any] | None = None,
    times: Numbers = None,
    baseline: Numbers = 0.0,
    initial_fitness: Numbers = 0.0,
    initial_fatigue: Numbers = 0.0,
    missing: str = "error",
    components: bool = False,
    dim: str = "day",
    **parameters: Numbers,
) -> Numbers:
    r"""Response to a training load by a model of the fitness-fatigue family.

    Parameters
    ----------
    load : array_like, xarray.DataArray, pandas.Series or pandas.DataFrame
        Load of each day, at least 0. Plain arrays have their days on the last axis, labelled ones along
        `dim`, pandas objects along their index; a DataFrame has an athlete in each column. Days with labels,
        whole numbers or dates, must have no gaps. Lazy arrays stay lazy; their values are then checked when
        they are computed.
    model : {"banister", "one_component", "fitness_delay", "variable_dose", "nonlinear"}
        Equation, see Notes.
    impulse : {"next_day", "same_day"}
        Whether the load of day n counts from day n + 1 on or on day n already.
    scaling : {"sum", "ewma"}
        ``"ewma"`` multiplies each of the sums G, H and D by 1 - exp(-1/tau): averages, as training software
        shows them. Not for ``nonlinear``.
    form : {"inclusive", "exclusive", "filter"}, optional
        Form of ``variable_dose``; ``"inclusive"`` unless given.
    hill : (maximum, half_load, exponent), optional
        Saturates each load before anything else: w' = maximum w^exponent / (half_load^exponent + w^exponent).
    times : array_like, optional
        Days of the loads, one per entry, not decreasing, instead of the daily grid; numbers (fractions are
        allowed) or dates. Loads at the same time are added. The initial states lie one day before the first
        time. ``nonlinear`` and the filter form step by the day and take whole days.
    baseline : float or array
        Performance without training, p0.
    initial_fitness, initial_fatigue : float or array
        States before the first day, in units of the response; day n = 1, 2, ... still holds
        ``initial * exp(-n / tau)`` of them.
    missing : {"error", "zero"}
        What to do with a load that is NaN and with days missing from the ``dim`` coordinate.
    components : bool
        Return ``fitness``, ``fatigue`` and ``response`` instead of the response alone: a Dataset, or for
        pandas objects a DataFrame with a column each (for each athlete).
    dim : str
        Dimension of the days in labelled arrays, and its name in a returned Dataset.
    **parameters : float or array
        What the model needs: ``gain_fitness, tau_fitness`` (all), ``gain_fatigue, tau_fatigue`` (all but
        ``one_component``), ``tau_delay``, ``tau_gain``, ``exponent_fitness, exponent_fatigue``. Time
        constants are in days. DataArrays broadcast by name; plain arrays broadcast with ``load.shape[:-1]``;
        with a DataFrame, a Series or a plain sequence has a value for each column.

    Returns
    -------
    numpy.ndarray, xarray.DataArray, pandas.Series, pandas.DataFrame or xarray.Dataset
        The kind of `load` (labelled if any argument is), with the parameters' dimensions added. float32 loads
        give float32 results: states are float64 throughout, so each value lies within 2^-24 of itself,
        float32's rounding, of what the same loads give in float64.

    Raises
    ------
    InputError
        A ValueError whose sentence names the argument, the value and its index.

    Notes
    -----
    With loads w_1 .. w_T, G_n the sum of :math:`w_i e^{-(n-i)/\tau_1}` over i <= n (same day) or i < n (next
    day), H_n and D_n alike with tau_fatigue and tau_delay:

    - ``one_component``: p_n = p0 + k1 G_n
    - ``banister``: p_n = p0 + k1 G_n - k2 H_n [1]_
    - ``fitness_delay``: p_n = p0 + k1 (G_n - D_n) - k2 H_n [2]_
    - ``variable_dose``: H sums :math:`K_i w_i` instead of w_i, K_i being the sum of
      :math:`w_j e^{-(i-j)/\tau_{gain}}` over j <= i (``inclusive`` [3]_) or j < i (``exclusive``);
      ``filter`` sums K_i (j <= i) without w_i
    - ``nonlinear``: Euler steps of one day of f' = -f^alpha / tau1 + k1 w and u' = -u^beta / tau2 + k2 w,
      p = p0 + f - u [4]_; a step below zero is refused

    where k1, k2 are the gains. Each is computed by its recurrence in O(T).

    References
    ----------
    .. [1] Morton, Fitz-Clarke, Banister 1990, doi 10.1152/jappl.1990.69.3.1171
    .. [2] Calvert, Banister, Savage, Bach 1976, doi 10.1109/TSMC.1976.5409179
    .. [3] Busso 2003, doi 10.1249/01.MSS.0000074465.13621.37
    .. [4] Turner, Mazzoleni, Little, Sequeira, Mann 2017, doi 10.1515/bhk-2017-0013

    Examples
    --------
    >>> fitness_fatigue([1.0, 1.2, 0.5], baseline=100, gain_fitness=1.1, tau_fitness=25,
    ...                 gain_fatigue=1.3, tau_fatigue=5).round(3)
    array([100.   ,  99.993, 100.135])

    A day without a load is named, never taken for the day after the one before:

    >>> import pandas as pd
    >>> diary = pd.Series([50.0, 80.0], index=pd.to_datetime(["2026-03-01", "2026-03-03"]))
    >>> rested = fitness_fatigue(diary, missing="zero", model="one_component", gain_fitness=1, tau_fitness=20)
    >>> rested.round(1).tolist()
    [0.0, 45.2]
    """
    if pandas_like(load):
        options: dict[str, Any] = {
            "model": model, "impulse": impulse, "scaling": scaling, "form": form, "hill": hill,
            "times": times, "missing": missing, "components": components, "dim": dim,
        }  # fmt: skip
        given = {"baseline": baseline, "initial_fitness": initial_fitness, "initial_fatigue": initial_fatigue}
        return through_labels(fitness_fatigue, load, given | parameters, dim, **options)
    require_choice("model", model, FAMILIES)
    require_choice("impulse", impulse, IMPULSES)
    require_choice("scaling", scaling, SCALINGS)
    require_choice("missing", missing, MISSING)
    require(form_problem(model, form))
    require(parameter_problem(model, parameters))
    family = FAMILIES[model]
    form = form or next(iter(family.forms), "")
    values = {"baseline": baseline, "initial_fitness": initial_fitness, "initial_fatigue": initial_fatigue}
    values |= parameters | hill_values(hill)
    if family.daily and scaling == "ewma":
        raise InputError(f"scaling is 'ewma'; model {model!r} has no sums to scale, use scaling='sum'")
    none = np.ndim(initial_fatigue) == 0 and float(initial_fatigue) == 0.0
    if not (family.has_fatigue or none):
        raise InputError(f"initial_fatigue is {initial_fatigue}; model {model!r} has no fatigue")
    arrays = labelled.label_arguments(load, values, dim, force=components)
    length, days = labelled.days_of(load if arrays is None else arrays.load, dim)
    if times is not None:
        reason = f"model {model!r}" + (f" in its {form} form" if form else "")
        timeline = from_times(times, length, whole=family.steps_by_day(form), reason=reason)
    elif days is not None:
        timeline = from_coordinate(dim, days, missing)
    else:
        timeline = Timeline(np.ones(length))
    conventions = Conventions(model, impulse, scaling, form, missing, tuple(values), timeline, components)
    if arrays is not None:
        return labelled.compute(arrays, conventions, dim)
    checked = [conventions.checked_parameter(name, value) for name, value in values.items()]
    return compute_curves(conventions.checked_load(load), *checked, conventions=conventions)


def training_balance(
    load: Numbers,
    tau_long: Numbers = 42.0,
    tau_short: Numbers = 7.0,
    *,
    step: str = "exponential",
    day: str = "before",
    missing: Missing = "error",
    dim: str = "day",
) -> Any:  # noqa: ANN401  a Dataset, or a DataFrame for pandas objects
    """Chronic load, acute load and their balance, as training software shows them.

    Parameters
    ----------
    load : array_like, xarray.DataArray, pandas.Series or pandas.DataFrame
        Load of each day, as in `fitness_fatigue`.
    tau_long, tau_short : float or array
        Time constants in days.
    step : {"exponential", "reciprocal"}
        Share of the way to today's load that an average moves in a day: 1 - exp(-1/tau), or 1/tau, which
        needs tau > 1.
    day : {"before", "same"}
        The balance of a day is that of the averages of the day before, which is what one starts the day
        with, or of the day itself. Before the first entry both averages are zero.
    missing, dim
        As in `fitness_fatigue`.

    Returns
    -------
    xarray.Dataset, or pandas.DataFrame for pandas objects
        ``ctl`` (chronic training load), ``atl`` (acute training load) and ``tsb`` (their balance).

    Examples
    --------
    >>> training_balance([100.0, 0.0, 60.0])["ctl"].values.round(2)
    array([2.35, 2.3 , 3.66])
    """
    if pandas_like(load):
        taus = {"tau_long": tau_long, "tau_short": tau_short}
        return through_labels(training_balance, load, taus, dim, step=step, day=day, missing=missing, dim=dim)
    require_choice("step", step, ("exponential", "reciprocal"))
    require_choice("day", day, ("before", "same"))
    taus = {"tau_long": tau_long, "tau_short": tau_short}
    if step == "reciprocal":
        taus = {name: reciprocal_tau(name, tau) for name, tau in taus.items()}
    every_day = labelled.every_day(load, dim, missing)
    curves: xr.Dataset = fitness_fatigue(
        every_day, impulse="same_day", scaling="ewma", missing=missing, components=True, dim=dim,
        gain_fitness=1.0, tau_fitness=taus["tau_long"], gain_fatigue=1.0, tau_fatigue=taus["tau_short"],
    )  # fmt: skip
    named = curves.rename(fitness="ctl", fatigue="atl", response="tsb")
    if day == "before":
        named["tsb"] = named["tsb"].shift({dim: 1}, fill_value=0.0)
    for name, text in _BALANCE_NAMES.items():
        named[name].attrs["long_name"] = text
    return named if every_day is load else named.sel({dim: load[dim]})


def reciprocal_tau(name: str, tau: Numbers) -> Numbers:
    """Time constant whose daily step 1 - exp(-1/t) equals ``1 / tau``; `tau` must be above one day."""
    values = np.asarray(tau, np.float64)
    bad = ~(values > 1.0)
    if bad.any():
        raise InputError(f"{name} is {first(values, bad)}; a daily step of 1/tau needs more than 1 day")
    return -1.0 / np.log1p(-1.0 / (tau if labelled.is_labelled(tau) else values))
