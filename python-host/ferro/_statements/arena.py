"""The arena of a query: its expressions and selects in the WIT's form, referred to by index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..exceptions import InvalidQuery, ValueOutOfRange
from .shape import ITSELF, count_of_values

if TYPE_CHECKING:
    from .._expressions.expression import Shape
    from .._tables.table import Table

Parameter = tuple[str, str, bool]
"""Its name in errors, its kind, and whether it takes a list."""

_DEEPEST = 200
"""Deeper conditions are rejected here, long before Python's own limit; the core's is lower."""


class Frame:
    """The rows that expressions refer to: those of a select, or of a relation."""

    def __init__(self, table: Table, depth: int = 0) -> None:
        self.table = table
        self.model = table.model_name
        self.joined: dict[Table, str] = {}
        """The joined common tables, and their names."""
        self.depth = depth
        """The depth in the whole query at which its expressions begin."""
        self.groups: list[int] = []
        self.listed: list[int] = []
        self.grouped: dict[Shape, int] = {}
        """The expressions that rows are grouped by; in the outputs, they are the same nodes."""
        self.windows = False
        """Whether window functions are allowed here."""


class Arena:
    """The lists of a query, whose entries refer to earlier ones."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.model = table.model_name
        self.frames = [Frame(table)]
        """The enclosing frames, and the current one at the end."""
        self.nodes: list[Any] = []
        self.selects: list[Any] = []
        self.parameters: list[Parameter] = []
        self.common: list[Any] = []
        self.known: dict[Table, str] = {}
        """The names of common tables that can be shared."""
        self.names: set[str] = set()
        """The names that are taken by common tables."""

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def node(self, node: Any) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def field(self, name: str, path: tuple[str, ...] = (), outer: int = 0) -> int:
        return self.node({"field": {"outer": outer, "relations": list(path), "field": name}})

    def parameter(self, name: str, kind: str, many: bool) -> int:
        index = len(self.parameters)
        self.parameters.append((name, kind, many))
        return self.node({"parameter": {"index": index, "kind": kind, "many": many}})

    def value_of(self, field: str) -> int:
        """Add a parameter of a field's type."""
        return self.parameter(*self.described(field))

    def described(self, field: str) -> Parameter:
        """The parameter of a field's type."""
        column = self.table.columns[field]
        return f"{self.table.label}.{field}", column.kind, column.many

    def check(self, root: Table, outer: int = 0) -> None:
        """Reject a field of another model, which may have the same name."""
        if outer >= len(self.frames):
            raise InvalidQuery(
                f"`ferro.outer` refers to a field of `{root.model_name}` in an outer query, but "
                "there is none: use it inside another query"
            )
        if _has(self.frames[-1 - outer].table, root):
            return
        model = self.frames[-1 - outer].table.model_name
        if outer:
            raise InvalidQuery(
                f"`ferro.outer` refers to a field of `{root.model_name}`, but the outer rows are "
                f"those of `{model}`"
            )
        around = any(_has(it.table, root) or root in it.joined for it in self.frames)
        way = f"use `ferro.outer({root.model_name}.…)`" if around else "reach it through a relation"
        raise InvalidQuery(
            f"a field of `{root.model_name}` in a query of `{model}`: name one of `{model}`, or "
            f"{way}"
        )

    def crossed(self, path: tuple[str, ...], root: Table, outer: int = 0) -> tuple[str, ...]:
        """The relations that a path crosses, or the name of a joined common table."""
        here = outer < len(self.frames)
        joined = self.frames[-1 - outer].joined.get(root) if here else None
        if joined is None:
            self.check(root, outer)
            return path
        return (joined, *path)

    def at(self, relations: Iterable[str]) -> Table:
        """The table at the end of a path of relations."""
        table = self.frame.table
        for name in relations:
            table = table.relation(name).target
        return table

    def expression(self, shape: Any, depth: int | None = None) -> int:
        frame = self.frame
        depth = frame.depth if depth is None else depth
        if depth > _DEEPEST:
            raise InvalidQuery(f"a condition has at most {_DEEPEST} levels")
        deeper = depth + 1
        if frame.grouped and shape in frame.grouped:
            return frame.grouped[shape]
        match shape:
            case ("field", path, name, root):
                return self.field(name, self.crossed(path, root))
            case ("outer", int(levels), path, name, root):
                return self.field(name, self.crossed(path, root, levels), levels)
            case ("parameter", name, kind, many):
                return self.parameter(name, kind, many)
            case ("group", int(number)):
                return frame.groups[number]
            case ("listed", int(number)):
                return frame.listed[number]
            case ("excluded", name, root):
                self.check(root)
                return self.node({"excluded": name})
            case ("star",):
                return self.node({"literal": "star"})
            case ("unary", operator, operand):
                return self.node({"unary": [operator, self.expression(operand, deeper)]})
            case ("binary", operator, left, right):
                operands = [self.expression(it, deeper) for it in (left, right)]
                return self.node({"binary": [operator, *operands]})
            case ("between", *operands):
                return self.node({"between": [self.expression(it, deeper) for it in operands]})
            case (("all" | "any") as name, *conditions):
                nodes = [self.expression(it, deeper) for it in conditions]
                return self.node({f"{name}-of": nodes})
            case ("call", name, *arguments):
                nodes = [self.expression(it, deeper) for it in arguments]
                return self.node({"call": {"name": name, "arguments": nodes}})
            case ("literal", "null"):
                return self.node({"literal": "null"})
            case ("literal", kind, value):
                if kind == "integer" and not -(2**63) <= value < 2**63:
                    raise ValueOutOfRange("a number in a query is an int of at most 64 bits")
                return self.node({"literal": {kind: value}})
            case ("cast", operand, kind):
                return self.node({"cast": [self.expression(operand, deeper), kind]})
            case ("case", *branches, otherwise):
                listed = [
                    {"when": self.expression(when, deeper), "then": self.expression(then, deeper)}
                    for when, then in branches
                ]
                rest = None if otherwise is None else self.expression(otherwise, deeper)
                return self.node({"case": {"branches": listed, "otherwise": rest}})
            case ("aggregate", function, argument, distinct, filter):
                with self.windows_are(False):
                    node = {"function": function, "argument": self.expression(argument, deeper)}
                    inner = None if filter is None else self.expression(filter, deeper)
                return self.node({"aggregate": {**node, "distinct": distinct, "filter": inner}})
            case ("string-agg", argument, separator, order, filter):
                with self.windows_are(False):
                    node = {"function": "string-agg", "argument": self.expression(argument, deeper)}
                    node["separator"] = self.expression(separator, deeper)
                    node["order-by"] = self.order(order, deeper)
                    inner = None if filter is None else self.expression(filter, deeper)
                return self.node({"aggregate": {**node, "distinct": False, "filter": inner}})
            case ("array-agg", argument, order, distinct, filter):
                with self.windows_are(False):
                    value = self.expression(argument, deeper)
                    node = {"function": "array-agg", "argument": value}
                    # Distinct values must be ordered by themselves: by the same node.
                    node["order-by"] = self.order(order, deeper, value if distinct else None)
                    inner = None if filter is None else self.expression(filter, deeper)
                return self.node({"aggregate": {**node, "distinct": distinct, "filter": inner}})
            case ("window", function, arguments, partition, order, rows):
                if not frame.windows:
                    raise InvalidQuery(
                        "a window function is computed after the rows are chosen: it can only be "
                        "used in `values` and `order_by`, and not in another one or an "
                        "aggregate. To use it in a condition, query a common table with it, "
                        "`query.cte()`"
                    )
                with self.windows_are(False):
                    node = {
                        "function": function,
                        "arguments": [self.expression(it, deeper) for it in arguments],
                        "partition-by": [self.expression(it, deeper) for it in partition],
                        "order-by": self.order(order, deeper),
                    }
                if rows is not None:
                    unit, (start, end) = rows
                    node["frame"] = {"unit": unit, "start": start, "end": end}
                return self.node({"window": node})
            case ("json", document, steps, kind):
                node = {"document": self.expression(document, deeper), "steps": list(steps)}
                return self.node({"json": {**node, "kind": kind}})
            case ("json-change", document, steps, part):
                node = {"document": self.expression(document, deeper), "steps": list(steps)}
                value = None if part is None else self.expression(part, deeper)
                return self.node({"json-change": {**node, "value": value}})
            case ("related", quantifier, relations, condition, root):
                self.check(root)
                inner = None
                if condition is not None:
                    # Inside, the fields are another model's.
                    self.frames.append(Frame(self.at(relations), deeper))
                    inner = self.expression(condition)
                    self.frames.pop()
                node = {"quantifier": quantifier, "relations": list(relations)}
                return self.node({"related": {**node, "condition": inner}})
            case ("subquery", select, int(limit)):
                one = self.node({"literal": {"integer": limit}})
                return self.node({"subquery": self.inner(select, deeper, limit=one)})
            case ("exists", select):
                return self.node({"exists": self.inner(select, deeper)})
            case ("in-select", operand, select):
                value = self.expression(operand, deeper)
                return self.node({"in-select": [value, self.inner(select, deeper)]})
        raise InvalidQuery(f"there is no expression `{shape[0]}`")

    def order(self, terms: Shape, depth: int | None = None, itself: int | None = None) -> list[Any]:
        return [
            {
                "expression": self.expression(it, depth) if itself is None else itself,
                "descending": descending,
                "nulls": nulls,
            }
            for it, descending, nulls in terms
        ]

    @contextmanager
    def windows_are(self, allowed: bool) -> Iterator[None]:
        frame = self.frame
        before, frame.windows = frame.windows, allowed
        yield
        frame.windows = before

    def optional(self, shape: Shape | None) -> int | None:
        return None if shape is None else self.expression(shape)

    def select(self, **parts: Any) -> int:
        model = self.frame.model
        self.selects.append({"model": model, "projection": "model", "distinct": "no"} | parts)
        return len(self.selects) - 1

    def inner(self, select: Shape, depth: int, **parts: Any) -> int:
        """A nested select, with some of its parts replaced."""
        if depth > _DEEPEST:
            raise InvalidQuery(f"a query has at most {_DEEPEST} levels")
        _, table, rows = select
        # Calls between two levels count too, since Python's stack is the limit.
        self.frames.append(Frame(table, depth + 3))
        number = self.rows(rows, **parts)
        self.frames.pop()
        return number

    def rows(self, rows: Shape, **parts: Any) -> int:
        """A select; `parts` replace some of its own."""
        if rows[0] != "combined":
            return self.select(**{**self.parts(rows), **parts})
        _, rows, others = rows
        own = self.parts(rows)
        combined = [[operator, self.beside(select)] for operator, select in others]
        return self.select(**{**own, "combined": combined, **parts})

    def beside(self, select: Shape) -> int:
        """A select that is combined with the current one, with the same enclosing rows."""
        here = self.frames.pop()
        number = self.inner(select, here.depth)
        self.frames.append(here)
        return number

    def parts(self, rows: Shape) -> dict[str, Any]:
        frame = self.frame
        if frame.table.definition is not None:
            frame.model = self.named(frame.table)
        joins = []
        if rows[0] == "joined":
            _, rows, joined = rows
            for _, table, on in joined:
                frame.joined[table] = self.named(table)
                joins.append({"table": frame.joined[table], "on": self.expression(on)})
        outputs, distinct, filter, group, having, order, limit, offset, lock = rows
        frame.groups = [self.expression(it) for it in group]
        # Different values have the same shape, so only expressions without values can be
        # recognized.
        plain = zip(group, frame.groups, strict=True)
        frame.grouped = {it: node for it, node in plain if not count_of_values(it)}
        projection: Any = "model"
        if outputs is not None:
            with self.windows_are(True):
                frame.listed = [self.expression(it) for _, it in outputs]
            named = zip(outputs, frame.listed, strict=True)
            projection = {"outputs": [{"name": name, "expression": it} for (name, _), it in named]}
        chosen = {
            "distinct": self.distinct(distinct),
            "filter": self.optional(filter),
            "having": self.optional(having),
        }
        with self.windows_are(True):
            ordered = self.order(order)
        return {
            "projection": projection,
            "group-by": frame.groups,
            **chosen,
            **({"joins": joins} if joins else {}),
            "order-by": ordered,
            "limit": self.optional(limit),
            "offset": self.optional(offset),
            "lock": None if lock is None else {"strength": lock[0], "wait": lock[1]},
        }

    def named(self, table: Table) -> str:
        """Add a common table, and return its name. A table with parameters is added once per
        reader, as the values may differ.
        """
        known = self.known.get(table)
        if known is not None:
            return known
        assert table.definition is not None, "asked before"
        label, rows, step = table.definition
        if step == ITSELF:
            raise InvalidQuery(
                f"common table `{label}` is not complete in `recursive`: use what `cte` returns"
            )
        # It is added before the enclosing rows are considered.
        frames, self.frames = self.frames, []
        depth = frames[-1].depth
        added: dict[str, Any] = {"rows": self.inner(rows, depth)}
        name: str = label
        number = 1
        while name in self.names:
            number += 1
            name = f"{label} {number}"
        self.names.add(name)
        if step:
            operator, itself, further = step
            self.known[itself] = name
            added["step"] = [operator, self.inner(further, depth)]
            del self.known[itself]
        self.common.append({"name": name, **added})
        self.frames = frames
        if not table.takes:
            self.known[table] = name
        return name

    def distinct(self, distinct: bool | Shape) -> Any:
        if isinstance(distinct, bool):
            return "rows" if distinct else "no"
        return {"on": [self.expression(it) for it in distinct]}

    def equal(self, field: str, value: int) -> int:
        return self.node({"binary": ["equal", self.field(field), value]})

    def row_with_key(self, version: str | None) -> int:
        """The select of one row; the next parameters are its key and its version."""
        names = [it.name for it in self.table.keys]
        names += [] if version is None else [version]
        equal = [self.equal(name, self.value_of(name)) for name in names]
        return self.select(filter=equal[0] if len(equal) == 1 else self.node({"all-of": equal}))


def _has(table: Table, root: Table) -> bool:
    """Whether a model has the fields of another one."""
    if table.definition is not None or root.definition is not None:
        return table is root
    # A class may have been defined again; and a model has the fields of its base classes.
    return root.place == table.place or issubclass(table.model, root.model)
