"""Print what the package's structure measures beside the limits that were set for it.

Run with ``python -m benchmarks.structure``. Lines, modules and imports are counted from the sources alone.
``--debt`` also names the modules behind each figure. The limits held when the package was re-cut into its
present rooms; they are a record, not a test.
"""

from __future__ import annotations

import argparse
import ast
import collections
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "retrowalk"
#: What was set when the package was re-cut: the most that may be.
LIMITS = {
    "lines": 24_000,
    "modules": 140,
    "internal imports per 1 000 lines": 18.0,
    "lines of the longest module": 600,
    "names that modules share": 0,
    "import circles": 0,
    "files that mention backward_share from YAML to kernel": 14,
}
#: Rooms that a scenario passes on its way from YAML to kernel.
ON_THE_WAY = ("catalogue", "model", "kernels", "parameters", "cohort", "scenario", "simulation")


@dataclass(frozen=True)
class Structure:
    """Sources and imports of the package.

    Attributes
    ----------
    lines : dict
        Lines of each module, by dotted name.
    imports : set of (str, str)
        Each module and a module that it imports, also inside functions.
    """

    lines: dict[str, int]
    imports: set[tuple[str, str]]


def read_structure(package: Path = PACKAGE) -> Structure:
    """Read all modules of a package folder."""
    trees: dict[str, ast.Module] = {}
    lines: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        name = ".".join(parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        trees[name], lines[name] = ast.parse(text), len(text.splitlines())
    imports = {
        (name, target)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package.name
        for target in _targets(node, trees)
        if target != name
    }
    return Structure(lines, imports)


def _targets(node: ast.ImportFrom, modules: collections.abc.Container[str]) -> set[str]:
    whole = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in modules else str(node.module) for name in whole}


def import_circles(structure: Structure) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm; rooms' own faces are left out."""
    faces = {target.rpartition(".")[0] for target in structure.lines}
    ahead = collections.defaultdict(set)
    for importer, target in structure.imports:
        if importer not in faces and target not in faces:
            ahead[importer].add(target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in ahead[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            circle = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(circle) > 1:
                circles.append(sorted(circle))

    for name in sorted(structure.lines):
        if name not in index:
            visit(name)
    return circles


def shared_names(structure: Structure) -> list[str]:
    """Last parts of dotted names that more than one module has."""
    stems = collections.Counter(name.rpartition(".")[2] for name in structure.lines)
    return sorted(stem for stem, count in stems.items() if count > 1 and not stem.startswith("__"))


def single_importers(structure: Structure) -> list[str]:
    """Modules that exactly one module other than a room's own face imports."""
    faces = {target.rpartition(".")[0] for target in structure.lines}
    count = collections.Counter(target for importer, target in structure.imports if importer not in faces)
    return sorted(name for name in structure.lines if count[name] == 1 and name not in faces)


def on_the_way(word: str, package: Path = PACKAGE) -> list[str]:
    """Files that mention a field of the scenario in the rooms between YAML and kernel."""
    pattern = re.compile(rf"\b{word}\b")
    paths = (path for room in ON_THE_WAY for path in sorted((package / room).rglob("*.py")))
    return [
        str(path.relative_to(package)) for path in paths if pattern.search(path.read_text(encoding="utf-8"))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debt", action="store_true", help="also name the modules behind each figure")
    debt = parser.parse_args().debt
    structure = read_structure()
    lines, circles = sum(structure.lines.values()), import_circles(structure)
    names, way = shared_names(structure), on_the_way("backward_share")
    longest = max(structure.lines, key=structure.lines.__getitem__)
    figures: dict[str, float] = {
        "lines": lines,
        "modules": len(structure.lines),
        "internal imports per 1 000 lines": round(1000 * len(structure.imports) / lines, 1),
        "lines of the longest module": structure.lines[longest],
        "names that modules share": len(names),
        "import circles": len(circles),
        "files that mention backward_share from YAML to kernel": len(way),
    }
    print(f"{'':56}{'now':>8}{'limit':>8}")
    for name, value in figures.items():
        print(f"{name:56}{value:8g}{LIMITS[name]:8g}")
    if debt:
        print("longest:", *sorted(structure.lines, key=structure.lines.__getitem__)[-8:])
        print("shared:", *names)
        print("circles:", *(" <-> ".join(circle) for circle in circles))
        print("backward_share:", *way)
        print("one importer:", *(f"{n} ({structure.lines[n]})" for n in single_importers(structure)))


if __name__ == "__main__":
    main()
