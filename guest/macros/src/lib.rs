//! The macros of `ferro`: `derive(Model)`, `derive(Row)`, `derive(Enum)`, `plugin!` and `exports`.

#![forbid(unsafe_code)]

mod attributes;
mod enumeration;
mod exports;
mod model;
mod plugin;
mod row;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, parse_macro_input};

/// Makes a struct the model of a table: each field a column, each value a row.
///
/// It implements `ferro::Model`, adds a function for each field that returns its column
/// (`City::name()`), and, if the database fills in some of the fields, a struct `New…` without
/// them: a generated key is left out, a field with a `default` becomes an `Option` whose `None`
/// asks for the default.
///
/// ```
/// use ferro::prelude::*;
/// use ferro::values::Timestamptz;
///
/// #[derive(Model, Debug, Clone)]
/// pub struct Author {
///     #[ferro(key, generated)]
///     pub id: i64,
///     #[ferro(length = 80, unique)]
///     pub name: String,
/// }
///
/// #[derive(Model, Debug, Clone)]
/// #[ferro(table = "posts", index(author_id, written))]
/// pub struct Post {
///     #[ferro(key, generated)]
///     pub id: i64,
///     #[ferro(references = Author, reverse = "posts", on_delete = cascade)]
///     pub author_id: i64,
///     pub title: String,
///     #[ferro(default = now)]
///     pub written: Timestamptz,
/// }
///
/// let _ = Post::query().filter(Post::title().ilike("%wasm%")).order_by(Post::written().desc());
/// let _ = NewPost { author_id: 1, title: "Hello".into(), written: None };
/// assert_eq!(Post::schema().foreign_keys[0].name, "author");
/// ```
///
/// # Attributes of the struct, in `#[ferro(…)]`
///
/// | attribute | meaning |
/// | --- | --- |
/// | `table = "cities"` | the table's name; otherwise made from the model's |
/// | `name = "Town"` | the model's name; otherwise the struct's |
/// | `namespace = "geo"` | the schema of PostgreSQL |
/// | `index(a, b)`, `unique(a, b)` | an index over several fields |
/// | `unique(a, b where CONDITION)` | only over rows for which the condition holds |
/// | `index(by_date: a, b)` | with a name of its own in the database |
/// | `check(CONDITION)`, `check(positive: CONDITION)` | what has to hold for each row; the name is that of the constraint in errors |
/// | `comment = "…"` | kept with the table on PostgreSQL |
/// | `many_to_many(tags: Tag)` | a relation over a table of pairs; `through = PostTag` names the model of that table, `reverse = "posts"` the way back |
/// | `renamed_from = "Town"` | the model's former name, for migrations |
///
/// A condition compares fields with constants or with other fields of the model, in the syntax of
/// Rust: `price > 0`, `price <= list_price && !hidden`, `state.in_([State::Open, State::Done])`,
/// `retired.is_none()`, with `&&`, `||` and parentheses. Enums take `==`, `!=` and `in_`, as the
/// databases order them differently. It is data and not SQL, and values of a wrong type do not compile:
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// #[ferro(check(affordable: price > 0 && price <= list_price))]
/// #[ferro(unique(name where !retired))]
/// pub struct Product {
///     #[ferro(key, generated)]
///     pub id: i64,
///     pub name: String,
///     pub price: i64,
///     pub list_price: i64,
///     pub retired: bool,
/// }
///
/// assert_eq!(Product::schema().checks[0].name.as_deref(), Some("affordable"));
/// assert!(Product::schema().indexes[0].condition.is_some());
/// ```
///
/// # Attributes of a field
///
/// | attribute | meaning |
/// | --- | --- |
/// | `key` | the primary key, or a part of it; a model has one |
/// | `generated` | with `key`: the database counts up |
/// | `version` | counts the changes of a row, so that one to a row that others have changed is refused |
/// | `unique`, `index` | a unique constraint, an index |
/// | `column = "nom"` | the column's name; otherwise the field's |
/// | `length = 64` | the largest number of characters of a `String` |
/// | `precision = 12, scale = 2` | the size of a `Decimal` |
/// | `sql_type = "smallint"` | another column type than the usual: `smallint`, `integer`, `bigint`, `real`, `double precision`, `numeric`, `numeric(12, 2)`, `text`, `varchar(20)`; an enum as `text` has no type of its own |
/// | `default = 0`, `default = now`, `default = random_uuid` | what the database puts where an insert says nothing |
/// | `default_with = new_token` | a function, or a closure, that makes the value where an insert says nothing; the database has no default |
/// | `references = Country` | a foreign key to the key of a model, or of `Self` |
/// | `relation = "country"` | the name of that relation, and of the function that returns its path; otherwise the field's, without `_id` or with `_ref` |
/// | `reverse = "cities"` | the name of the way back, and of the function that the other model gets; that model has to be of the same crate |
/// | `on_delete = cascade`, `on_update = …` | `cascade`, `restrict`, `set_null`, `set_default` or `no_action` |
/// | `renamed_from = "nom"` | the field's former name, for migrations |
#[proc_macro_derive(Model, attributes(ferro))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    model::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct what the rows of a query can become, column by column.
///
/// It implements `ferro::Row` and adds a struct `Select…` with the same fields, to say which
/// expression becomes which field. Their types have to be the same. Each field gets a function that
/// returns its column, as `Country::cities()`, for tables that are made of such rows: see
/// `ferro::common`.
///
/// ```
/// use ferro::count;
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// struct City {
///     #[ferro(key)]
///     id: i64,
///     country: String,
///     population: i64,
/// }
///
/// #[derive(ferro::Row, Debug, PartialEq)]
/// struct Country {
///     code: String,
///     cities: i64,
///     largest: Option<i64>,
/// }
///
/// async fn countries(db: &ferro::Session) -> Result<Vec<Country>, ferro::Error> {
///     City::query()
///         .group_by(City::country())
///         .select(SelectCountry {
///             code: City::country(),
///             cities: count(),
///             largest: City::population().max(),
///         })
///         .all(db)
///         .await
/// }
/// # let _ = countries;
/// ```
#[proc_macro_derive(Row)]
pub fn derive_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    row::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum without data the type of a field: a native enum on PostgreSQL, a checked text on
/// SQLite.
///
/// Its values are stored under the names of the variants in snake case, or as
/// `#[ferro(value = "…")]` says; the type has the name of the enum in snake case, or the one of
/// `#[ferro(name = "…")]`.
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
/// #[ferro(name = "task_state")]
/// enum State {
///     Open,
///     InProgress,
///     #[ferro(value = "closed")]
///     Done,
/// }
///
/// #[derive(Model, Debug, Clone)]
/// struct Task {
///     #[ferro(key)]
///     id: i64,
///     state: State,
/// }
///
/// let _ = Task::query().filter(Task::state().in_([State::Open, State::InProgress]));
/// let schema = ferro::schema![Task];
/// assert_eq!(schema.enums[0].values, ["open", "in_progress", "closed"]);
/// ```
#[proc_macro_derive(Enum, attributes(ferro))]
pub fn derive_enum(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    enumeration::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a crate a plugin: the bindings of its world, and the description of its models.
///
/// ```ignore
/// ferro::plugin! {
///     world: "atlas",
///     models: [Country, City],
/// }
/// ```
///
/// The world is in the folder `wit` beside the crate's `Cargo.toml` and says
/// `include ferro:orm/plugin@0.1.0;`. The macro makes a module `bindings` with the types of the
/// world and the traits of its exports, and a struct `Plugin` to implement them for: see
/// [`macro@exports`].
///
/// On `wasm32-unknown-unknown` it also sets the global allocator, which starts with the memory that
/// the linker reserves. Link with `-Clink-arg=--initial-heap=262144`, as this workspace does in
/// `.cargo/config.toml`: a call that needs no more spares the host growing it.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as plugin::Plugin);
    input.expand().unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Lets the exports of a plugin be `async`: each runs to its end with `ferro::run`.
///
/// ```ignore
/// #[ferro::exports]
/// impl bindings::Guest for Plugin {
///     async fn top_cities(country: String, limit: u32) -> Result<Vec<bindings::Place>, ferro::Error> {
///         let db = ferro::Session::open("atlas")?;
///         // …
///     }
/// }
/// ```
///
/// Such a function returns a `Result` whose error can be made from a `ferro::Error`.
#[proc_macro_attribute]
pub fn exports(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(argument) = proc_macro2::TokenStream::from(arguments).into_iter().next() {
        let error = syn::Error::new(argument.span(), "`exports` takes no arguments");
        return error.into_compile_error().into();
    }
    exports::expand(parse_macro_input!(item as ItemImpl)).into()
}
