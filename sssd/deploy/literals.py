"""Config files that are nothing but values: read without running them, written in few lines.

A checkpoint and the work directory beside it hold the config of the training as Python text. Whoever made the file
wrote that text, so it is read as the dump that it is, ``name = value`` with ``dict(...)`` and literals, and not run.
"""

import ast
import math
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from typing import Any

from sssd.errors import UserError

LIMIT = 120
_SEQUENCES = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
_NUMBERS = {'inf': math.inf, 'nan': math.nan}


def read_literals(text: str, where: str) -> dict[str, Any]:
    """The values that a config file assigns, by their names.

    Args:
        text: The file's text, as MMEngine dumps it.
        where: What it is, for the sentence.

    Raises:
        UserError: If it is no Python, or does anything but assign values.
    """
    try:
        return {name: _value(node) for name, node in _assignments(ast.parse(text))}
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f', line {error.lineno}' if getattr(error, 'lineno', None) else ''
        raise UserError(
            f'{where}{line} is not the plain dump of a config ({error.args[0] if error.args else error}), and is not '
            'run: name the config with --config if you trust it.'
        ) from error


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            raise ValueError(f'line {node.lineno} assigns no value')
        yield node.targets[0].id, node.value


def _value(node: ast.expr) -> Any:
    """The value of an expression of literals and ``dict(...)``."""
    if isinstance(node, ast.Constant):
        return node.value
    if type(node) in _SEQUENCES:
        return _SEQUENCES[type(node)](map(_value, node.elts))
    if isinstance(node, ast.Dict) and None not in node.keys:
        return dict(zip(map(_value, node.keys), map(_value, node.values)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _value(node.operand)
        if isinstance(inner, (int, float)):
            return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.Name) and node.id in _NUMBERS:
        return _NUMBERS[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        found = _call(node)
        if found is not None:
            return found
    raise ValueError(f'line {node.lineno} has {ast.unparse(node)[:60]!r}, which is no plain value')


def _call(node: ast.Call) -> Any:
    """``dict(a=1)``, ``dict({'a.b': 1})`` as MMEngine writes such keys, and ``float('inf')``; None for other calls."""
    if node.func.id == 'dict' and all(one.arg for one in node.keywords):
        if all(isinstance(one, ast.Dict) for one in node.args) and len(node.args) <= 1:
            inner = _value(node.args[0]) if node.args else {}
            return inner | {one.arg: _value(one.value) for one in node.keywords}
    if node.func.id == 'float' and not node.keywords and len(node.args) == 1:
        word = node.args[0]
        if isinstance(word, ast.Constant) and str(word.value).lstrip('-') in _NUMBERS:
            return float(word.value)
    return None


def write_literals(values: Mapping[str, Any]) -> str:
    """The text of a config file that assigns these values, in lines of at most :data:`LIMIT` where they can be.

    Raises:
        UserError: If a value is none that can be written.
    """
    return ''.join(f'{name} = {_written(value, len(name) + 3, 0)}\n' for name, value in values.items())


def _written(value: Any, column: int, indent: int) -> str:
    """A value that begins in ``column`` of a line which is indented by ``indent``."""
    flat = _flat(value)
    if column + len(flat) <= LIMIT - 2 or not isinstance(value, (Mapping, list, tuple)) or not value:
        return flat
    inner, lines, line = indent + 4, [], ''
    for start, item in _items(value):
        piece = start + _flat(item)
        if len(piece) + inner <= LIMIT - 2:  # as many as fit share a line
            if line and inner + len(line) + len(piece) > LIMIT - 3:
                lines.append(line)
                line = ''
            line += (', ' if line else '') + piece
            continue
        if line:
            lines.append(line)
            line = ''
        lines.append(start + _written(item, inner + len(start), inner))
    lines += [line] * bool(line)
    left, right = _brackets(value)
    pad = '\n' + ' ' * inner
    return f'{left}{pad}{("," + pad).join(lines)}{"," if isinstance(value, tuple) else ""}{right}'


def _flat(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, (Mapping, list, tuple)):
        left, right = _brackets(value)
        comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
        return left + ', '.join(start + _flat(item) for start, item in _items(value)) + comma + right
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, (bool, int, float, str, bytes, set)):
        return repr(value)
    raise UserError(f'the config has a {type(value).__name__} ({str(value)[:40]}), which is no plain value: give one.')


def _named(value: Any) -> bool:
    """Whether a dict can be written as ``dict(...)``."""
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and key.isidentifier() and not iskeyword(key) for key in value
    )


def _brackets(value: Any) -> tuple[str, str]:
    if isinstance(value, Mapping):
        return ('dict(', ')') if _named(value) else ('{', '}')
    return ('[', ']') if isinstance(value, list) else ('(', ')')


def _items(value: Any) -> list[tuple[str, Any]]:
    """What stands before each item, and the item."""
    if not isinstance(value, Mapping):
        return [('', item) for item in value]
    return [(f'{key}=' if _named(value) else f'{key!r}: ', item) for key, item in value.items()]
