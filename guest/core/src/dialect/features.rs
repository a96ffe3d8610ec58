//! How the databases differ, as data.

/// What one database has and another has not.
#[derive(Debug)]
pub(crate) struct Features {
    /// Enums are types of their own. Else they are checked texts.
    pub(crate) enums: bool,
    /// Decimals are numbers. Else they are texts under a collation of the driver's.
    pub(crate) decimals: bool,
    /// Arrays are values, and a batch can be bound as arrays. Else they are JSON.
    pub(crate) arrays: bool,
    /// Intervals compare.
    pub(crate) intervals: bool,
    /// Documents compare, and can be searched. Else they are texts.
    pub(crate) documents: bool,
    /// Numbers of fewer than 64 bits are calculated in as few.
    pub(crate) narrow_numbers: bool,
    /// Sums and averages of integers are decimals.
    pub(crate) decimal_aggregates: bool,
    /// Texts of a limited length are types of their own. Else they are checked.
    pub(crate) limited_texts: bool,
    /// An exact comparison cannot use the indexes of its column.
    pub(crate) exact_without_index: bool,
    /// `row.name` is a function of the row where the row has no such column.
    pub(crate) row_functions: bool,
    /// Rows inside of another select can be ordered and grouped by its fields.
    pub(crate) outer_sorting: bool,
    /// Unions and their like stand in parentheses inside of others.
    pub(crate) nested_sets: bool,
    /// The columns of a recursive table have the types of its first rows to the letter: those of
    /// what is added are not widened.
    pub(crate) exact_recursion: bool,
    /// What an update computes of its own table is of the rows as they were before.
    pub(crate) unchanged_meanwhile: bool,
    /// Single rows can be locked. Else a transaction that reads is alone with what it read: if
    /// another one writes, its own writes fail with `busy`.
    pub(crate) row_locks: bool,
    /// Tables lie in schemas.
    pub(crate) schemas: bool,
    /// Constraints can be added to a table, and must be if they refer to a later one.
    pub(crate) added_constraints: bool,
    /// Tables have comments.
    pub(crate) comments: bool,
    /// Names that differ in the case of their letters only are the same.
    pub(crate) folded_names: bool,
}

pub(super) const SQLITE: Features = Features {
    enums: false,
    decimals: false,
    arrays: false,
    intervals: false,
    documents: false,
    narrow_numbers: false,
    decimal_aggregates: false,
    limited_texts: false,
    exact_without_index: false,
    row_functions: false,
    outer_sorting: false,
    nested_sets: false,
    exact_recursion: false,
    unchanged_meanwhile: false,
    row_locks: false,
    schemas: false,
    added_constraints: false,
    comments: false,
    folded_names: true,
};

pub(super) const POSTGRES: Features = Features {
    enums: true,
    decimals: true,
    arrays: true,
    intervals: true,
    documents: true,
    narrow_numbers: true,
    decimal_aggregates: true,
    limited_texts: true,
    exact_without_index: true,
    row_functions: true,
    outer_sorting: true,
    nested_sets: true,
    exact_recursion: true,
    unchanged_meanwhile: true,
    row_locks: true,
    schemas: true,
    added_constraints: true,
    comments: true,
    folded_names: false,
};
