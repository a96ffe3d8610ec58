//! Queries, in the JSON of the WIT's records.

use ferro_wit::query::Query;
use serde_json::{Value as Json, json};

/// All fields of all rows, in the order of their keys.
pub(crate) fn all(model: &str) -> Query {
    select(model, json!("model"))
}

/// Some fields of all rows, in the order of their keys.
pub(crate) fn fields(model: &str, names: &[&str]) -> Query {
    select(model, json!({ "fields": names }))
}

/// All rows in which a field is one of the first parameter's values.
pub(crate) fn select_in(model: &str, field: &str, kind: &str) -> Query {
    let mut rows = rows(model, json!("model"), json!([]));
    rows["filter"] = json!(2);
    query(
        json!([
            { "field": { "outer": 0, "relations": [], "field": field } },
            { "parameter": { "index": 0, "kind": kind, "many": true } },
            { "binary": ["in-list", 0, 1] },
        ]),
        json!([rows]),
        json!({ "select": 0 }),
    )
}

/// All rows in which a field compares so with the first parameter, a text.
pub(crate) fn compare(model: &str, field: &str, operator: &str) -> Query {
    let mut rows = rows(model, json!("model"), json!([]));
    rows["filter"] = json!(2);
    query(
        json!([
            { "field": { "outer": 0, "relations": [], "field": field } },
            { "parameter": { "index": 0, "kind": "text", "many": false } },
            { "binary": [operator, 0, 1] },
        ]),
        json!([rows]),
        json!({ "select": 0 }),
    )
}

/// The rows for which a comparison holds of their own field, or that of the row which a relation leads
/// to; fails where another field beside it is like the first parameter.
pub(crate) fn failing_where_like(
    model: &str,
    relations: &[&str],
    field: &str,
    (compared, operator, value): (&str, &str, i64),
) -> Query {
    let path = |field| json!({ "outer": 0, "relations": relations, "field": field });
    let nodes = json!([
        { "field": path(field) },
        { "parameter": { "index": 0, "kind": "text", "many": false } },
        { "binary": ["like", 0, 1] },
        { "literal": { "integer": i64::MIN } },
        { "literal": { "integer": 0 } },
        { "case": { "branches": [{ "when": 2, "then": 3 }], "otherwise": 4 } },
        { "call": { "name": "abs", "arguments": [5] } },
        { "binary": ["greater-or-equal", 6, 4] },
        { "field": path(compared) },
        { "literal": { "integer": value } },
        { "binary": [operator, 8, 9] },
        { "all-of": [7, 10] },
    ]);
    let mut rows = rows(model, json!({ "fields": ["id"] }), json!([]));
    rows["filter"] = json!(11);
    query(nodes, json!([rows]), json!({ "select": 0 }))
}

/// The rows for which a relation leads to a row.
pub(crate) fn related(model: &str, relation: &str) -> Query {
    let mut rows = rows(model, json!({ "fields": ["id"] }), json!([]));
    rows["filter"] = json!(0);
    let any = json!({ "quantifier": "any", "relations": [relation], "condition": null });
    query(json!([{ "related": any }]), json!([rows]), json!({ "select": 0 }))
}

/// All rows, with the first parameter as a limit or an offset.
pub(crate) fn bounded(model: &str, bound: &str) -> Query {
    let mut rows = rows(model, json!("model"), json!([]));
    rows[bound] = json!(0);
    let value = json!({ "parameter": { "index": 0, "kind": "integer", "many": false } });
    query(json!([value]), json!([rows]), json!({ "select": 0 }))
}

/// How many whole numbers there are.
pub(crate) fn endless(model: &str) -> Query {
    let outputs = |node: u32| json!({ "outputs": [{ "name": "n", "expression": node }] });
    let nodes = json!([
        { "literal": { "integer": 1 } },
        { "field": { "outer": 0, "relations": [], "field": "n" } },
        { "binary": ["add", 1, 0] },
    ]);
    let selects = json!([
        rows(model, outputs(0), json!([])),
        rows("numbers", outputs(2), json!([])),
        rows("numbers", json!("model"), json!([])),
    ]);
    let common = json!([{ "name": "numbers", "rows": 0, "step": ["union-all", 1] }]);
    let common = serde_json::from_value(common).unwrap();
    Query { common, ..query(nodes, selects, json!({ "count": 2 })) }
}

/// The titles of all notes, or those of none, read under a name: all else is the same.
pub(crate) fn titles_under_a_name(of_all: bool) -> Query {
    let titles = || rows("Note", json!({ "fields": ["title"] }), json!([]));
    let mut none = titles();
    none["filter"] = json!(0);
    let selects = json!([titles(), none, rows("titles", json!("model"), json!([]))]);
    let common = json!([{ "name": "titles", "rows": u32::from(!of_all) }]);
    let common = serde_json::from_value(common).unwrap();
    let nodes = json!([{ "literal": { "boolean": false } }]);
    Query { common, ..query(nodes, selects, json!({ "select": 2 })) }
}

/// A text inside the document of each row, in the order of their keys.
pub(crate) fn inside(model: &str, field: &str, steps: &[&str]) -> Query {
    let outputs = json!({ "outputs": [{ "name": "text", "expression": 1 }] });
    let by_id = json!([{ "expression": 2, "descending": false, "nulls": "last" }]);
    query(
        json!([
            { "field": { "outer": 0, "relations": [], "field": field } },
            { "json": { "document": 0, "steps": steps, "kind": "text" } },
            { "field": { "outer": 0, "relations": [], "field": "id" } },
        ]),
        json!([rows(model, outputs, by_id)]),
        json!({ "select": 0 }),
    )
}

pub(crate) fn count(model: &str) -> Query {
    query(json!([]), json!([rows(model, json!("model"), json!([]))]), json!({ "count": 0 }))
}

/// One row, whose fields are the parameters.
pub(crate) fn insert(model: &str, fields: &[&str]) -> Query {
    insert_from(model, fields, "parameters")
}

/// One row with the first parameter in a unique field, which is written again where it is taken.
pub(crate) fn insert_or_update(model: &str, field: &str) -> Query {
    let insert = json!({
        "model": model, "fields": [field], "source": "parameters",
        "conflict": { "target": [field], "update": [{ "field": field, "value": 0 }] },
    });
    query(json!([{ "excluded": field }]), json!([]), json!({ "insert": insert }))
}

/// The rows of a batch.
pub(crate) fn insert_batch(model: &str, fields: &[&str]) -> Query {
    insert_from(model, fields, "batch")
}

/// Every row gets the first parameter, a text, in a field.
pub(crate) fn update_all(model: &str, field: &str, kind: &str) -> Query {
    query(
        json!([{ "parameter": { "index": 0, "kind": kind, "many": false } }]),
        json!([rows(model, json!("model"), json!([]))]),
        json!({
            "update": { "model": model, "set": [{ "field": field, "value": 0 }], "rows": 0 }
        }),
    )
}

/// In every row a part of a document becomes the first parameter, a text.
pub(crate) fn update_inside(model: &str, field: &str, steps: &[&str]) -> Query {
    let change = json!({ "document": 1, "steps": steps, "value": 0 });
    query(
        json!([
            { "parameter": { "index": 0, "kind": "text", "many": false } },
            { "field": { "outer": 0, "relations": [], "field": field } },
            { "json-change": change },
        ]),
        json!([rows(model, json!("model"), json!([]))]),
        json!({
            "update": { "model": model, "set": [{ "field": field, "value": 2 }], "rows": 0 }
        }),
    )
}

pub(crate) fn delete_all(model: &str) -> Query {
    query(
        json!([]),
        json!([rows(model, json!("model"), json!([]))]),
        json!({ "delete": { "model": model, "rows": 0 } }),
    )
}

/// A write that returns a field of what it wrote.
pub(crate) fn returning(write: Query, field: &str) -> Query {
    let mut write = serde_json::to_value(write).unwrap();
    for statement in ["insert", "update", "delete"] {
        if let Some(statement) = write["statement"].get_mut(statement) {
            statement["returning"] = json!({ "fields": [field] });
        }
    }
    serde_json::from_value(write).unwrap()
}

fn insert_from(model: &str, fields: &[&str], source: &str) -> Query {
    let insert = json!({ "model": model, "fields": fields, "source": source });
    query(json!([]), json!([]), json!({ "insert": insert }))
}

fn select(model: &str, projection: Json) -> Query {
    let id = json!({ "field": { "outer": 0, "relations": [], "field": "id" } });
    let by_id = json!([{ "expression": 0, "descending": false, "nulls": "last" }]);
    query(json!([id]), json!([rows(model, projection, by_id)]), json!({ "select": 0 }))
}

fn rows(model: &str, projection: Json, order_by: Json) -> Json {
    json!({
        "model": model, "projection": projection, "distinct": "no", "group-by": [],
        "order-by": order_by, "includes": [], "combined": [],
    })
}

fn query(nodes: Json, selects: Json, statement: Json) -> Query {
    let query = json!({ "nodes": nodes, "selects": selects, "statement": statement });
    serde_json::from_value(query).unwrap()
}
