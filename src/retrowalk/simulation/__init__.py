"""One case of a scenario to a labelled dataset."""
