//! Code that must not compile, as documentation tests.
//!
//! First code that compiles, so that each of the others fails for its own reason:
//!
//! ```
//! use ferro::prelude::*;
//!
//! #[derive(Model, Debug, Clone)]
//! struct City {
//!     #[ferro(key, generated)]
//!     id: i64,
//!     #[ferro(length = 200, default = "somewhere")]
//!     name: String,
//!     slug: Option<String>,
//! }
//!
//! #[derive(Model, Debug, Clone)]
//! struct Street {
//!     #[ferro(key)]
//!     id: i64,
//!     #[ferro(references = City, on_delete = set_null)]
//!     city_id: Option<i64>,
//! }
//!
//! let _ = City::query().filter(City::id().gt(1) & City::name().like("P%")).limit(1);
//! let _ = City::slug().set(City::name());
//! let _ = Street::query().filter(Street::id().in_([1, 2]));
//! let names = City::query().select(City::name());
//! let _ = async |db: Session| City::insert_from(&db, City::slug(), names).await;
//! ```
//!
//! A field that does not exist:
//!
//! ```compile_fail,E0599
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().filter(City::nmae().eq("Paris"));
//! ```
//!
//! A value of another type, in a comparison, in a list and in an assignment:
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().filter(City::id().gt("many"));
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().filter(City::id().in_(["1"]));
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::name().set(7);
//! ```
//!
//! A null that is not allowed:
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::name().set(None);
//! ```
//!
//! Rows of a query that do not fit the fields: a text for a number, and a null that is not allowed:
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let names = City::query().select(City::name());
//! let _ = async |db: Session| City::insert_from(&db, City::id(), names).await;
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String, slug: Option<String> }
//! let slugs = City::query().select(City::slug());
//! let _ = async |db: Session| City::insert_from(&db, City::name(), slugs).await;
//! ```
//!
//! A condition over another model:
//!
//! ```compile_fail,E0271
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! # #[derive(Model, Debug, Clone)]
//! # struct Street { #[ferro(key)] id: i64 }
//! let _ = City::query().filter(Street::id().eq(1));
//! ```
//!
//! A filter that is not a condition, and conditions combined as if they were `bool`:
//!
//! ```compile_fail,E0271
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().filter(City::id());
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().filter(City::id().gt(1) && City::id().lt(9));
//! ```
//!
//! A search for text in a number, and arithmetic with text:
//!
//! ```compile_fail,E0271
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().filter(City::id().like("1%"));
//! ```
//!
//! ```compile_fail,E0369
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::name() + 1;
//! ```
//!
//! A negative limit:
//!
//! ```compile_fail,E0600
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! let _ = City::query().limit(-1);
//! ```
//!
//! A model without a key, one with a nullable key, and one with a field without a column type:
//!
//! ```compile_fail
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { id: i64, name: String }
//! ```
//!
//! ```compile_fail,E0080
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key)] id: Option<i64>, name: String }
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key)] id: i64, population: u64 }
//! ```
//!
//! Attributes that do not fit the type of their field:
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key, generated)] name: String }
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key, length = 3)] id: i64 }
//! ```
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key)] id: i64, #[ferro(default = 0)] name: String }
//! ```
//!
//! ```compile_fail
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key, lenght = 3)] id: String }
//! ```
//!
//! A foreign key whose type differs from the key it refers to, and a non-nullable one that is set
//! to null:
//!
//! ```compile_fail,E0277
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! #[derive(Model, Debug, Clone)]
//! struct Street { #[ferro(key)] id: i64, #[ferro(references = City)] city: String }
//! ```
//!
//! ```compile_fail,E0080
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! #[derive(Model, Debug, Clone)]
//! struct Street { #[ferro(key)] id: i64, #[ferro(references = City, on_delete = set_null)] city: i64 }
//! ```
//!
//! A field whose column would hide a function of every model:
//!
//! ```compile_fail
//! # use ferro::prelude::*;
//! #[derive(Model, Debug, Clone)]
//! struct City { #[ferro(key)] id: i64, query: String }
//! ```
//!
//! A row of another model:
//!
//! ```compile_fail,E0271
//! # use ferro::prelude::*;
//! # #[derive(Model, Debug, Clone)]
//! # struct City { #[ferro(key)] id: i64, name: String }
//! # #[derive(Model, Debug, Clone)]
//! # struct Street { #[ferro(key)] id: i64 }
//! async fn wrong(db: &ferro::Session) -> Result<(), ferro::Error> {
//!     City::insert(db, &Street { id: 1 }).await
//! }
//! ```
