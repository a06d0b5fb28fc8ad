"""The parameters that ship with the package: draws from what the evidence leaves open."""

from retrowalk.parameters.draws import (
    COMPONENT_DIM,
    Parameters,
    UserGain,
    draw_parameters,
    load_posterior,
    posterior_digest,
    shipped_arrays,
)

__all__ = [
    "COMPONENT_DIM",
    "Parameters",
    "UserGain",
    "draw_parameters",
    "load_posterior",
    "posterior_digest",
    "shipped_arrays",
]
