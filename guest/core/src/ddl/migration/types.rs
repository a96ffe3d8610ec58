//! Which types hold all values of which others, and how one becomes another.

use ferro_wit::plan::Risk;
use ferro_wit::schema::DecimalSize;
use ferro_wit::types::Dialect;

/// What changing a column's type on PostgreSQL may cost. A value that is not one of an enum's makes
/// it fail, as one that breaks a check does.
pub(super) fn risk(from: &str, to: &str, is_enum: bool) -> Risk {
    if is_enum || widens(from, to) { Risk::Blocking } else { Risk::Destructive }
}

/// A value of one type of PostgreSQL as what a column of another takes, in SQL. Where there may be no
/// cast between them, there is one by way of a text.
pub(super) fn cast(value: &str, from: &str, to: &str) -> String {
    let to = match split(to) {
        // A cast would cut off what is too long, but a column refuses it.
        ("character varying", Some(_)) if !widens(from, to) => "text",
        _ => to,
    };
    match (family(from), family(to)) {
        (Family::Array, Family::Json) => return format!("CAST(to_jsonb({value}) AS {to})"),
        (Family::Json, Family::Array) => return format!("CAST({} AS {to})", elements(value)),
        _ => {}
    }
    if (from, to) == ("bigint", "boolean") {
        // By way of an integer, large ones would fail.
        return format!("{value} <> 0");
    }
    let between = between(from, to);
    let value = between.map_or_else(|| value.to_owned(), |it| format!("CAST({value} AS {it})"));
    format!("CAST({value} AS {to})")
}

/// The type by way of which one becomes another, where there may be no cast between them.
fn between(from: &str, to: &str) -> Option<String> {
    if let (Some(from), Some(to)) = (from.strip_suffix("[]"), to.strip_suffix("[]")) {
        return between(from, to).map(|it| format!("{it}[]"));
    }
    let between = match (family(from), family(to)) {
        (Family::Text, _) | (_, Family::Text) => None,
        (Family::Number, Family::Boolean) | (Family::Boolean, Family::Number) => Some("integer"),
        (Family::Array | Family::Other, _) => Some("text"),
        (one, other) => (one != other).then_some("text"),
    };
    between.map(str::to_owned)
}

/// The elements of a document as an array of texts; an error, if it is no array of plain values. The
/// type of a column is not changed with a subquery, so `jsonb_array_elements` is of no use. But a
/// record takes a document's arrays for its fields, and `pg_class` has a field of this type.
fn elements(document: &str) -> String {
    let document = format!("CAST({document} AS jsonb)");
    // A strict path is an error where there are no elements.
    let nested = r#"'strict $[*] ? (@.type() == "array" || @.type() == "object")'"#;
    format!(
        "CASE WHEN jsonb_path_exists({document}, {nested}) \
         THEN CAST(CAST({document} AS text) AS text[]) \
         ELSE (jsonb_populate_record(CAST(NULL AS pg_catalog.pg_class), \
         jsonb_build_object('reloptions', {document}))).reloptions END"
    )
}

/// Whether operators that take values of one type of PostgreSQL take those of another.
pub(super) fn are_alike(from: &str, to: &str) -> bool {
    from == to || family(from) == family(to) && !matches!(family(to), Family::Array | Family::Other)
}

#[derive(PartialEq)]
enum Family {
    Text,
    Number,
    Boolean,
    Date,
    Json,
    Array,
    Other,
}

fn family(kind: &str) -> Family {
    match split(kind).0 {
        "text" | "character varying" => Family::Text,
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => {
            Family::Number
        }
        "boolean" => Family::Boolean,
        "date" | "timestamp without time zone" | "timestamp with time zone" => Family::Date,
        "json" | "jsonb" => Family::Json,
        it if it.ends_with("[]") => Family::Array,
        _ => Family::Other,
    }
}

/// Whether a column, by the type that a model gives it, can refer to one that is there. Of other types
/// than those of models, such as domains, the database decides.
pub(super) fn can_refer(dialect: Dialect, from: &str, to: &str) -> bool {
    match dialect {
        Dialect::Postgres => {
            let from = match split(from).0 {
                "varchar" => "text",
                "timestamp" | "timestamptz" => "date",
                "time" => "time without time zone",
                it => it,
            };
            let is_known = |it: &str| {
                let others = ["uuid", "bytea", "interval", "time without time zone"];
                family(it) != Family::Other || others.contains(&it)
            };
            let same = from == to || family(from) == family(to) && family(to) != Family::Other;
            same || !is_known(from) || !is_known(to)
        }
        Dialect::Sqlite => {
            let families = sqlite_family(from).zip(sqlite_family(to));
            families.is_none_or(|(from, to)| from == to)
        }
    }
}

/// What SQLite compares alike, of the types that Ferro declares and of those that others do.
fn sqlite_family(kind: &str) -> Option<String> {
    let name = split(kind).0.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|it| name.contains(it));
    let family = match name.as_str() {
        "BOOLEAN" | "UUID" | "BLOB" => &name,
        it if it.ends_with("_TEXT") => it,
        _ if has(&["CHAR", "CLOB", "TEXT"]) => "TEXT",
        _ if has(&["INT"]) => "INTEGER",
        _ if has(&["REAL", "FLOA", "DOUB"]) => "REAL",
        _ => return None,
    };
    Some(family.to_owned())
}

/// Whether SQLite keeps every value as it is, and as one that the driver reads, where a column of
/// one declared type gets another. Digits that look like a number become one in a column of numbers.
pub(super) fn keeps(from: &str, to: &str) -> bool {
    let name = |kind: &str| {
        let name = kind.split(['(', ' ']).next().unwrap_or_default();
        name.to_ascii_uppercase()
    };
    let (from_size, to_size) = (split(from).1, split(to).1);
    let (from, to) = (name(from), name(to));
    let is_integer = from.contains("INT") && !from.contains("TEXT") || from == "BOOLEAN";
    let is_text = ["CHAR", "CLOB", "TEXT"].iter().any(|it| from.contains(it));
    match to.as_str() {
        "DECIMAL_TEXT" if to_size.is_some() => from == to && holds(to_size, from_size),
        "VARCHAR" if to_size.is_some() => {
            is_text && !from.ends_with("_TEXT") && is_as_long(to_size, from_size)
        }
        _ if from == to => true,
        "TEXT" | "VARCHAR" => is_text || is_integer && from != "BOOLEAN",
        "DECIMAL_TEXT" | "SMALLINT" | "INTEGER" | "BIGINT" => is_integer,
        "REAL" | "DOUBLE" => ["REAL", "FLOA", "DOUB"].iter().any(|it| from.contains(it)),
        "BOOLEAN" => from == "BOOL",
        "JSON_TEXT" => {
            // What a document has otherwise than an array.
            let others = ["BOOLEAN", "FLOAT", "DECIMAL", "UUID", "BLOB"];
            from.ends_with("ARRAY_TEXT") && !others.iter().any(|it| from.starts_with(it))
        }
        // Before it named the type of its elements.
        _ if to.ends_with("_ARRAY_TEXT") => from == "ARRAY_TEXT",
        _ => false,
    }
}

/// Whether every value has a form of its own where a column of SQLite gets another type, so that
/// nothing is lost as it is converted.
pub(super) fn converts(from: &str, to: &str) -> bool {
    let (from, to) = (split(from).0.to_ascii_uppercase(), to.to_ascii_uppercase());
    match to.as_str() {
        "TEXT" => ["BOOLEAN", "REAL", "DOUBLE", "BLOB", "UUID"].contains(&from.as_str()),
        "TIMESTAMP_TEXT" | "TIMESTAMPTZ_TEXT" => from == "DATE_TEXT",
        "JSON_TEXT" => from.ends_with("_ARRAY_TEXT"),
        _ => false,
    }
}

/// Whether two declared types of SQLite are the same but for their sizes.
pub(super) fn differ_in_size(from: &str, to: &str) -> bool {
    split(from).0.eq_ignore_ascii_case(split(to).0)
}

/// Whether every value of one type is one of another, or has a form of its own there. The types are
/// named as `format_type` does.
pub(super) fn widens(from: &str, to: &str) -> bool {
    let ((from, from_size), (to, to_size)) = (split(from), split(to));
    match (from, to) {
        (_, "text") => true,
        ("character varying", "character varying") => is_as_long(to_size, from_size),
        ("numeric", "numeric") => holds(to_size, from_size),
        ("smallint" | "integer" | "bigint" | "boolean", "numeric") => to_size.is_none(),
        ("boolean", "smallint" | "integer" | "bigint") => true,
        (_, "jsonb") if from.ends_with("[]") => true,
        ("smallint", "integer" | "bigint" | "real" | "double precision")
        | ("integer", "bigint" | "double precision")
        | ("real", "double precision")
        | ("date", "timestamp without time zone" | "timestamp with time zone")
        | ("json", "jsonb") => true,
        _ => false,
    }
}

/// Whether texts of one length can be as long as those of another.
fn is_as_long(length: Size, other: Size) -> bool {
    match (other, length) {
        (_, None) => true,
        (Some(from), Some(to)) => from.0 <= to.0,
        (None, Some(_)) => false,
    }
}

/// Whether decimals of one size have all digits of those of another.
fn holds(size: Size, other: Size) -> bool {
    match (other, size) {
        (_, None) => true,
        (Some(from), Some(to)) => from.1 <= to.1 && from.0 - from.1 <= to.0 - to.1,
        (None, Some(_)) => false,
    }
}

/// The size of decimals on SQLite, where a column keeps what it is given.
pub(super) fn decimal_size(kind: &str) -> Option<DecimalSize> {
    let (precision, scale) = split(kind).1.filter(|_| kind.starts_with("DECIMAL_TEXT"))?;
    Some(DecimalSize { precision: precision.try_into().ok()?, scale: scale.try_into().ok()? })
}

/// Digits in all, and after the point.
type Size = Option<(i32, i32)>;

/// A type's name, and what stands in parentheses: a length, or digits in all and after the point.
fn split(kind: &str) -> (&str, Size) {
    let Some((name, size)) = kind.strip_suffix(')').and_then(|it| it.split_once('(')) else {
        return (kind, None);
    };
    let mut numbers = size.split(',').map(|it| it.trim().parse().unwrap_or_default());
    let first = numbers.next().unwrap_or_default();
    (name, Some((first, numbers.next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use ferro_wit::types::Dialect;

    use super::{can_refer, cast, keeps, widens};

    #[test]
    fn a_type_widens_if_no_value_is_lost() {
        for (from, to) in [
            ("smallint", "bigint"),
            ("integer", "double precision"),
            ("bigint", "numeric"),
            ("numeric(10,2)", "numeric(12,3)"),
            ("numeric(10,2)", "numeric"),
            ("character varying(20)", "character varying(30)"),
            ("character varying(20)", "text"),
            ("uuid", "text"),
            ("boolean", "smallint"),
            ("boolean", "numeric"),
            ("uuid[]", "jsonb"),
        ] {
            assert!(widens(from, to), "{from} to {to}");
        }
        for (from, to) in [
            ("bigint", "integer"),
            ("bigint", "double precision"),
            ("numeric", "numeric(12,3)"),
            ("numeric(10,2)", "numeric(10,3)"),
            ("character varying(30)", "character varying(20)"),
            ("text", "character varying(20)"),
            ("text", "integer"),
            ("timestamp with time zone", "date"),
            ("boolean", "numeric(4,1)"),
            ("jsonb", "text[]"),
        ] {
            assert!(!widens(from, to), "{from} to {to}");
        }
    }

    #[test]
    fn a_value_goes_to_any_type_by_way_of_another() {
        assert_eq!(cast("a", "integer", "bigint"), "CAST(a AS bigint)");
        assert_eq!(cast("a", "boolean", "bigint"), "CAST(CAST(a AS integer) AS bigint)");
        assert_eq!(cast("a", "integer", "uuid"), "CAST(CAST(a AS text) AS uuid)");
        assert_eq!(cast("a", "mood", "other"), "CAST(CAST(a AS text) AS other)");
        assert_eq!(cast("a", "uuid", "character varying"), "CAST(a AS character varying)");
        assert_eq!(cast("a", "numeric[]", "bigint[]"), "CAST(a AS bigint[])");
        assert_eq!(cast("a", "boolean[]", "bigint[]"), "CAST(CAST(a AS integer[]) AS bigint[])");
    }

    #[test]
    fn a_text_is_not_cut_off() {
        let longer = cast("a", "character varying(8)", "character varying(9)");
        assert_eq!(longer, "CAST(a AS character varying(9))");
        for from in ["text", "character varying(10)", "uuid", "bigint"] {
            assert_eq!(cast("a", from, "character varying(9)"), "CAST(a AS text)");
        }
    }

    #[test]
    fn what_a_column_may_refer_to_is_refused_only_if_that_is_certain() {
        for (from, to) in [
            ("varchar(9)", "text"),
            ("text", "character(2)"),
            ("text", "country"),
            ("bigint", "positive"),
            ("time", "time(3) without time zone"),
            ("timestamptz", "timestamp(3) with time zone"),
            ("integer", "numeric"),
        ] {
            assert!(can_refer(Dialect::Postgres, from, to), "{from} to {to}");
        }
        for (from, to) in [("text", "uuid"), ("bigint", "text"), ("uuid", "bigint")] {
            assert!(!can_refer(Dialect::Postgres, from, to), "{from} to {to}");
        }
    }

    #[test]
    fn sqlite_keeps_what_its_affinities_do_not_change() {
        for (from, to) in [
            ("VARCHAR(8)", "varchar(9)"),
            ("VARCHAR(9)", "TEXT"),
            ("integer", "BIGINT"),
            ("BIGINT", "TEXT"),
            ("DATE_TEXT", "TEXT"),
            ("FLOAT", "DOUBLE"),
            ("INT", "DECIMAL_TEXT"),
            ("DECIMAL_TEXT(8,3)", "DECIMAL_TEXT(9,4)"),
            ("DECIMAL_TEXT(8,3)", "DECIMAL_TEXT"),
            ("ARRAY_TEXT", "INTEGER_ARRAY_TEXT"),
            ("INTEGER_ARRAY_TEXT", "JSON_TEXT"),
            ("INTEGER_ARRAY_TEXT", "TEXT"),
        ] {
            assert!(keeps(from, to), "{from} to {to}");
        }
        for (from, to) in [
            ("TEXT", "INTEGER"),
            ("BIGINT", "DOUBLE"),
            ("DOUBLE", "TEXT"),
            ("NUMERIC", "DECIMAL_TEXT"),
            ("TEXT", "DATE_TEXT"),
            ("TEXT", "VARCHAR(9)"),
            ("VARCHAR(10)", "VARCHAR(9)"),
            ("BIGINT", "VARCHAR(9)"),
            ("DECIMAL_TEXT(4,1)", "VARCHAR(9)"),
            ("INT", "DECIMAL_TEXT(8,3)"),
            ("DECIMAL_TEXT(8,3)", "DECIMAL_TEXT(8,4)"),
            ("DECIMAL_TEXT", "DECIMAL_TEXT(8,3)"),
            ("", "INTEGER"),
            ("BOOLEAN", "TEXT"),
            ("INTERVAL_TEXT", "BIGINT"),
            ("INTERVAL_TEXT", "DECIMAL_TEXT"),
            ("INTEGER_ARRAY_TEXT", "TEXT_ARRAY_TEXT"),
            ("BOOLEAN_ARRAY_TEXT", "JSON_TEXT"),
            ("JSON_TEXT", "TEXT_ARRAY_TEXT"),
        ] {
            assert!(!keeps(from, to), "{from} to {to}");
        }
    }
}
