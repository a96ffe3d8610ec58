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

/// Makes a struct the model of a table: each field is a column, each value a row.
///
/// It implements `ferro::Model`, adds a function for each field that returns its column
/// (`City::name()`), and, if the database sets some of the fields, a struct `New…` without them: a
/// generated key is omitted, and a field with a `default` becomes an `Option` whose `None` means
/// the default.
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
/// | `table = "cities"` | the table's name; by default derived from the model's |
/// | `name = "Town"` | the model's name; by default the struct's |
/// | `namespace = "geo"` | the PostgreSQL schema |
/// | `index(a, b)`, `unique(a, b)` | an index on several fields |
/// | `unique(a, b where CONDITION)` | only on rows that satisfy the condition |
/// | `index(by_date: a, b)` | with its own name in the database |
/// | `check(CONDITION)`, `check(positive: CONDITION)` | a condition that every row must satisfy; the name is the constraint's name in errors |
/// | `comment = "…"` | stored with the table on PostgreSQL |
/// | `many_to_many(tags: Tag)` | a many-to-many relation; `through = PostTag` names the model of the table of pairs, `reverse = "posts"` the reverse relation |
/// | `renamed_from = "Town"` | the model's former name, for migrations |
///
/// A condition compares fields with constants or with other fields of the model, in Rust syntax:
/// `price > 0`, `price <= list_price && !hidden`, `state.in_([State::Open, State::Done])`,
/// `retired.is_none()`, with `&&`, `||` and parentheses. Enums only support `==`, `!=` and `in_`,
/// as the databases order them differently. A condition is data, not SQL, and values of a wrong
/// type do not compile:
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
/// `many_to_many(tags: Tag)` alone has a table of pairs that can only be queried. To write pairs,
/// declare a model of that table and name it with `through`: each of its rows is a pair.
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// #[ferro(many_to_many(tags: Tag, through = PostTag, reverse = "posts"))]
/// pub struct Post {
///     #[ferro(key, generated)]
///     pub id: i64,
///     pub title: String,
/// }
///
/// #[derive(Model, Debug, Clone)]
/// pub struct Tag {
///     #[ferro(key)]
///     pub name: String,
/// }
///
/// #[derive(Model, Debug, Clone)]
/// pub struct PostTag {
///     #[ferro(key, references = Post, on_delete = cascade)]
///     pub post_id: i64,
///     #[ferro(key, references = Tag, relation = "label", on_delete = cascade)]
///     pub tag: String,
/// }
///
/// async fn retag(db: &ferro::Session, post: &Post, old: &str, new: &str) -> Result<(), ferro::Error> {
///     let is_old = PostTag::post_id().eq(post.id) & PostTag::tag().eq(old);
///     PostTag::query().filter(is_old).delete(db).await?;
///     PostTag::create(db, PostTag { post_id: post.id, tag: new.into() }).await?;
///     Ok(())
/// }
/// # let _ = retag;
/// ```
///
/// # Attributes of a field
///
/// | attribute | meaning |
/// | --- | --- |
/// | `key` | the primary key, or a part of it; a model has one |
/// | `generated` | with `key`: the database generates it |
/// | `version` | counts the updates of a row, so that an update is rejected if others have changed the row |
/// | `unique`, `index` | a unique constraint, an index |
/// | `column = "nom"` | the column's name; by default the field's |
/// | `length = 64` | the maximum number of characters of a `String` |
/// | `precision = 12, scale = 2` | the size of a `Decimal` |
/// | `sql_type = "smallint"` | a column type other than the default: `smallint`, `integer`, `bigint`, `real`, `double precision`, `numeric`, `numeric(12, 2)`, `text`, `varchar(20)`; an enum as `text` has no database type |
/// | `default = 0`, `default = now`, `default = random_uuid` | the value in the database if an insert has none |
/// | `on_update = now`, `on_update = random_uuid` | what every update sets the field to, unless it names the field |
/// | `default_with = new_token` | a function or closure that returns the value if an insert has none; the database has no default |
/// | `references = Country` | a foreign key to the key of a model, or of `Self` |
/// | `relation = "country"` | the name of that relation, and of the function that returns its path; by default the field's, without `_id` or with `_ref` |
/// | `reverse = "cities"` | the name of the reverse relation, and of the function on the other model, which must be in the same crate |
/// | `on_delete = cascade`, `on_update = …` | `cascade`, `restrict`, `set_null`, `set_default` or `no_action` |
/// | `renamed_from = "nom"` | the field's former name, for migrations |
#[proc_macro_derive(Model, attributes(ferro))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    model::derive(input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct a type of query rows, with a column for each field.
///
/// It implements `ferro::Row` and adds a struct `Select…` with the same fields, which assigns an
/// expression of the same type to each field. Each field gets a function that returns its column,
/// such as `Country::cities()`, for common tables with such rows: see `ferro::common`.
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

/// Makes an enum without data a field type: a native enum on PostgreSQL, a checked text on SQLite.
///
/// Its values are stored as the names of the variants in snake case, or as set by `#[ferro(value =
/// "…")]`. The name of the database type is that of the enum in snake case, or set by `#[ferro(name
/// = "…")]`.
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(Enum, Debug, Clone, Copy, PartialEq)]
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
/// The world is in the folder `wit` next to the crate's `Cargo.toml`, and contains `include
/// ferro:orm/plugin@0.1.0;`. The macro generates a module `bindings` with the types of the world
/// and the traits of its exports, and a struct `Plugin` to implement them for: see
/// [`macro@exports`].
///
/// On `wasm32-unknown-unknown` it also sets the global allocator, which starts with the memory that
/// the linker reserves. Link with `-Clink-arg=--initial-heap=262144`, like this workspace in
/// `.cargo/config.toml`: the host need not grow the memory for calls that fit.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as plugin::Plugin);
    input.expand().unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Allows the exports of a plugin to be `async`: each runs to completion with `ferro::run`.
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
/// Such a function returns a `Result` whose error implements `From<ferro::Error>`.
#[proc_macro_attribute]
pub fn exports(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if let Some(argument) = proc_macro2::TokenStream::from(arguments).into_iter().next() {
        let error = syn::Error::new(argument.span(), "`exports` takes no arguments");
        return error.into_compile_error().into();
    }
    exports::expand(parse_macro_input!(item as ItemImpl)).into()
}
