"""The rules of the house, as tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gfmp.errors

HEAVY = ("torch", "ray", "mlflow", "deepspeed", "pandas", "transformers", "numba")
PRODUCT = ("platform/gfmp", "tokenizer_registry")
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(p for part in PRODUCT for p in (ROOT / part).rglob("*.py"))


def _modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(' '.join(sorted(m.split('.')[0] for m in sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_platform_is_still_the_standard_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import platform, uuid, asyncio; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert re.fullmatch(r"3\.11\.\d+", done.stdout.strip())
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_light_half_loads_nothing_heavy() -> None:
    code = (
        "import gfmp.cli.main, gfmp.plan.resolve, gfmp.plan.survey, gfmp.ledger.store, "
        "gfmp.feed.feed, gfmp.genome.corpus, gfmp.vocabulary.registry, gfmp.spec.load"
    )
    assert not _modules_after(code) & set(HEAVY)


def test_help_loads_neither_pyarrow_nor_tokenizers() -> None:
    loaded = _modules_after("import gfmp.cli.main")
    assert not loaded & {*HEAVY, "pyarrow", "tokenizers", "numpy", "rich"}


def test_layers_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("check", "."), ("format", "--check", ".")])
def test_ruff_is_clean(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_strict_is_clean() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_keeps_the_yardstick(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert source.isascii()
    assert len(source.splitlines()) <= 400
    assert ast.get_docstring(tree), "a module says what it holds"
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", source)
    assert path.stem not in {"utils", "util", "common", "helpers", "misc"}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            _check_function(node)


def _check_function(node: ast.FunctionDef) -> None:
    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    named = [a for a in arguments if a.arg not in ("self", "cls")]
    assert len(named) <= 7, f"{node.name} has {len(named)} parameters"
    assert all(a.annotation for a in named), f"{node.name} has a parameter without a type"
    assert node.name.startswith("_") or ast.get_docstring(node), f"{node.name} has no docstring"
    assert _depth(node) < 4, f"{node.name} nests too deep"


def _depth(node: ast.AST, depth: int = 0) -> int:
    deepest = depth
    for child in ast.iter_child_nodes(node):
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        block = isinstance(child, (ast.If, ast.For, ast.While, ast.With, ast.Try)) and not chained
        deepest = max(deepest, _depth(child, depth + block))
    return deepest


def test_every_error_class_is_seen_by_a_test() -> None:
    classes = [
        name
        for name, value in vars(gfmp.errors).items()
        if isinstance(value, type) and issubclass(value, gfmp.errors.GfmpError)
    ]
    tests = "\n".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__)
    )
    unseen = [name for name in classes if not re.search(rf"\b{name}\b", tests)]
    assert not unseen


def test_exit_statuses_follow_the_contract() -> None:
    allowed = {2, 3, 65, 66, 69, 70, 73, 74, 75, 77, 78, 130, 143}
    found = {
        value.exit_status
        for value in vars(gfmp.errors).values()
        if isinstance(value, type) and issubclass(value, gfmp.errors.GfmpError)
    }
    assert found <= allowed


def test_the_top_level_is_fixed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.splitlines()
    top = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert top <= {
        "platform", "jobs", "specs", "tokenizer_registry", "tests",
        "pyproject.toml", "requirements.lock", "README.md", "LICENSE", "CITATION.cff",
    }  # fmt: skip
