"""How well published studies support what a scenario prescribes, and where it goes beyond them."""
