//! How functions are written: templates in which `{0}` and so on stand for the arguments.
//!
//! On SQLite, dates and times are texts of fixed length, so their parts are at fixed positions:
//! `YYYY-MM-DD`, `HH:MM:SS.ffffff`, both separated by a space, and these followed by `+00:00`.

use ferro_wit::query::NodeRef;
use ferro_wit::types::{Dialect, ScalarType};

use crate::functions::{DatePart, Function};

/// How a call is written, by the type of its first argument.
pub(crate) fn template(
    dialect: Dialect,
    function: Function,
    kind: ScalarType,
    arguments: &[NodeRef],
) -> &'static str {
    use Function as F;
    match (function, dialect) {
        (F::Lower, _) => "lower({0})",
        (F::Upper, _) => "upper({0})",
        (F::Trim, _) => "trim({0})",
        (F::TrimStart, _) => "ltrim({0})",
        (F::TrimEnd, _) => "rtrim({0})",
        (F::Length, _) => "length({0})",
        (F::Substring, _) if arguments.len() == 2 => "substr({0}, {1})",
        (F::Substring, _) => "substr({0}, {1}, {2})",
        (F::Left, _) => "substr({0}, 1, {1})",
        // Without a length, it would return a longer text than allowed for a negative start.
        (F::Right, Dialect::Sqlite) => "substr({0}, -{1}, {1})",
        (F::Right, Dialect::Postgres) => "right({0}, {1})",
        (F::Position, Dialect::Sqlite) => "instr({0}, {1})",
        (F::Position, Dialect::Postgres) => "strpos({0}, {1})",
        // Repeated replacements could exhaust the memory, so the call fails if the result may be
        // too long. SQLite's own function returns the text if there is nothing to replace, even if
        // the replacement is null. PostgreSQL evaluates constant expressions before it checks the
        // condition.
        (F::Replace, Dialect::Sqlite) => {
            "CASE WHEN length({0}) * length({2}) > 16000000 THEN abs(-9223372036854775808) \
             WHEN {2} IS NOT NULL THEN replace({0}, {1}, {2}) END"
        }
        (F::Replace, Dialect::Postgres) => {
            "CASE WHEN CAST(length({0}) AS bigint) * length({2}) > 16000000 THEN \
             CAST(9223372036854775807 + (length({0}) + length({2})) AS text) ELSE replace({0}, {1}, {2}) END"
        }
        // NaN is stored as a text, which compares greater than all numbers.
        (F::Abs, Dialect::Sqlite) if kind == ScalarType::Float => "max({0}, -{0})",
        (F::Abs, Dialect::Sqlite) if kind == ScalarType::Decimal => "ferro_abs({0})",
        (F::Abs, _) => "abs({0})",
        (F::Round, Dialect::Sqlite) if kind == ScalarType::Decimal && arguments.len() == 1 => {
            "ferro_round({0}, 0)"
        }
        (F::Round, Dialect::Sqlite) if kind == ScalarType::Decimal => "ferro_round({0}, {1})",
        (F::Floor, Dialect::Sqlite) if kind == ScalarType::Decimal => "ferro_floor({0})",
        (F::Ceiling, Dialect::Sqlite) if kind == ScalarType::Decimal => "ferro_ceiling({0})",
        // Floats from 2^53 on are integers, and NaN, a text, compares greater. SQLite's `round`
        // adds a half, which may round up a number just below a half.
        (F::Round, Dialect::Sqlite) => {
            "CASE WHEN {0} BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST(CAST({0} AS \
             INTEGER) + ({0} - CAST({0} AS INTEGER) >= 0.5) - ({0} - CAST({0} AS INTEGER) <= -0.5) \
             AS REAL) ELSE {0} END"
        }
        (F::Floor, Dialect::Sqlite) => {
            "CASE WHEN {0} BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST(CAST({0} AS \
             INTEGER) - ({0} < CAST({0} AS INTEGER)) AS REAL) ELSE {0} END"
        }
        (F::Ceiling, Dialect::Sqlite) => {
            "CASE WHEN {0} BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST(CAST({0} AS \
             INTEGER) + ({0} > CAST({0} AS INTEGER)) AS REAL) ELSE {0} END"
        }
        (F::Round, Dialect::Postgres) if arguments.len() == 2 => "round({0}, {1})",
        (F::Round, Dialect::Postgres) if kind == ScalarType::Decimal => "round({0})",
        // PostgreSQL's `round` of a float rounds halves to even, and a numeric converted from a
        // float has only 15 digits.
        (F::Round, Dialect::Postgres) => {
            "(trunc({0}) + CASE WHEN abs({0} - trunc({0})) >= 0.5 THEN sign({0}) ELSE 0 END)"
        }
        (F::Floor, Dialect::Postgres) => "floor({0})",
        (F::Ceiling, Dialect::Postgres) => "ceil({0})",
        // It takes any number of arguments, and is written separately.
        (F::Coalesce, _) => "coalesce({0})",
        (F::NullIf, _) => "nullif({0}, {1})",
        (F::Part(part), Dialect::Sqlite) => sqlite_part(part, kind),
        (F::Part(part), Dialect::Postgres) => postgres_part(part, kind),
        (F::Truncate(part), Dialect::Sqlite) => sqlite_truncation(part, kind),
        (F::Truncate(part), Dialect::Postgres) => postgres_truncation(part, kind),
        (F::DaysBetween, Dialect::Sqlite) => "CAST(julianday({0}) - julianday({1}) AS INTEGER)",
        (F::DaysBetween, Dialect::Postgres) => "CAST({0} - {1} AS bigint)",
        (F::MicrosecondsBetween, Dialect::Sqlite) => {
            "((unixepoch(substr({0}, 1, 19)) - unixepoch(substr({1}, 1, 19))) * 1000000 + \
             CAST(substr({0}, 21, 6) AS INTEGER) - CAST(substr({1}, 21, 6) AS INTEGER))"
        }
        (F::MicrosecondsBetween, Dialect::Postgres) => {
            "CAST(EXTRACT(EPOCH FROM {0} - {1}) * 1000000 AS bigint)"
        }
    }
}

/// How a cast is written that is not just a `CAST`.
pub(crate) fn cast(dialect: Dialect, from: ScalarType, to: ScalarType) -> Option<&'static str> {
    use Dialect as D;
    use ScalarType as S;
    Some(match (from, to, dialect) {
        // Truncates towards zero; both databases would handle numbers differently that are too
        // large.
        (S::Float, S::Integer, D::Sqlite) => {
            "CASE WHEN {0} >= -9223372036854775808.0 AND {0} < 9223372036854775808.0 THEN \
             CAST({0} AS INTEGER) END"
        }
        (S::Float, S::Integer, D::Postgres) => {
            "CASE WHEN {0} >= -9223372036854775808.0 AND {0} < 9223372036854775808.0 THEN \
             CAST(trunc({0}) AS bigint) END"
        }
        // The column itself would still compare and sort like a number.
        (S::Decimal, S::Text, D::Sqlite) => "({0} || '')",
        // SQLite would read these texts as 0.
        (S::Decimal, S::Float, D::Sqlite) => {
            "CASE {0} WHEN 'NaN' THEN 'NaN' WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999 \
             ELSE CAST({0} AS REAL) END"
        }
        // PostgreSQL casts booleans only to 32-bit integers.
        (S::Boolean, S::Integer, D::Postgres) => "CAST(CAST({0} AS integer) AS bigint)",
        (S::Date, S::Timestamp, D::Sqlite) => "({0} || ' 00:00:00.000000')",
        (S::Date, S::Timestamptz, D::Sqlite) => "({0} || ' 00:00:00.000000+00:00')",
        (S::Timestamp, S::Timestamptz, D::Sqlite) => "({0} || '+00:00')",
        (S::Timestamptz, S::Timestamp, D::Sqlite) => "substr({0}, 1, 26)",
        (S::Timestamp | S::Timestamptz, S::Date, D::Sqlite) => "substr({0}, 1, 10)",
        (S::Timestamp | S::Timestamptz, S::Time, D::Sqlite) => "substr({0}, 12, 15)",
        (S::Date, S::Timestamptz, D::Postgres) => "(CAST({0} AS timestamp) AT TIME ZONE 'UTC')",
        (S::Timestamp, S::Timestamptz, D::Postgres)
        | (S::Timestamptz, S::Timestamp, D::Postgres) => "({0} AT TIME ZONE 'UTC')",
        (S::Timestamptz, S::Date, D::Postgres) => "CAST({0} AT TIME ZONE 'UTC' AS date)",
        (S::Timestamptz, S::Time, D::Postgres) => "CAST({0} AT TIME ZONE 'UTC' AS time)",
        _ => return None,
    })
}

fn sqlite_part(part: DatePart, kind: ScalarType) -> &'static str {
    match (part, kind) {
        (DatePart::Year, _) => "CAST(substr({0}, 1, 4) AS INTEGER)",
        (DatePart::IsoYear, _) => "CAST(strftime('%G', substr({0}, 1, 10)) AS INTEGER)",
        (DatePart::Quarter, _) => "((CAST(substr({0}, 6, 2) AS INTEGER) + 2) / 3)",
        (DatePart::Month, _) => "CAST(substr({0}, 6, 2) AS INTEGER)",
        (DatePart::Week, _) => "CAST(strftime('%V', substr({0}, 1, 10)) AS INTEGER)",
        (DatePart::Day, _) => "CAST(substr({0}, 9, 2) AS INTEGER)",
        (DatePart::Weekday, _) => "CAST(strftime('%u', substr({0}, 1, 10)) AS INTEGER)",
        (DatePart::DayOfYear, _) => "CAST(strftime('%j', substr({0}, 1, 10)) AS INTEGER)",
        (DatePart::Hour, ScalarType::Time) => "CAST(substr({0}, 1, 2) AS INTEGER)",
        (DatePart::Minute, ScalarType::Time) => "CAST(substr({0}, 4, 2) AS INTEGER)",
        (DatePart::Second, ScalarType::Time) => "CAST(substr({0}, 7, 2) AS INTEGER)",
        (DatePart::Hour, _) => "CAST(substr({0}, 12, 2) AS INTEGER)",
        (DatePart::Minute, _) => "CAST(substr({0}, 15, 2) AS INTEGER)",
        (DatePart::Second, _) => "CAST(substr({0}, 18, 2) AS INTEGER)",
    }
}

fn postgres_part(part: DatePart, kind: ScalarType) -> &'static str {
    // The parts of an instant depend on a session setting, unless a time zone is given.
    match (part, kind == ScalarType::Timestamptz) {
        (DatePart::Year, false) => "CAST(EXTRACT(YEAR FROM {0}) AS bigint)",
        (DatePart::IsoYear, false) => "CAST(EXTRACT(ISOYEAR FROM {0}) AS bigint)",
        (DatePart::Quarter, false) => "CAST(EXTRACT(QUARTER FROM {0}) AS bigint)",
        (DatePart::Month, false) => "CAST(EXTRACT(MONTH FROM {0}) AS bigint)",
        (DatePart::Week, false) => "CAST(EXTRACT(WEEK FROM {0}) AS bigint)",
        (DatePart::Day, false) => "CAST(EXTRACT(DAY FROM {0}) AS bigint)",
        (DatePart::Weekday, false) => "CAST(EXTRACT(ISODOW FROM {0}) AS bigint)",
        (DatePart::DayOfYear, false) => "CAST(EXTRACT(DOY FROM {0}) AS bigint)",
        (DatePart::Hour, false) => "CAST(EXTRACT(HOUR FROM {0}) AS bigint)",
        (DatePart::Minute, false) => "CAST(EXTRACT(MINUTE FROM {0}) AS bigint)",
        (DatePart::Second, false) => "CAST(trunc(EXTRACT(SECOND FROM {0})) AS bigint)",
        (DatePart::Year, true) => "CAST(EXTRACT(YEAR FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::IsoYear, true) => "CAST(EXTRACT(ISOYEAR FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Quarter, true) => "CAST(EXTRACT(QUARTER FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Week, true) => "CAST(EXTRACT(WEEK FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Month, true) => "CAST(EXTRACT(MONTH FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Day, true) => "CAST(EXTRACT(DAY FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Weekday, true) => "CAST(EXTRACT(ISODOW FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::DayOfYear, true) => "CAST(EXTRACT(DOY FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Hour, true) => "CAST(EXTRACT(HOUR FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Minute, true) => "CAST(EXTRACT(MINUTE FROM {0} AT TIME ZONE 'UTC') AS bigint)",
        (DatePart::Second, true) => {
            "CAST(trunc(EXTRACT(SECOND FROM {0} AT TIME ZONE 'UTC')) AS bigint)"
        }
    }
}

fn sqlite_truncation(part: DatePart, kind: ScalarType) -> &'static str {
    match (part, kind) {
        (DatePart::Year, ScalarType::Date) => "(substr({0}, 1, 4) || '-01-01')",
        (DatePart::Quarter, ScalarType::Date) => {
            "(substr({0}, 1, 5) || substr('01040710', (CAST(substr({0}, 6, 2) AS INTEGER) - 1) / 3 * 2 \
             + 1, 2) || '-01')"
        }
        // The next Monday, or the day itself if it is one, six days earlier.
        (DatePart::Week, ScalarType::Date) => "date({0}, '-6 days', 'weekday 1')",
        (_, ScalarType::Date) => "(substr({0}, 1, 7) || '-01')",
        (DatePart::Quarter, _) => {
            "(substr({0}, 1, 5) || substr('01040710', (CAST(substr({0}, 6, 2) AS INTEGER) - 1) / 3 * 2 \
             + 1, 2) || '-01 00:00:00.000000' || substr({0}, 27))"
        }
        (DatePart::Week, _) => {
            "(date(substr({0}, 1, 10), '-6 days', 'weekday 1') || ' 00:00:00.000000' || \
             substr({0}, 27))"
        }
        (DatePart::Year, _) => "(substr({0}, 1, 4) || '-01-01 00:00:00.000000' || substr({0}, 27))",
        (DatePart::Month, _) => "(substr({0}, 1, 7) || '-01 00:00:00.000000' || substr({0}, 27))",
        (DatePart::Hour, _) => "(substr({0}, 1, 13) || ':00:00.000000' || substr({0}, 27))",
        (DatePart::Minute, _) => "(substr({0}, 1, 16) || ':00.000000' || substr({0}, 27))",
        (DatePart::Second, _) => "(substr({0}, 1, 19) || '.000000' || substr({0}, 27))",
        (DatePart::Day | DatePart::IsoYear | DatePart::Weekday | DatePart::DayOfYear, _) => {
            "(substr({0}, 1, 10) || ' 00:00:00.000000' || substr({0}, 27))"
        }
    }
}

fn postgres_truncation(part: DatePart, kind: ScalarType) -> &'static str {
    match (part, kind) {
        (DatePart::Year, ScalarType::Date) => {
            "CAST(date_trunc('year', CAST({0} AS timestamp)) AS date)"
        }
        (DatePart::Quarter, ScalarType::Date) => {
            "CAST(date_trunc('quarter', CAST({0} AS timestamp)) AS date)"
        }
        (DatePart::Week, ScalarType::Date) => {
            "CAST(date_trunc('week', CAST({0} AS timestamp)) AS date)"
        }
        (_, ScalarType::Date) => "CAST(date_trunc('month', CAST({0} AS timestamp)) AS date)",
        (DatePart::Year, ScalarType::Timestamptz) => "date_trunc('year', {0}, 'UTC')",
        (DatePart::Quarter, ScalarType::Timestamptz) => "date_trunc('quarter', {0}, 'UTC')",
        (DatePart::Month, ScalarType::Timestamptz) => "date_trunc('month', {0}, 'UTC')",
        (DatePart::Week, ScalarType::Timestamptz) => "date_trunc('week', {0}, 'UTC')",
        (DatePart::Hour, ScalarType::Timestamptz) => "date_trunc('hour', {0}, 'UTC')",
        (DatePart::Minute, ScalarType::Timestamptz) => "date_trunc('minute', {0}, 'UTC')",
        (DatePart::Second, ScalarType::Timestamptz) => "date_trunc('second', {0}, 'UTC')",
        (_, ScalarType::Timestamptz) => "date_trunc('day', {0}, 'UTC')",
        (DatePart::Year, _) => "date_trunc('year', {0})",
        (DatePart::Quarter, _) => "date_trunc('quarter', {0})",
        (DatePart::Month, _) => "date_trunc('month', {0})",
        (DatePart::Week, _) => "date_trunc('week', {0})",
        (DatePart::Hour, _) => "date_trunc('hour', {0})",
        (DatePart::Minute, _) => "date_trunc('minute', {0})",
        (DatePart::Second, _) => "date_trunc('second', {0})",
        _ => "date_trunc('day', {0})",
    }
}
