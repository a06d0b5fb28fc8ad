"""The shipped JSON Schema describes what loading accepts."""

import json

import jsonschema
import pytest

from retrowalk.catalogue import modalities, outcomes, populations
from retrowalk.errors import InputError
from retrowalk.scenario import load_scenario, parse_document, parse_scenario, read_document, shipped_schema
from retrowalk.scenario.schema import generate_schema
from scenario_files import SHIPPED, changed


class TestSchema:
    def test_the_shipped_schema_is_the_generated_one(self):
        # Regenerate with: python -m retrowalk.scenario.schema
        assert shipped_schema() == generate_schema()

    def test_it_is_a_schema_and_every_key_is_described(self):
        schema = json.loads(shipped_schema())
        jsonschema.Draft202012Validator.check_schema(schema)
        for part in [schema, *schema["$defs"].values()]:
            for name, field in part.get("properties", {}).items():
                assert field.get("description"), name

    def test_it_knows_the_names(self):
        text = shipped_schema()
        for name in (*outcomes(), *populations(), *(row.modality for row in modalities().values())):
            assert f'"{name}"' in text

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_it_accepts_the_shipped_scenarios(self, path):
        validator = jsonschema.Draft202012Validator(json.loads(shipped_schema()))
        assert list(validator.iter_errors(read_document(path).data)) == []
        assert list(validator.iter_errors(json.loads(load_scenario(path).canonical_json()))) == []

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("seed: 1", "seed: -1"), ("seed: 1", "sed: 1"), ("share: 0.5", "share: 2"), ("knee_oa", "knees"),
            ("walk, per_week: 3", "walk"), ("speed: 0.8", "speed: fast"), ("minutes: 20", "minutes: '20'"),
            ("weeks: [0, 6]", "weeks: []"), ("speed: 0.8", "match: maybe"), ("seed: 1", "model: {hill: [1]}"),
        ],
    )  # fmt: skip
    def test_it_refuses_what_loading_refuses(self, old, new):
        text = changed(old, new)
        validator = jsonschema.Draft202012Validator(json.loads(shipped_schema()))
        assert list(validator.iter_errors(parse_document(text).data))
        with pytest.raises(InputError):
            parse_scenario(text)
