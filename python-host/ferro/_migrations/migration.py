"""Migrations: the steps from the tables of a database to the models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .. import _native

Risk = Literal["safe", "blocking", "destructive"]


@dataclass(frozen=True)
class MigrationStep:
    """One statement of a migration.

    `risk` is "safe" if it loses nothing and holds no lock for long; "blocking" if it may lock a
    table while reading or rewriting all of it, fail because of a row, or remove a name that running
    programs use; "destructive" if it loses data, or drops a rule that someone else may have added.
    `reason` says why it is not safe.

    Example:
        >>> import ferro
        >>> ferro.MigrationStep("CREATE TABLE t (n integer)", "create table `t`", "safe").risk
        'safe'
    """

    sql: str
    description: str
    risk: Risk
    reason: str | None = None


@dataclass(frozen=True)
class Migration:
    """The result of a migration. `str(migration)` is its script.

    Example:
        >>> import ferro
        >>> step = ferro.MigrationStep("DROP TABLE t", "drop table `t`", "destructive", "rows go")
        >>> ferro.Migration(applied=(), left=(step,)).left[0].risk
        'destructive'
    """

    applied: tuple[MigrationStep, ...]
    """The steps that were applied, in order."""
    left: tuple[MigrationStep, ...]
    """The steps that were not applied, in order."""
    script: str = field(default="", repr=False, compare=False)
    """The remaining steps as an SQL script, for `sqlite3` or `psql`; applied steps are comments."""

    def __str__(self) -> str:
        return self.script


async def migrate_database(
    databases: _native.Databases,
    label: str,
    models: _native.Models,
    risk: Risk | None,
    reviewed: str | None = None,
) -> Migration:
    """Migrate a database to some models; without a risk, only return the steps. With a `reviewed`
    script, do nothing if it differs from the script of all steps.
    """
    applied, left, script = await databases.migrate(label, models, risk, reviewed)
    return Migration(_steps(applied), _steps(left), script)


def _steps(steps: list[tuple[Any, ...]]) -> tuple[MigrationStep, ...]:
    return tuple(MigrationStep(*step) for step in steps)
