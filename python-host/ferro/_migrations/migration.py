"""What a migration is: from the tables of a database to what the models say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .. import _native

Risk = Literal["safe", "blocking", "destructive"]


@dataclass(frozen=True)
class MigrationStep:
    """One statement of a migration.

    `risk` is "safe" if it loses nothing and holds no lock for long; "blocking" if it may lock a
    table while all of it is read or written anew, fail because of a row, or take away a name that
    running programs use; "destructive" if it loses data, or drops a rule that somebody else may
    have made. `reason` says why it is not safe.

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
    """What became of a migration. Its text is its script.

    Example:
        >>> import ferro
        >>> step = ferro.MigrationStep("DROP TABLE t", "drop table `t`", "destructive", "rows go")
        >>> ferro.Migration(applied=(), left=(step,)).left[0].risk
        'destructive'
    """

    applied: tuple[MigrationStep, ...]
    """The steps that were applied, in order."""
    left: tuple[MigrationStep, ...]
    """The steps that were not, in order."""
    script: str = field(default="", repr=False, compare=False)
    """What is left as a script of SQL, for `sqlite3` or `psql`; what was applied is a comment."""

    def __str__(self) -> str:
        return self.script


async def migrate_database(
    databases: _native.Databases,
    label: str,
    models: _native.Models,
    risk: Risk | None,
    reviewed: str | None = None,
) -> Migration:
    """Give a database what some models say; without a risk, only say what would be done. With a
    script that was reviewed, nothing is done if that of all steps is another.
    """
    applied, left, script = await databases.migrate(label, models, risk, reviewed)
    return Migration(_steps(applied), _steps(left), script)


def _steps(steps: list[tuple[Any, ...]]) -> tuple[MigrationStep, ...]:
    return tuple(MigrationStep(*step) for step in steps)
