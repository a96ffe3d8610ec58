//! Which names are allowed: the limits of the databases, and names that models must not use.

/// The maximum length of a name in bytes: PostgreSQL silently truncates longer ones.
pub(crate) const MAX_NAME_BYTES: usize = 63;

/// What is wrong with a name, as a predicate.
pub(crate) fn fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".into());
    }
    if name.len() > MAX_NAME_BYTES {
        return Some(format!("is longer than {MAX_NAME_BYTES} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Some("contains a control character".into());
    }
    None
}

/// Whether a table of this name belongs to the database, or is one of its table functions.
pub(super) fn is_system_table(name: &str) -> bool {
    const FUNCTIONS: [&str; 7] =
        ["bytecode", "dbstat", "generate_series", "json_each", "json_tree", "stmt", "tables_used"];
    let name = fold(name);
    ["sqlite_", "pg_", "pragma_", "jsonb_each", "jsonb_tree", "fts3", "fts4", "fts5"]
        .iter()
        .any(|it| name.starts_with(it))
        || FUNCTIONS.contains(&name.as_str())
}

/// Whether a schema of this name belongs to the database.
pub(super) fn is_system_namespace(name: &str) -> bool {
    let name = fold(name);
    name.starts_with("pg_") || name == "information_schema"
}

/// Whether every table has a hidden column of this name.
pub(super) fn is_system_column(name: &str) -> bool {
    const HIDDEN: [&str; 9] =
        ["cmax", "cmin", "ctid", "oid", "rowid", "_rowid_", "tableoid", "xmax", "xmin"];
    HIDDEN.contains(&fold(name).as_str())
}

/// Whether PostgreSQL would read this name as a type of its own: those of its catalog, its array
/// types, which begin with `_`, and reserved names.
pub(super) fn is_system_type(name: &str) -> bool {
    const TYPES: &str = "\
        aclitem any anyarray anycompatible anycompatiblearray anycompatiblemultirange \
        anycompatiblenonarray anycompatiblerange anyelement anyenum anymultirange anynonarray \
        anyrange bit bool box bpchar bytea char cid cidr circle cstring date datemultirange \
        daterange event_trigger fdw_handler float4 float8 gtsvector index_am_handler inet int2 \
        int2vector int4 int4multirange int4range int8 int8multirange int8range internal \
        interval json jsonb jsonpath language_handler line lseg macaddr macaddr8 money name \
        numeric nummultirange numrange oid oidvector path point polygon record refcursor \
        regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc \
        regprocedure regrole regtype table_am_handler text tid time timestamp timestamptz \
        timetz trigger tsm_handler tsmultirange tsquery tsrange tstzmultirange tstzrange \
        tsvector txid_snapshot unknown uuid varbit varchar void xid xid8 xml";
    let name = fold(name);
    name.starts_with('_') || name.starts_with("pg_") || TYPES.split(' ').any(|it| it == name)
}

/// A name as SQLite compares it: ASCII letters in lower case.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// A generated name, shortened to the limit of the databases. A hash replaces the part that is cut
/// off.
pub(crate) fn shorten(name: String) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name;
    }
    let mut end = MAX_NAME_BYTES - 17;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{:016x}", &name[..end], hash(name.as_bytes()))
}

/// FNV-1a, which is the same on every platform and in every release, as required for names in a
/// database.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters_and_stay_apart() {
        let one = shorten("é".repeat(60) + "a");
        let other = shorten("é".repeat(60) + "b");
        assert!(one.len() <= MAX_NAME_BYTES && other.len() <= MAX_NAME_BYTES);
        assert_ne!(one, other);
        assert_eq!(shorten("short".into()), "short");
    }

    #[test]
    fn t10_system_names_are_known_in_any_case() {
        assert!(is_system_table("SQLite_master") && is_system_table("pg_class"));
        assert!(is_system_table("pragma_table_info") && is_system_table("JSON_EACH"));
        assert!(is_system_namespace("Information_Schema") && is_system_namespace("pg_catalog"));
        assert!(is_system_column("ctid") && is_system_column("RowID"));
        assert!(is_system_type("Text") && is_system_type("regclass"));
        assert!(!is_system_table("page") && !is_system_column("id"));
        assert!(!is_system_type("mood") && !is_system_type("region"));
    }
}
