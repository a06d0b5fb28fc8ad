"""From published evidence to the parameters that ship with the package.

The path of a published number: `published` brings it to one scale, `likelihood` says how it depends on the
parameters and fits it exactly, `sampler` fits it by chains, `run` turns the fit into files. How good the fit
is, and the pages that say so, is `retrowalk.calibrate.evaluation`.
"""

from retrowalk.calibrate.habituation import (
    OXYGEN_COSTS,
    Habituation,
    cost_changes,
    draw_habituation,
    expected_falls,
    fit_habituation,
    habituation_rows,
)
from retrowalk.calibrate.likelihood import (
    DOSE_FORMS,
    FLOOR,
    Design,
    LinearDose,
    LinearModel,
    NoDose,
    ProgrammeTotal,
    Refits,
    Verdict,
    VerdictScores,
    effective_size,
    fit_exactly,
    log_evidence,
    normalised,
    resample,
    score_verdicts,
    verdicts,
)
from retrowalk.calibrate.priors import (
    GainPrior,
    Nuisances,
    Prior,
    calibration_table,
    draw_nuisances,
    gain_prior,
    normals,
    outcome_prior,
    prior,
    priors,
    stratified,
    time_constants,
)
from retrowalk.calibrate.published import (
    Observation,
    StudyProtocol,
    benefit_sign,
    digest,
    exposure,
    natural_change,
    observation,
    observations,
    read_studies,
    study_protocol,
)
from retrowalk.calibrate.run import (
    SEED,
    Calibration,
    calibrate,
    check_folder,
    check_page,
    default_folder,
    disagreement,
    mismatches,
    save,
    save_page,
    thinning_order,
)
from retrowalk.calibrate.sampler import Diagnostics, Sampler, sample, sampler_available

__all__ = [
    "DOSE_FORMS", "FLOOR", "OXYGEN_COSTS", "SEED", "Calibration", "Design", "Diagnostics", "GainPrior",
    "Habituation", "LinearDose", "LinearModel", "NoDose", "Nuisances", "Observation", "Prior",
    "ProgrammeTotal", "Refits", "Sampler", "StudyProtocol", "Verdict", "VerdictScores", "benefit_sign",
    "calibrate", "calibration_table", "check_folder", "check_page", "cost_changes", "default_folder",
    "digest", "disagreement", "draw_habituation", "draw_nuisances", "effective_size", "expected_falls",
    "exposure", "fit_exactly", "fit_habituation", "gain_prior", "habituation_rows", "log_evidence",
    "mismatches", "natural_change", "normalised", "normals", "observation", "observations",
    "outcome_prior", "prior", "priors", "read_studies", "resample", "sample", "sampler_available", "save",
    "save_page", "score_verdicts", "stratified", "study_protocol", "thinning_order", "time_constants",
    "verdicts",
]  # fmt: skip
