//! Whether a database treats two names as the same.

/// Whether two names may be the same to a database: SQLite ignores the case of ASCII letters,
/// PostgreSQL compares the first 63 bytes.
pub(crate) fn may_be_same(one: &str, other: &str) -> bool {
    let short = |name: &str| name.as_bytes()[..name.len().min(63)].to_ascii_lowercase();
    short(one) == short(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_database_takes_for_one_are_the_same() {
        let long = "x".repeat(63);
        assert!(may_be_same("Tenant_ID", "tenant_id"));
        assert!(may_be_same(&long, &format!("{long}é")));
        assert!(!may_be_same("tenant", "tenant_id"));
        assert!(!may_be_same("É", "é"));
    }
}
