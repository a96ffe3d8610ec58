//! Migrations as scripts.

use std::fmt::Write as _;

use ferro_wit::escape_line;
use ferro_wit::plan::{MigrationStep, Risk};
use ferro_wit::types::Dialect;

use super::migration::{Migration, changes_no_rows};

/// Compares the number of dangling references before and after; if there are more, the check fails,
/// and everything is rolled back.
const COUNT_ORPHANS: &str = r#"
-- count dangling references, as foreign keys are not enforced meanwhile
CREATE TEMP TABLE "ferro orphans" AS
  SELECT "table" AS child, parent, count(*) AS number FROM pragma_foreign_key_check GROUP BY 1, 2;
"#;

const CHECK_ORPHANS: &str = r#"
-- fail if there are more dangling references now
CREATE TEMP TABLE "ferro check" (child, CONSTRAINT "a row refers to none" CHECK (child IS NULL));
INSERT INTO "ferro check" SELECT "table" FROM pragma_foreign_key_check AS found GROUP BY "table", parent
  HAVING count(*) > coalesce((SELECT number FROM "ferro orphans" AS former
    WHERE former.child = found."table" AND former.parent = found.parent), 0);
DROP TABLE temp."ferro check";
DROP TABLE temp."ferro orphans";
"#;

impl Migration {
    /// The remaining steps as an SQL script for the database's shell, `sqlite3` or `psql`. Applied
    /// steps are comments.
    ///
    /// It does the same as [`Database::migrate`](crate::Database::migrate): all steps run in one
    /// transaction, except those that may not run in one, which come first; on SQLite, foreign keys
    /// are off, and checked at the end. On PostgreSQL, an error ends the transaction. On SQLite, it
    /// ends the shell, because of `.bail on`; other programs do not support this command, and must
    /// stop at an error themselves.
    #[must_use]
    pub fn script(&self) -> String {
        let Self { dialect, applied, left } = self;
        let mut script = String::new();
        for step in applied {
            let _ = writeln!(script, "-- applied: {}", escape_line(&step.description));
        }
        if left.is_empty() {
            if applied.is_empty() {
                script.push_str("-- nothing to do: the database matches the models\n");
            }
            return script;
        }
        let (steps, alone): (Vec<_>, Vec<_>) = left.iter().partition(|it| it.transactional);
        for step in alone {
            write_step(&mut script, step);
        }
        match dialect {
            _ if steps.is_empty() => {}
            Dialect::Postgres => {
                script.push_str("BEGIN;\n");
                steps.iter().for_each(|step| write_step(&mut script, step));
                script.push_str("COMMIT;\n");
            }
            Dialect::Sqlite => write_sqlite(&mut script, &steps),
        }
        script
    }
}

fn write_sqlite(script: &mut String, steps: &[&MigrationStep]) {
    if steps.iter().any(|it| it.sql.contains("ferro_")) {
        script.push_str(
            "-- some of it needs functions and collations that only Ferro's own connections have\n",
        );
    }
    // Safe steps only add, so foreign keys may stay on.
    let relaxed = steps.iter().any(|it| it.risk > Risk::Safe);
    script.push_str(".bail on\n");
    if relaxed {
        script.push_str("PRAGMA foreign_keys = OFF;\n");
    }
    script.push_str("BEGIN IMMEDIATE;\n");
    // Dangling references are counted after tables have been renamed.
    let names = steps.iter().take_while(|it| changes_no_rows(it)).count();
    let (names, rest) = steps.split_at(names);
    names.iter().for_each(|step| write_step(script, step));
    let checked = relaxed && !rest.is_empty();
    if checked {
        script.push_str(COUNT_ORPHANS.trim_start());
    }
    rest.iter().for_each(|step| write_step(script, step));
    if checked {
        script.push_str(CHECK_ORPHANS.trim_start());
    }
    script.push_str("COMMIT;\n");
    if relaxed {
        script.push_str("PRAGMA foreign_keys = ON;\n");
    }
}

fn write_step(script: &mut String, step: &MigrationStep) {
    let _ = writeln!(script, "-- {}", escape_line(&step.description));
    if let Some(reason) = &step.reason {
        let risk = match step.risk {
            Risk::Safe => "safe",
            Risk::Blocking => "blocking",
            Risk::Destructive => "destructive",
        };
        let _ = writeln!(script, "--   {risk}: {}", escape_line(reason));
    }
    // SQL from users may end in a comment.
    let last = step.sql.lines().last().unwrap_or_default();
    let end = if last.contains("--") { "\n;" } else { ";" };
    let _ = writeln!(script, "{}{end}", step.sql);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(sql: &str, risk: Risk, transactional: bool) -> MigrationStep {
        let reason = (risk > Risk::Safe).then(|| "a reason\n.shell x".to_owned());
        let (sql, description) = (sql.to_owned(), "what it does\nDROP".to_owned());
        MigrationStep { sql, description, risk, reason, transactional }
    }

    #[test]
    fn what_may_not_run_in_a_transaction_comes_first() {
        let left = vec![
            step("CREATE TABLE a (n integer)", Risk::Safe, true),
            step("ALTER TYPE e ADD VALUE 'x'", Risk::Safe, false),
            step("DROP TABLE b -- gone", Risk::Destructive, true),
        ];
        let migration = Migration { dialect: Dialect::Postgres, applied: vec![], left };
        assert_eq!(
            migration.script(),
            "-- what it does\\nDROP\nALTER TYPE e ADD VALUE 'x';\n\
             BEGIN;\n\
             -- what it does\\nDROP\nCREATE TABLE a (n integer);\n\
             -- what it does\\nDROP\n--   destructive: a reason\\n.shell x\n\
             DROP TABLE b -- gone\n;\n\
             COMMIT;\n"
        );
    }

    #[test]
    fn what_was_applied_is_a_comment() {
        let applied = vec![step("CREATE TABLE a (n)", Risk::Safe, true)];
        let mut migration = Migration { dialect: Dialect::Sqlite, applied, left: vec![] };
        assert_eq!(migration.script(), "-- applied: what it does\\nDROP\n");
        migration.left.append(&mut migration.applied);
        assert_eq!(
            migration.script(),
            ".bail on\nBEGIN IMMEDIATE;\n-- what it does\\nDROP\nCREATE TABLE a (n);\nCOMMIT;\n"
        );
    }
}
