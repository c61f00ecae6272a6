"""What of a training script is run to have one of its classes: what the name needs, and no more.

A statement is needed if it gives a needed name its value, or may change what that name holds, as a
loop that fills a table does. What a needed statement mentions is needed too. Nothing is run twice,
and all names live in one module, so a class is one class whoever asks for it. An assignment is
taken to change what it assigns and nothing else, so ``model = Model().fit(X)`` is not needed by
``Model``.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from modelway.domain.errors import LoadFailed

_CHANGES_NOTHING = frozenset(
    ("print", "dump", "debug", "info", "warning", "error", "exception", "critical", "log")
)
"""Calls that tell what a value is and leave it as it is."""


class Script:
    """A Python file, run piece by piece as its names are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        tree = ast.parse(path.read_bytes(), str(path))
        self._future = [one for one in tree.body if _is_future(one)]
        self._statements = [one for one in tree.body if not _is_future(one)]
        self._reads = [_read(one) for one in self._statements]
        changes = _Changes(tree)
        self._changes = [changes.of(one) for one in self._statements]
        self._done: set[int] = set()
        self._module = ModuleType("__main__")
        self._module.__file__ = str(path)

    def has(self, name: str) -> bool:
        """Whether a statement of the file gives the name a value."""
        return any(name in changes for changes in self._changes)

    def value(self, name: str) -> Any:
        """The name's value, after what it needs has run.

        Raises:
            LoadFailed: a statement that it needs cannot be run here.
        """
        for i in self._needed(name):
            if i not in self._done:
                self._run(self._statements[i])
                self._done.add(i)
        return getattr(self._module, name)

    def _needed(self, name: str) -> list[int]:
        """The positions of the statements that the name needs, in their order."""
        names, needed = {name}, set[int]()
        while True:
            more = {i for i, changes in enumerate(self._changes) if changes & names} - needed
            if not more:
                return sorted(needed)
            needed |= more
            names = names.union(*(self._reads[i] for i in more))

    def _run(self, statement: ast.stmt) -> None:
        part = ast.Module([*self._future, statement], type_ignores=[])
        program = compile(part, str(self._path), "exec")
        try:
            exec(program, vars(self._module))  # noqa: S102 - the user's own code, given to be run
        except (Exception, SystemExit) as error:  # the user's own code may raise anything at all
            raise LoadFailed(
                f"line {statement.lineno} of {self._path.name}, which a class of the model needs, "
                f"cannot be run: {type(error).__name__}: {error}",
                hint="put what trains the model under if __name__ == '__main__':, or its classes "
                "into a file of their own",
            ) from error


class _Changes(ast.NodeVisitor):
    """The names of a module that a statement gives a value to, or whose value it may change."""

    def __init__(self, tree: ast.Module) -> None:
        self._imported: set[str] = set()
        self._classes: set[str] = set()
        self._functions: dict[str, set[str]] = {}
        for one in tree.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                self._functions[one.name] = _read(one)
            elif isinstance(one, ast.ClassDef):
                self._classes.add(one.name)
            else:
                self._imported.update(*(_imports(node) for node in ast.walk(one)))
        self._found: set[str] = set()

    def of(self, statement: ast.stmt) -> set[str]:
        """The names that this statement of the module changes."""
        self._found = set()
        self.visit(statement)
        return self._found

    def visit(self, node: ast.AST) -> None:
        """Gather what the node changes; functions inside it have names of their own."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self._found |= _imports(node)
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                self._found.add(node.name)
                for decorator in node.decorator_list:
                    self._found |= self._touched(decorator, ())
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                pass
            case ast.If() if "__name__" in _names(node.test):
                pass  # what a script does when it is run, and not when it is imported
            case ast.For() | ast.AsyncFor():
                self._loop(node)
            case ast.Name(ctx=ast.Store() | ast.Del()):
                self._found.add(node.id)
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                self._found.update(_root(node))
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                self._found.update(_root(node))
            case ast.Expr():
                self._call(node)
            case _:
                self.generic_visit(node)

    def _loop(self, node: ast.For | ast.AsyncFor) -> None:
        """A loop that changes what it takes out of something changes that too."""
        before, self._found = self._found, set()
        for one in (*node.body, *node.orelse):
            self.visit(one)
        if self._found & set(_names(node.target)):
            self._found.update(_names(node.iter))
        self._found |= {*before, *_names(node.target)}

    def _call(self, node: ast.Expr) -> None:
        """A call whose value nobody wants is made for what it changes."""
        calls = [one for one in ast.walk(node.value) if isinstance(one, ast.Call)]
        if calls and _called(calls[0]) not in _CHANGES_NOTHING:
            for call in calls:
                values = (*call.args, *(one.value for one in call.keywords))
                self._found |= self._touched(call.func, values)

    def _touched(self, function: ast.expr, values: Iterable[ast.expr]) -> set[str]:
        """The names that a call may change: those it is given, what it is a method of, and what a
        function of the module names."""
        found = {one.id for one in values if isinstance(one, ast.Name)}
        (root,) = _root(function) or ("",)
        if root in self._functions:
            found |= self._reach(root) - self._classes
        elif root != "setattr":
            found -= self._classes  # a library's function is given a class to use it
        if isinstance(function, ast.Attribute) or root not in self._classes:
            found.add(root)
        return found - self._imported - set(self._functions)

    def _reach(self, function: str) -> set[str]:
        """What a function of the module names, and the functions among it name."""
        found, new = set[str](), {function}
        while new:
            found |= new
            new = set[str]().union(*(self._functions.get(one, ()) for one in new)) - found
        return found


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _imports(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    return {(one.asname or one.name).partition(".")[0] for one in node.names}


def _read(statement: ast.stmt) -> set[str]:
    """The names of the module that a statement mentions, in functions inside it too."""
    top = symtable.symtable(ast.unparse(statement), "<statement>", "exec")
    found = {one.get_name() for one in top.get_symbols() if one.is_referenced()}
    inside = list(top.get_children())
    while inside:
        scope = inside.pop()
        found |= {one.get_name() for one in scope.get_symbols() if one.is_global()}
        inside += scope.get_children()
    return found


def _names(node: ast.AST) -> list[str]:
    return [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]


def _root(node: ast.expr) -> list[str]:
    """The name that an expression such as ``TABLE["a"].append`` begins with, if it does."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return [node.id] if isinstance(node, ast.Name) else []


def _called(call: ast.Call) -> str:
    """The last word of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
