"""The reader: every file is plain data with places, or one sentence with a place, in bounded time."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrowalk.errors import DocumentError, InputError
from retrowalk.scenario import parse_document, parse_scenario, read_document
from retrowalk.scenario.document import MAX_BYTES, MAX_DEPTH, Position
from scenario_files import SMALL


def attempt(text):
    """Data and problems of a text: one of the two is None."""
    try:
        return parse_document(text, "f.yaml").data, None
    except DocumentError as error:
        return None, error.problems


def problem_of(text):
    data, problems = attempt(text)
    assert data is None
    (problem,) = problems
    return problem


def check_outcome(text):
    data, problems = attempt(text)
    if problems is None:
        assert isinstance(data, dict)
    else:
        assert len(problems) == 1
        assert len(str(problems[0])) < 300
        assert len(str(problems[0]).splitlines()) == 1


def test_scalars_follow_yaml_1_2_core_rules():
    numbers = parse_document("a: [1, -2, 0x1f, 0o17, 012, 1e3, .5, 1., -.inf]").data["a"]
    assert numbers == [1, -2, 31, 15, 12, 1000.0, 0.5, 1.0, float("-inf")]
    assert [type(value) for value in numbers] == [int] * 5 + [float] * 4
    words = parse_document("a: [~, true, no, on, '3', \"4\", 6:00 min/km, 1_0, 2026-01-01, 1e]").data["a"]
    assert words == [None, True, "no", "on", "3", "4", "6:00 min/km", "1_0", "2026-01-01", "1e"]


def test_keys_are_text_and_places_are_kept():
    document = parse_document("a:\n  1: x\n  b: [10, {c: 2}]\n", "f.yaml")
    assert document.data == {"a": {"1": "x", "b": [10, {"c": 2}]}}
    assert document.places["a", "b", 1, "c"] == Position(3, 15, 3, 12)
    assert str(document.problem(("a", "b", 1, "d"), "is missing")) == "f.yaml:3:11: a.b.1.d: is missing"
    assert str(document.problem(("a", "z"), "is missing")) == "f.yaml:1:1: a.z: is missing"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' is given twice; first on line 1"),
        ("a: {b: 1, b: 2}", 1, 11, "given twice"),
        ("a: &x 1", 1, 4, "anchors and aliases"),
        ("a: *x", 1, 4, "anchors and aliases"),
        ("a: 1\n<<: {b: 1}", 2, 1, "merge keys"),
        ("a: !!python/object/apply:os.system [ls]", 1, 4, "tags"),
        ("a: !!int '1'", 1, 4, "tags"),
        ("%YAML 1.1\n---\na: 1", 2, 1, "directives"),
        ("a: 1\n---\nb: 1", 2, 1, "one document"),
        ("a: [1, 2", 1, 9, "not valid YAML"),
        ("a: b: c", 1, 5, "not valid YAML"),
        ("\ta: 1", 1, 1, "not valid YAML"),
        ("a: \x00", 1, 4, "control character"),
        ("? [a, b]\n: 1", 1, 3, "a key must be a plain word"),
        ("{a: 1}: 2", 1, 1, "a key must be a plain word"),
        ("- 1", 1, 1, "mapping of keys"),
        ("just words", 1, 1, "mapping of keys"),
        ("a: " + "9" * 5000, 1, 4, "more than 60 digits"),
        ('a: "\\ud83d"', 1, 4, "lone surrogate"),
    ],
)  # fmt: skip
def test_each_fault_has_its_place(text, line, column, words):
    problem = problem_of(text)
    assert (problem.source, problem.line, problem.column) == ("f.yaml", line, column)
    assert words in problem.message
    assert "\n" not in str(problem)


@pytest.mark.parametrize("text", ["", " \n", "# only a comment\n", "---\n", "---\n...\n", "null"])
def test_a_file_without_content_is_called_empty(text):
    assert "is empty" in problem_of(text).message


BOMBS = {
    "brackets": "[" * 20_000,
    "braces": "{" * 20_000,
    "nested_mappings": "".join(" " * i + "a:\n" for i in range(400)),
    "question_marks": "? " * 20_000,
    "dashes": "- " * 20_000,
    "aliases": "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30)),
    "many_events": "a: [" + "1," * 40_000 + "]",
    "many_keys": "\n".join(f"k{i}: 1" for i in range(11_000)),
    "colons": ": " * 20_000,
    "long_scalar": "a: '" + "x" * 120_000,
    "tags": "!<" * 20_000,
    "flow_and_comments": "a: [#\n" * 10_000,
    "quotes": "'" * 60_001,
    "pipes": "a: |\n" + " \n" * 40_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon_with_one_sentence(name):
    check_outcome(BOMBS[name])


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH])
def test_depth_is_limited_exactly(depth):
    # The mapping around the lists is a level of its own.
    text = "a: " + "[" * depth + "]" * depth
    if depth < MAX_DEPTH:
        assert parse_document(text).data["a"] is not None
    else:
        assert f"more than {MAX_DEPTH} levels" in problem_of(text).message


@given(st.text(max_size=200))
@example("a: \ud7ff")
@example("'\\")
@example("a: !\u3000")
@example('"\\x')
@example("%")
@example("&")
@example("\ufeff")
@example("a: >-99\n x")
@example("a: \u2028b")
def test_any_text_gives_data_or_one_problem(text):
    check_outcome(text)


@given(st.text(alphabet=":-?{}[],&*!|>'\"%@#` \n\tab1.<", max_size=80))
def test_yaml_like_text_gives_data_or_one_problem(text):
    check_outcome(text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.text(alphabet=st.characters(codec="ascii", exclude_characters="<"), max_size=8), values
    )
)
def test_json_is_read_as_json_reads_it(data):
    import json

    text = json.dumps(data)
    if data and not any(len(str(number)) > 60 for number in _integers(data)):
        assert parse_document(text).data == json.loads(text)


def _integers(value):
    if isinstance(value, dict):
        return [number for item in value.values() for number in _integers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _integers(item)]
    return [value] if isinstance(value, int) else []


class TestFiles:
    def test_a_missing_file(self, tmp_path):
        assert self.sentence(tmp_path / "no.yaml").endswith("no.yaml: there is no such file")

    def test_a_directory(self, tmp_path):
        assert self.sentence(tmp_path).endswith("is a directory, not a scenario file")

    def test_an_empty_file(self, tmp_path):
        assert "is empty" in self.sentence(self.file(tmp_path, b""))

    def test_a_file_that_is_not_utf_8(self, tmp_path):
        path = self.file(tmp_path, "a: 1\ntitle: B\xfcrger\n".encode("latin-1"))
        assert self.sentence(path).endswith(":2:9: is not UTF-8 text (byte 13)")

    def test_a_file_that_is_too_large(self, tmp_path):
        path = self.file(tmp_path, b"# " + b"x" * MAX_BYTES)
        assert "larger than 128 KiB" in self.sentence(path)

    def test_an_endless_file(self):
        assert "larger than 128 KiB" in self.sentence("/dev/zero")

    def test_a_name_with_a_null_byte(self):
        assert "cannot be read" in self.sentence("a\0b")

    def test_a_byte_order_mark_is_no_content(self, tmp_path):
        path = self.file(tmp_path, b"\xef\xbb\xbfa: 1\n")
        assert read_document(path).data == {"a": 1}

    def test_standard_input(self, monkeypatch):
        import io
        import sys
        from types import SimpleNamespace

        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a: 1\nb: [")))
        assert self.sentence("-").startswith("-:2:5: this is not valid YAML")

    @staticmethod
    def file(folder, content):
        path = folder / "s.yaml"
        path.write_bytes(content)
        return path

    @staticmethod
    def sentence(path):
        with pytest.raises(DocumentError) as caught:
            read_document(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)


def test_endless_keys_are_cut_where_they_are_shown():
    with pytest.raises(InputError, match=r"unknown key 'aaa") as caught:
        parse_scenario(SMALL + "a" * 1000 + ": 1\n")
    assert len(str(caught.value)) < 500
