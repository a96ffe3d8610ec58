//! Models as data: what tables are made from, and what a plugin describes to its host.

use std::marker::PhantomData;

use ferro_wit::schema::{
    CheckTerm, CheckTest, ColumnType, Comparison, DecimalSize, DefaultValue, ForeignKey, Index,
    IntegerWidth, ManyToMany, ReferentialAction,
};
use ferro_wit::types::Value;

use crate::expression::{Operand, Settable};
use crate::model::Model;
use crate::scalar::{Field, Storable};
use crate::tree::{Tree, owned};

pub use ferro_wit::schema::Schema;

/// The schema of the listed models.
///
/// ```
/// use ferro::prelude::*;
///
/// #[derive(Model, Debug, Clone)]
/// struct City {
///     #[ferro(key)]
///     id: i64,
///     name: String,
/// }
///
/// let schema = ferro::schema![City];
/// assert_eq!(schema.models[0].name, "City");
/// ```
#[macro_export]
macro_rules! schema {
    ($($model:ty),* $(,)?) => {{
        #[allow(unused_mut, reason = "there may be no model")]
        let mut models = $crate::schema::Models::new();
        $(models = models.with::<$model>();)*
        models.schema()
    }};
}

/// Collects the models of a [`Schema`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Models(Schema);

impl Models {
    /// No models.
    pub fn new() -> Self {
        Self(Schema { models: vec![], enums: vec![] })
    }

    /// One more model, and the enum types that its fields use.
    pub fn with<M: Model>(mut self) -> Self {
        self.0.models.push(M::schema());
        for it in M::enums() {
            if !self.0.enums.contains(&it) {
                self.0.enums.push(it);
            }
        }
        self
    }

    /// The schema of the models so far.
    #[must_use]
    pub fn schema(self) -> Schema {
        self.0
    }
}

impl Default for Models {
    fn default() -> Self {
        Self::new()
    }
}

/// A model in the making: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn model<M: Model>(fields: Vec<ferro_wit::schema::Field>) -> ferro_wit::schema::Model {
    ferro_wit::schema::Model::new(M::NAME, fields, M::KEY)
}

/// A foreign key to the single key of `T`: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn foreign_key<T: Model>(
    relation: &str,
    field: &str,
    reverse: Option<&str>,
    unique: bool,
    on_delete: ReferentialAction,
    on_update: ReferentialAction,
) -> ForeignKey {
    ForeignKey {
        name: relation.to_owned(),
        target: T::NAME.to_owned(),
        fields: T::KEY.iter().map(|&key| (field.to_owned(), key.to_owned())).collect(),
        reverse: reverse.map(str::to_owned),
        unique,
        on_delete,
        on_update,
    }
}

/// A many-to-many relation to `T`: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn many_to_many<T: Model>(
    relation: &str,
    through: Option<&str>,
    reverse: Option<&str>,
) -> ManyToMany {
    ManyToMany {
        name: relation.to_owned(),
        target: T::NAME.to_owned(),
        through: through.map(str::to_owned),
        reverse: reverse.map(str::to_owned),
    }
}

/// An index over several fields: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn index(fields: &[&str], unique: bool) -> Index {
    Index { name: None, fields: owned(fields), unique, condition: None }
}

/// A comparison of a field of type `T` with a constant: for the code that `#[derive(Model)]`
/// writes.
#[doc(hidden)]
pub fn compare<T: Field, V: Operand<(), T::Base>>(
    field: &str,
    comparison: Comparison,
    value: V,
) -> CheckTerm {
    term(field, CheckTest::Compare((comparison, constant(value))))
}

/// A comparison of two fields: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn compare_field(field: &str, comparison: Comparison, other: &str) -> CheckTerm {
    term(field, CheckTest::CompareField((comparison, other.to_owned())))
}

/// A field that is one of some constants: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn one_of<T: Field, V: Operand<(), T::Base>>(
    field: &str,
    values: impl IntoIterator<Item = V>,
) -> CheckTerm {
    term(field, CheckTest::OneOf(values.into_iter().map(constant).collect()))
}

/// A field without a value: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn is_null(field: &str) -> CheckTerm {
    term(field, CheckTest::IsNull)
}

/// A field with a value: for the code that `#[derive(Model)]` writes.
#[doc(hidden)]
pub fn is_not_null(field: &str) -> CheckTerm {
    term(field, CheckTest::IsNotNull)
}

fn term(field: &str, test: CheckTest) -> CheckTerm {
    CheckTerm { field: field.to_owned(), test }
}

/// What cannot be a constant is null, which the catalog refuses by the name of the field.
fn constant<T, V: Operand<(), T>>(value: V) -> Value {
    constant_of(value.into_tree())
}

fn constant_of(tree: Tree) -> Value {
    match tree {
        Tree::Value { value: Ok(value), .. } => value,
        _ => Value::Null,
    }
}

/// A field in the making, of Rust type `T`: for the code that `#[derive(Model)]` writes. Its
/// methods exist where they make sense, so that `length` on a number does not compile.
#[doc(hidden)]
pub struct FieldOf<T> {
    field: ferro_wit::schema::Field,
    rust: PhantomData<fn() -> T>,
}

#[doc(hidden)]
impl<T> FieldOf<T> {
    pub fn new(name: &str) -> Self
    where
        T: Field,
    {
        let field = ferro_wit::schema::Field {
            nullable: T::NULLABLE,
            ..ferro_wit::schema::Field::new(name, T::Base::column_type())
        };
        Self { field, rust: PhantomData }
    }

    pub fn column(mut self, name: &str) -> Self {
        self.field.column = Some(name.to_owned());
        self
    }

    pub fn renamed_from(mut self, name: &str) -> Self {
        self.field.renamed_from = Some(name.to_owned());
        self
    }

    pub fn unique(mut self) -> Self {
        self.field.unique = true;
        self
    }

    pub fn indexed(mut self) -> Self {
        self.field.indexed = true;
        self
    }

    pub fn generated(mut self) -> Self
    where
        T: Counted,
    {
        self.field.generated_key = true;
        self
    }

    pub fn version(mut self) -> Self
    where
        T: Counted,
    {
        self.field.version = true;
        self
    }

    pub fn length(mut self, characters: u32) -> Self
    where
        T: Field<Base: HasLength>,
    {
        self.field.kind = ColumnType::Text(Some(characters));
        self
    }

    pub fn size(mut self, precision: u16, scale: u16) -> Self
    where
        T: Field<Base: HasPrecision>,
    {
        self.field.kind = ColumnType::Decimal(Some(DecimalSize { precision, scale }));
        self
    }

    pub fn as_integer(mut self, width: IntegerWidth) -> Self
    where
        T: Field<Base: Counted>,
    {
        self.field.kind = ColumnType::Integer(width);
        self
    }

    pub fn as_real(mut self) -> Self
    where
        T: Field<Base: Floating>,
    {
        self.field.kind = ColumnType::Real;
        self
    }

    pub fn as_double(mut self) -> Self
    where
        T: Field<Base: Floating>,
    {
        self.field.kind = ColumnType::Double;
        self
    }

    pub fn as_numeric(mut self) -> Self
    where
        T: Field<Base: HasPrecision>,
    {
        self.field.kind = ColumnType::Decimal(None);
        self
    }

    pub fn as_text(mut self, characters: Option<u32>) -> Self
    where
        T: Field<Base: Textual>,
    {
        self.field.kind = ColumnType::Text(characters);
        self
    }

    pub fn default_value<V: Settable<(), T>>(mut self, value: V) -> Self {
        self.field.default = Some(DefaultValue::Constant(constant_of(value.into_tree())));
        self
    }

    pub fn default_of_client(mut self) -> Self {
        self.field.default = Some(DefaultValue::Client);
        self
    }

    pub fn default_now(mut self) -> Self
    where
        T: Field<Base: Moment>,
    {
        self.field.default = Some(DefaultValue::Now);
        self
    }

    pub fn default_random_uuid(mut self) -> Self
    where
        T: Field<Base: RandomDefault>,
    {
        self.field.default = Some(DefaultValue::RandomUuid);
        self
    }

    pub fn done(self) -> ferro_wit::schema::Field {
        self.field
    }
}

/// What a database can count up by itself.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a database cannot count with the type `{Self}`",
    label = "expected `i16`, `i32` or `i64`"
)]
pub trait Counted {}

impl Counted for i16 {}
impl Counted for i32 {}
impl Counted for i64 {}

/// What a database can set to the time of the transaction.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot have the time as its default",
    label = "expected `Date`, `Time`, `Timestamp` or `Timestamptz`"
)]
pub trait Moment {}

/// What a column of floats holds.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no column of floats",
    label = "expected `f32` or `f64`"
)]
pub trait Floating {}

impl Floating for f32 {}
impl Floating for f64 {}

/// What a column of texts holds: texts, and enums that are to have no type of their own.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no column of texts",
    label = "expected `String` or an enum"
)]
pub trait Textual {}

impl Textual for String {}

/// What has a largest number of characters.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no `length`",
    label = "expected `String`"
)]
pub trait HasLength {}

impl HasLength for String {}

/// What has a precision and a scale.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no `precision` and `scale`",
    label = "expected `Decimal`"
)]
pub trait HasPrecision {}

impl HasPrecision for crate::values::Decimal {}

/// What a database can fill in at random.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot have a random UUID as its default",
    label = "expected `Uuid`"
)]
pub trait RandomDefault {}

impl RandomDefault for crate::values::Uuid {}
