"""What a migration is: from the tables of a database to what the models say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from . import _native

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
    """What became of a migration. Its text is a script of SQL, with what was applied as comments.

    Example:
        >>> import ferro
        >>> step = ferro.MigrationStep("DROP TABLE t", "drop table", "destructive", "rows go")
        >>> print(ferro.Migration(applied=(), left=(step,)))
        -- drop table
        --   destructive: rows go
        DROP TABLE t;
    """

    applied: tuple[MigrationStep, ...]
    """The steps that were applied, in order."""
    left: tuple[MigrationStep, ...]
    """The steps that were not, in order."""

    def __str__(self) -> str:
        lines = [f"-- applied: {step.description}" for step in self.applied]
        for step in self.left:
            lines.append(f"-- {step.description}")
            if step.reason is not None:
                lines.append(f"--   {step.risk}: {step.reason}")
            lines.append(f"{step.sql};")
        return "\n".join(lines)


async def migrate_database(
    databases: _native.Databases, label: str, models: _native.Models, risk: Risk | None
) -> Migration:
    """Give a database what some models say; without a risk, only say what would be done."""
    applied, left = await databases.migrate(label, models, risk)
    return Migration(_steps(applied), _steps(left))


def _steps(steps: list[tuple[Any, ...]]) -> tuple[MigrationStep, ...]:
    return tuple(MigrationStep(*step) for step in steps)
