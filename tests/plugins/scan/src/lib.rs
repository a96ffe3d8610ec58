//! Sums every cell of rows that it fetches from a database, column by column.

#![cfg(target_family = "wasm")]

#[path = "../../transport/src/sum.rs"]
#[expect(dead_code, reason = "this plugin gets no list of lists of values")]
mod sum;

mod bindings {
    #![allow(missing_docs)]
    wit_bindgen::generate!({
        path: ["../../../wit", "wit"],
        world: "ferro:bench/scan",
        generate_all,
        with: {
            "ferro:orm/types@0.1.0": ferro_wit::types,
            "ferro:orm/query@0.1.0": ferro_wit::query,
            "ferro:orm/schema@0.1.0": ferro_wit::schema,
        },
    });
}

use bindings::ferro::orm::database::Session;
use ferro_wit::query::{BinaryOperator, Node, Parameter, Path, Query, Select};
use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model, Schema};
use ferro_wit::types::{Error, ScalarType, Value};

/// The allocator that plugins made with the SDK have, too.
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

struct Plugin;

bindings::export!(Plugin with_types_in bindings);

impl bindings::Guest for Plugin {
    fn nothing() -> u32 {
        0
    }

    fn sum(limit: u32) -> Result<i64, Error> {
        let session = Session::open("bench")?;
        let cursor = session.fetch(&page(), &[Value::Integer(limit.into())])?;
        let mut sum = 0;
        while let Some(batch) = cursor.next(limit)? {
            sum += sum::batch(&batch);
        }
        Ok(sum)
    }

    fn point(id: i64) -> Result<i64, Error> {
        let session = Session::open("bench")?;
        let cursor = session.fetch(&by_key(), &[Value::Integer(id)])?;
        Ok(cursor.next(1)?.map_or(0, |batch| sum::batch(&batch)))
    }
}

impl bindings::exports::ferro::orm::models::Guest for Plugin {
    fn describe() -> Schema {
        let big = || ColumnType::Integer(IntegerWidth::Big);
        let fields = vec![
            Field::new("id", big()),
            Field::new("name", ColumnType::Text(None)),
            Field::new("country", ColumnType::Text(None)),
            Field::new("latitude", ColumnType::Double),
            Field::new("population", big()),
            Field::new("timezone", ColumnType::Text(None)),
        ];
        Schema { models: vec![Model::new("City", fields, &["id"])], enums: vec![] }
    }
}

/// All fields of a limited number of cities; the limit is the first parameter.
fn page() -> Query {
    cities(vec![number()], None, Some(0))
}

/// All fields of the city whose key is the first parameter.
fn by_key() -> Query {
    let key = Path { outer: 0, relations: vec![], field: "id".into() };
    let equal = Node::Binary((BinaryOperator::Equal, 0, 1));
    cities(vec![Node::Field(key), number(), equal], Some(2), None)
}

fn number() -> Node {
    Node::Parameter(Parameter { index: 0, kind: ScalarType::Integer, many: false })
}

fn cities(nodes: Vec<Node>, filter: Option<u32>, limit: Option<u32>) -> Query {
    Query::select(nodes, Select { filter, limit, ..Select::new("City") })
}
