"""The parameters that ship with the package: draws from what the evidence leaves open."""

from retrowalk.parameters.draws import Parameters, UserGain, draw_parameters
from retrowalk.parameters.posterior import COMPONENT_DIM, load_posterior, posterior_digest

__all__ = ["COMPONENT_DIM", "Parameters", "UserGain", "draw_parameters", "load_posterior", "posterior_digest"]
