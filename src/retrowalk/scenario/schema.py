"""The JSON Schema of scenario files, generated from the models and shipped beside this module."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

from pydantic import BaseModel

from retrowalk.scenario.fields import Block
from retrowalk.scenario.loading import SCHEMA
from retrowalk.scenario.specification import Scenario


def generate_schema() -> str:
    """The JSON Schema of what `load_scenario` accepts, as text; must equal the shipped one.

    What JSON Schema cannot say is checked on loading only: sums and products, names that refer to each
    other, units outside the usual ones.
    """
    schema = Scenario.model_json_schema()
    # Read here, not by the models on import (`use_attribute_docstrings`): that doubles start-up time.
    models = {block.__name__: block for block in _all_blocks(Block)}
    for name, part in [(Scenario.__name__, schema), *schema["$defs"].items()]:
        for key, text in _docstrings(models[name]).items():
            if key in part.get("properties", {}):
                part["properties"][key]["description"] = text
                part["properties"][key].pop("title", None)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "retrowalk scenario"}
    return json.dumps(head | {key: schema[key] for key in schema if key != "title"}, indent=2) + "\n"


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The text under each field of a model, by the name the file uses."""
    body = ast.parse(dedent(inspect.getsource(model))).body[0]
    found: dict[str, str] = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in pairwise(statements):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            info = model.model_fields.get(field.target.id)
            name = (info.alias if info else None) or field.target.id
            found[name] = inspect.cleandoc(str(text.value.value)).replace("\n", " ")
    parents = [parent for parent in model.__bases__ if issubclass(parent, BaseModel) and parent.model_fields]
    return {key: text for parent in parents for key, text in _docstrings(parent).items()} | found


def _all_blocks(block: type[Block]) -> Iterator[type[Block]]:
    for child in block.__subclasses__():
        yield child
        yield from _all_blocks(child)


if __name__ == "__main__":  # regenerates the shipped schema: python -m retrowalk.scenario.schema
    Path(__file__).with_name(SCHEMA).write_text(generate_schema(), encoding="utf-8")
