"""Names from other ORMs and Ferro's equivalents, for error messages."""

from __future__ import annotations

import re

WORDS = {
    "aggregate": "values(name=lambda it: it.field.sum())",
    "alias": "values(name=…)",
    "annotate": "with_values(name=lambda it: it.relation.count())",
    "difference": "except_(query)",
    "exclude": "where(~(…))",
    "filter": "where(…)",
    "filter_by": "where(…)",
    "intersection": "intersect(query)",
    "iterator": "stream()",
    "last": 'order_by("-field").first()',
    "objects": "where(…)",
    "only": 'values("field")',
    "options": 'include("relation")',
    "prefetch_related": 'include("relation")',
    "query": "where(…)",
    "scalar": "one()",
    "scalars": "all()",
    "select_related": 'include("relation")',
    "values_list": 'column("field")',
}
"""Methods of queries."""

NAMES = {
    "Meta": 'table="…", uniques=[…], indexes=[…], checks=[…]',
    "__table_args__": "uniques=[…], indexes=[…], checks=[…]",
    "__tablename__": 'table="…"',
}
"""Declarations in class bodies, and the class options that replace them here."""

LOOKUPS = {
    "contains": ".contains(…)",
    "endswith": ".endswith(…)",
    "exact": " == …",
    "gt": " > …",
    "gte": " >= …",
    "icontains": '.ilike("%…%")',
    "iendswith": '.ilike("%…")',
    "iexact": '.ilike("…")',
    "in": ".in_(…)",
    "isnull": ".is_null()",
    "istartswith": '.ilike("…%")',
    "lt": " < …",
    "lte": " <= …",
    "startswith": ".startswith(…)",
}
"""The suffixes of fields in Django's lookups."""


def driver_in(url: str) -> str | None:
    """The driver that a URL of SQLAlchemy names.

    Example:
        >>> driver_in("postgresql+asyncpg://host/app"), driver_in("sqlite+aiosqlite:///app.db")
        ('asyncpg', 'aiosqlite')
        >>> driver_in("postgresql://user:a+b:c@host/app")
    """
    found = re.match(r"(?:sqlite|postgres(?:ql)?)\+(\w{1,20}):", url)
    return found and found[1]


def lookup(name: str) -> str:
    """Ferro's condition for a Django lookup, such as `age__gte` in `age__gte=18`.

    Example:
        >>> lookup("age__gte")
        'lambda it: it.age >= …'
        >>> lookup("author__name__icontains")
        'lambda it: it.author.name.ilike("%…%")'
        >>> lookup("author__name")
        'lambda it: it.author.name == …'
    """
    *path, last = name.split("__")
    if last not in LOOKUPS:
        path.append(last)
    return f"lambda it: it.{'.'.join(path)}{LOOKUPS.get(last, ' == …')}"
