"""No SQL is built from values: what enters it is a constant, quoted by one function, or listed here with a reason.

The package is read, not run: every expression that puts text with SQL in it together is found in its syntax tree.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import factor_assets

PACKAGE = Path(factor_assets.__file__).parent
SQL = re.compile(
    r"\b(SELECT|INSERT INTO|CREATE (OR REPLACE |TEMPORARY )?(TABLE|VIEW|DATABASE|SCHEMA)|ALTER TABLE|TRUNCATE"
    r"|DROP (TABLE|VIEW|DATABASE|PARTITION)|DELETE FROM|UPDATE \w+ SET|ATTACH|OPTIMIZE TABLE|WHERE|UNION ALL|ORDER BY"
    r"|GROUP BY|PARTITION BY|ON CLUSTER|ADD COLUMN|ENGINE =|SETTINGS|CAST\(|IN \(|USE )|\s(AND|OR)\s"
    r"|\bselect\s.+\sfrom\b|\binsert\s+into\b|\bdelete\s+from\b|\bdrop\s+table\b"
)

QUOTING = {"quoted", "_quoted", "bound", "day_of"}
"""Functions that return a name as a quoted identifier, the place of a value that is bound, such as {p0:String}, or a
whole number.
"""

ALLOWED: dict[str, dict[str, str]] = {
    "storage/clickhouse.py": {
        "self.tables_of_rows.commits": "the quoted name of the table of commits",
        "type_of(place, column)": "a type out of the table of ClickHouse's types",
        "live_rows(query, declared, history.state, live, part, commit=commit)": "text that this test reads as well",
        "query.head": "text that this test reads as well",
    },
    "storage/clickhouse_where.py": {
        "_inside(query, start, end, h.tickers)": "text that this test reads as well; its values are bound",
        "_inside(query, _bound(part.start), _bound(part.end), part.tickers)": "text that this test reads as well",
        "_not_hidden(query, hidden)": "text that this test reads as well; its values are bound",
        "_not_hidden_of(query, hidden, commit)": "text that this test reads as well; nothing else is in it",
        "query.constant('_live', f'SELECT live FROM {commit}')": "the name _live",
        "query.constant('_hidden', f'SELECT {parts} FROM {commit}')": "the name _hidden",
        "commit": "the quoted name of the table of commits, and two bound values",
    },
    "storage/clickhouse_log.py": {
        "self._database.commits": "the quoted name of the table of commits",
        "condition": "a literal at each call of the private method; its values are bound",
    },
    "storage/clickhouse_ddl.py": {
        "_on(cluster)": "the quoted name of the cluster",
        "_COMMITS.format(engine=engine, window=window)": "literals in a literal",
        "_definition(place, c)": "a quoted name and a type out of the table of ClickHouse's types",
        "_definition(place, added[name])": "a quoted name and a type out of the table of ClickHouse's types",
        "_text(_declared_name(place))": "a view's text has no parameters: the name of a declared table, escaped",
    },
    "storage/layout.py": {
        "self.lowest": "a whole number: a quarter",
        "self.highest": "a whole number: a quarter",
        "str(value)": "a whole number: a bucket",
    },
    "storage/query.py": {
        "number": "a whole number: the count of the tables before",
        "_text(family)": "a view's text has no parameters: the name of a declared table, escaped",
        "_text(name)": "a view's text has no parameters: the name of a declared table, escaped",
    },
}
"""File -> expression that enters SQL -> why no value of a user's is in it."""


Assigned = Mapping[str, Sequence[ast.expr]]
"""Name -> everything that a function assigns to it or puts into it."""


def built(tree: ast.Module) -> Iterator[tuple[list[ast.expr], Assigned]]:
    """Yield the parts of each text with SQL that is put together, and what its function assigns; no messages."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    nested = {id(below) for f in functions for below in ast.walk(f) if below is not f}
    seen: set[int] = set()
    for scope in [*(f for f in functions if id(f) not in nested), tree]:
        names = assigned(scope)
        for node in ast.walk(scope):
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, ast.Raise):
                seen |= {id(below) for below in ast.walk(node)}
            parts = [*parts_of(node)]
            text = " ".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            if SQL.search(text):
                yield parts, names


def assigned(scope: ast.AST) -> Assigned:
    """Return what a function assigns to each of its names; a name that comes from elsewhere is not there."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(scope):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = [*zip(targets, values, strict=True)]
            case ast.Assign(targets=targets, value=value):
                pairs = [(target, value) for target in targets]
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                pairs = [(target, value)]
            case ast.Call(func=ast.Attribute(value=target, attr="append" | "extend"), args=values):
                pairs = [(target, value) for value in values]
            case _:
                continue
        for target, value in pairs:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    given = {
        arg.arg for node in ast.walk(scope) if isinstance(node, ast.arguments) for arg in node.args + node.kwonlyargs
    }
    loops = {
        name.id
        for node in ast.walk(scope)
        if isinstance(node, ast.For | ast.comprehension)
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }
    return {name: values for name, values in found.items() if name not in given | loops}


def parts_of(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a text is put together from, by an f-string, +, %, format, join or replace; nothing for others."""
    if isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield value.value if isinstance(value, ast.FormattedValue) else value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        for side in (node.left, node.right):
            yield from [*parts_of(side)] or [side]
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"format", "format_map", "join", "replace"}
        and isinstance(node.func.value, ast.Constant)
    ):
        yield node.func.value
        yield from node.args
        yield from (keyword.value for keyword in node.keywords)


def values_in(part: ast.expr, names: Assigned) -> Iterator[ast.expr]:
    """Yield what a part is made of that is neither a constant nor a quoted name."""
    below = [*parts_of(part)]
    match part:
        case ast.Constant():
            return
        case ast.Name(id=name) if name.isupper():
            return
        case ast.Name(id=name) if name in names:
            below = list(names[name])
            names = {known: values for known, values in names.items() if known != name}
        case ast.IfExp(body=yes, orelse=no):
            below = [yes, no]
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            below = values
        case ast.Starred(value=value) | ast.GeneratorExp(elt=value) | ast.ListComp(elt=value):
            below = [value]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in QUOTING:
            return
        case _ if not below:
            yield part
    for one in below:
        yield from values_in(one, names)


def found_in(code: str) -> dict[str, int]:
    """Return expression -> line, of the values that enter SQL somewhere in the code."""
    return {
        ast.unparse(value): value.lineno
        for parts, names in built(ast.parse(code))
        for part in parts
        for value in values_in(part, names)
    }


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


class TestPackage:
    @pytest.mark.parametrize("file", FILES)
    def test_nothing_enters_sql_that_is_neither_quoted_nor_listed(self, file: str) -> None:
        allowed = ALLOWED.get(file, {})
        found = found_in((PACKAGE / file).read_text(encoding="utf-8"))
        assert {f"{file}:{line}: {part}" for part, line in found.items() if part not in allowed} == set()
        assert sorted(set(allowed) - set(found)) == [], "listed, but no longer there"

    def test_every_exception_is_of_a_file_that_is_there_and_says_why(self) -> None:
        assert set(ALLOWED) <= set(FILES)
        assert all(len(reason) > 10 for parts in ALLOWED.values() for reason in parts.values())


class TestFinder:
    @pytest.mark.parametrize(
        "code",
        [
            'f"SELECT * FROM {table}"',
            '"SELECT * FROM t WHERE ticker = \'" + ticker + "\'"',
            '"DELETE FROM t WHERE x = %s" % value',
            '"INSERT INTO t VALUES ({})".format(value)',
            '" AND ".join(conditions)',
            'f"ticker IN ({tickers})"',
            'f"select a from {table}"',
            'x = ("SELECT a" f" FROM {table}")',
            'run(f"DROP TABLE {name}")',
            "f\"SELECT {', '.join(names)} FROM t\"",
        ],
    )
    def test_a_value_in_sql_is_found(self, code: str) -> None:
        assert found_in(code)

    @pytest.mark.parametrize(
        "code",
        [
            'f"SELECT * FROM {quoted(table)}"',
            'f"SELECT {COLUMNS} FROM t"',
            "f\"SELECT {', '.join(quoted(n) for n in names)} FROM t\"",
            'raise StoreError(f"Ask with SELECT; got {sql}")',
            'f"{n} rows"',
            '"SELECT {x:String}"',
            'def f(name):\n    place = quoted(name)\n    return f"SELECT a FROM {place}"',
        ],
    )
    def test_what_is_quoted_or_no_sql_is_not(self, code: str) -> None:
        assert not found_in(code)
