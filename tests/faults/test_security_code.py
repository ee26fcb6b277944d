"""Rules for all code: SQL takes values only as parameters, and no outside data is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import bot
import generator

BOT, GENERATOR = Path(bot.__file__).parent, Path(generator.__file__).parent
CALLS = {"execute", "executemany", "execute_fetchall", "executescript", "rows", "rows_apart", "row", "_first", "_find"}
ARGUED: Mapping[tuple[str, str], str] = {
    ("batches.py", "insertion('batches', values)"): "made of the fields of a dataclass, with a placeholder for each",
    ("batches.py", "names"): "made by `assignments` of the fields of a dataclass, with a placeholder for each value",
    ("connection.py", "sql"): "handed on by `rows` and `_first`, whose callers are looked at themselves",
    ("connection.py", "statement"): "a line of our own migrations",
    ("connection.py", "number"): "counts the migrations",
    ("connection.py", "name"): "of a pragma, a constant where it is called",
    ("guilds.py", "table"): "from a tuple of constants in the line above",
    ("jobs.py", "names"): "made by `assignments` of the fields of a dataclass, with a placeholder for each value",
    ("jobs.py", "insertion('jobs', values)"): "made of the fields of a dataclass, with a placeholder for each value",
    ("jobs.py", "sql.replace('INSERT', 'INSERT OR REPLACE', 1)"): "as above",
    ("jobs.py", "change"): "made of the names of the sums, constants in the lines above",
    ("jobs.py", "columns"): "joined of constants",
    ("jobs.py", "where"): "handed on by `_find`, whose callers are looked at themselves",
    ("jobs.py", "marks"): "as many question marks as there are values",
    ("pictures.py", "columns"): "the columns of a picture, constants",
    ("pictures.py", "ours"): "the columns of a job, constants",
    ("pictures.py", "query"): "from a mapping of constants in the lines above",
    ("pictures.py", "where"): "made by `_in_gallery` of constants, with a numbered placeholder for each word",
    ("people.py", "table"): "from a tuple of constants in the line above",
    ("reports.py", "sql"): "made by `insertion` of the fields of a dataclass, with a placeholder for each value",
    ("reports.py", "sql.replace('INSERT', 'INSERT OR REPLACE', 1)"): "as above",
    ("reports.py", "where"): "handed on by `_find`, whose callers are looked at themselves",
    ("web.py", "page_query(len(words))"): "made of constants, with a numbered placeholder for each word",
    ("votes.py", "insertion('votes', values)"): "made of the fields of a dataclass, with a placeholder for each value",
    ("votes.py", "name"): "one of two constants, checked in the lines above",
    ("votes.py", "names"): "made by `assignments` of the fields of a dataclass, with a placeholder for each value",
}
"""Parts of SQL texts other than constants, by file, each with the reason why no person can write it."""


def variable_parts(text: ast.expr) -> Iterator[str]:
    """Yield the parts of an SQL text other than constants and names in capitals."""
    if isinstance(text, ast.Constant):
        return
    if isinstance(text, ast.JoinedStr):
        for part in text.values:
            if isinstance(part, ast.FormattedValue):
                yield from variable_parts(part.value)
    elif isinstance(text, ast.Starred):
        yield from variable_parts(text.value)
    elif isinstance(text, ast.BinOp):
        yield from variable_parts(text.left)
        yield from variable_parts(text.right)
    elif not (isinstance(text, ast.Name) and text.id.lstrip("_").isupper()):
        yield ast.unparse(text)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (part for part in ast.walk(tree) if isinstance(part, ast.Call))


def found_in(folder: Path) -> set[tuple[str, str]]:
    found = set()
    for path in folder.rglob("*.py"):
        for call in calls(ast.parse(path.read_text("utf-8"))):
            if isinstance(call.func, ast.Attribute) and call.func.attr in CALLS and call.args:
                found |= {(path.name, part) for part in variable_parts(call.args[0])}
    return found


def test_sql_is_made_of_constants_and_of_what_is_argued_for() -> None:
    assert found_in(BOT / "store") == set(ARGUED)


def test_the_check_can_fail() -> None:
    (call,) = calls(ast.parse("db.execute('SELECT * FROM jobs WHERE prompt = ' + prompt)"))
    assert list(variable_parts(call.args[0])) == ["prompt"]


def test_nothing_is_evaluated_unpickled_or_run_in_a_shell() -> None:
    forbidden = {"eval", "exec", "compile", "system", "popen", "loads_pickle", "unsafe_load", "full_load", "mktemp"}
    for path in (*BOT.rglob("*.py"), *GENERATOR.rglob("*.py")):
        for call in calls(ast.parse(path.read_text("utf-8"))):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            assert name not in forbidden, f"{path.name}:{call.lineno}"
            assert not any(word.arg == "shell" for word in call.keywords), f"{path.name}:{call.lineno}"
            if isinstance(call.func, ast.Attribute):
                owner = ast.unparse(call.func.value)
                assert owner not in ("pickle", "marshal", "shelve"), f"{path.name}:{call.lineno}"
                assert (owner, call.func.attr) not in {("os", "system"), ("os", "popen"), ("yaml", "load")}


def test_programs_are_run_in_few_places_and_never_with_words_of_a_person() -> None:
    users = {
        path.relative_to(folder.parent).as_posix()
        for folder in (BOT, GENERATOR)
        for path in folder.rglob("*.py")
        if any(
            isinstance(node, ast.Import) and any(item.name == "subprocess" for item in node.names)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    }
    assert users == {"generator/images/sandbox.py", "bot/doctor/machine.py"}
