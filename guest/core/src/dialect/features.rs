//! Differences between the databases, as data.

/// What one database has and the other lacks.
#[derive(Debug)]
pub(crate) struct Features {
    /// Enums are native types. Otherwise, they are texts with a check.
    pub(crate) enums: bool,
    /// Decimals are numbers. Otherwise, they are texts with a collation of the driver.
    pub(crate) decimals: bool,
    /// Arrays are values, and a batch can be bound as arrays. Otherwise, they are JSON.
    pub(crate) arrays: bool,
    /// Intervals can be compared.
    pub(crate) intervals: bool,
    /// JSON documents can be compared and searched. Otherwise, they are texts.
    pub(crate) documents: bool,
    /// Arithmetic with numbers of fewer than 64 bits has no more bits than these.
    pub(crate) narrow_numbers: bool,
    /// Sums and averages of integers are decimals.
    pub(crate) decimal_aggregates: bool,
    /// Texts of limited length are native types. Otherwise, they have a check.
    pub(crate) limited_texts: bool,
    /// An exact comparison cannot use the indexes of its column.
    pub(crate) exact_without_index: bool,
    /// `row.name` calls a function with the row if it has no such column.
    pub(crate) row_functions: bool,
    /// A subquery can be ordered and grouped by fields of the enclosing select.
    pub(crate) outer_sorting: bool,
    /// Unions and similar operations can be nested in parentheses.
    pub(crate) nested_sets: bool,
    /// The columns of a recursive table have exactly the types of its first rows: the types of
    /// added rows are not widened.
    pub(crate) exact_recursion: bool,
    /// Subqueries of an update see the rows of its own table as they were before the update.
    pub(crate) unchanged_meanwhile: bool,
    /// Single rows can be locked. Otherwise, nobody else can change what a transaction has read and
    /// then commit its own writes: they fail with `busy`.
    pub(crate) row_locks: bool,
    /// Tables are in schemas.
    pub(crate) schemas: bool,
    /// Constraints can be added to an existing table; a foreign key to a later table requires this.
    pub(crate) added_constraints: bool,
    /// Tables can have comments.
    pub(crate) comments: bool,
    /// Names that differ only in case are the same.
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
