"""Regenerate the shipped schema: ``python -m retrowalk.scenario.schema``."""

from pathlib import Path

from retrowalk.scenario.schema import FILE_NAME, generate_schema

if __name__ == "__main__":
    Path(__file__).with_name(FILE_NAME).write_text(generate_schema(), encoding="utf-8")
