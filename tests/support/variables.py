"""Which variables of the environment a library reads, found in its sources."""

import ast
import re
from collections.abc import Collection, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

_NAME = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?")
_READS = re.compile(r"environ|getenv|env_?var|_env\b|\benv=", re.IGNORECASE)
_NOT_THE_LIBRARY = {"test", "tests", "testing", "t", "distutils"}


def variables_read_by(package: str, *, without: Collection[str] = ()) -> dict[str, str]:
    """Each variable that the sources of `package` read by a name they spell out, and a file that does.

    Folders named like tests, or in `without`, are left out.
    """
    # By the path alone: a library that is imported already may have no spec of its own, as kombu has none.
    spec = PathFinder.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    assert spec.origin is not None
    root = Path(spec.origin).parent
    found: dict[str, str] = {}
    for file in sorted(root.rglob("*.py") if spec.submodule_search_locations else [Path(spec.origin)]):
        if (_NOT_THE_LIBRARY | set(without)) & set(file.relative_to(root).parts):
            continue
        source = file.read_text(encoding="utf-8", errors="replace")
        if _READS.search(source):
            for name in _names(ast.parse(source)):
                found.setdefault(name, str(file.relative_to(root.parent)))
    return found


def _names(tree: ast.Module) -> Iterator[str]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for value in _asked(node):
            name = constants.get(value.id) if isinstance(value, ast.Name) else getattr(value, "value", None)
            if isinstance(name, str) and _NAME.fullmatch(name):
                yield name


def _asked(node: ast.AST) -> Iterator[ast.expr | None]:
    """What may name a variable: os.environ[X], X in os.environ, getenv(X), option(envvar=X), def f(env=X)."""
    if isinstance(node, ast.Call):
        if "env" in _dotted(node.func).lower():
            yield from node.args[:1]
        yield from (keyword.value for keyword in node.keywords if "envvar" in (keyword.arg or ""))
    elif isinstance(node, ast.Subscript):
        if _dotted(node.value).endswith("environ"):
            yield node.slice
    elif isinstance(node, ast.Compare):
        if any(_dotted(place).endswith("environ") for place in node.comparators):
            yield node.left
    elif isinstance(node, ast.FunctionDef):
        arguments = node.args.posonlyargs + node.args.args
        with_default = arguments[len(arguments) - len(node.args.defaults) :]
        defaults = [*zip(with_default, node.args.defaults, strict=True)]
        defaults += [
            (argument, default)
            for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if default is not None
        ]
        yield from (default for argument, default in defaults if "env" in argument.arg)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
