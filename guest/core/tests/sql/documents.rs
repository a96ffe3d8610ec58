//! Parts of JSON documents, and arrays.

use ferro_wit::query::{BinaryOperator as B, JsonPath, Node, NodeRef, Select};
use ferro_wit::types::ScalarType as S;

use crate::fixture::*;

impl Nodes {
    pub(crate) fn part(&mut self, document: NodeRef, steps: &[&str], kind: S) -> NodeRef {
        let steps = steps.iter().map(|it| (*it).to_owned()).collect();
        self.add(Node::Json(JsonPath { document, steps, kind }))
    }
}

fn part(steps: &[&str], kind: S) -> String {
    let mut nodes = Nodes::default();
    let profile = nodes.field("profile");
    let part = nodes.part(profile, steps, kind);
    plan(&nodes.select(Select { projection: outputs(&[part]), ..all("User") }))
}

#[test]
fn parts_of_documents_are_read_as_a_type() {
    insta::assert_snapshot!(part(&["a", "0", "it's"], S::Json), @r##"
sqlite: SELECT CAST("t0"."profile" AS TEXT) -> '$."a"[0]."it''s"' FROM "user" AS "t0"
postgres: SELECT jsonb_path_query_first("t0"."profile", 'strict $."a"[0]."it''s"', silent => TRUE) FROM "user" AS "t0"
"##);
    insta::assert_snapshot!(part(&["a"], S::Text), @r##"
sqlite: SELECT CASE json_type(CAST("t0"."profile" AS TEXT) -> '$."a"') WHEN 'text' THEN CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' END FROM "user" AS "t0"
postgres: SELECT CASE jsonb_typeof("t0"."profile" -> 'a') WHEN 'string' THEN "t0"."profile" -> 'a' #>> '{}' END FROM "user" AS "t0"
"##);
    insta::assert_snapshot!(part(&["a"], S::Boolean), @r##"
sqlite: SELECT CASE json_type(CAST("t0"."profile" AS TEXT) -> '$."a"') WHEN 'true' THEN 1 WHEN 'false' THEN 0 END FROM "user" AS "t0"
postgres: SELECT CASE jsonb_typeof("t0"."profile" -> 'a') WHEN 'boolean' THEN CAST("t0"."profile" -> 'a' AS boolean) END FROM "user" AS "t0"
"##);
    insta::assert_snapshot!(part(&["a"], S::Integer), @r##"
sqlite: SELECT CASE WHEN json_type(CAST("t0"."profile" AS TEXT) -> '$."a"') IN ('integer', 'real') AND CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' = CAST(CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' AS INTEGER) THEN CAST(CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' AS INTEGER) END FROM "user" AS "t0"
postgres: SELECT CASE jsonb_typeof("t0"."profile" -> 'a') WHEN 'number' THEN CASE WHEN CAST("t0"."profile" -> 'a' AS numeric) BETWEEN -9223372036854775808 AND 9223372036854775807 AND CAST("t0"."profile" -> 'a' AS numeric) = trunc(CAST("t0"."profile" -> 'a' AS numeric)) THEN CAST("t0"."profile" -> 'a' AS bigint) END END FROM "user" AS "t0"
"##);
    insta::assert_snapshot!(part(&[], S::Float), @r##"
sqlite: SELECT CASE WHEN json_type(CAST("t0"."profile" AS TEXT) -> '$') IN ('integer', 'real') AND CAST("t0"."profile" AS TEXT) -> '$' ->> '$' BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308 THEN CAST(CAST("t0"."profile" AS TEXT) -> '$' ->> '$' AS REAL) END FROM "user" AS "t0"
postgres: SELECT CASE jsonb_typeof("t0"."profile") WHEN 'number' THEN CASE WHEN abs(CAST("t0"."profile" AS numeric)) < 4.9e-324 THEN 0 WHEN abs(CAST("t0"."profile" AS numeric)) <= 1.7976931348623157e308 THEN CAST("t0"."profile" AS double precision) END END FROM "user" AS "t0"
"##);
    insta::assert_snapshot!(part(&["a"], S::Decimal), @r##"
sqlite: unsupported: node 1: a part of a document cannot be read as decimal here: read it as text
postgres: SELECT CASE jsonb_typeof("t0"."profile" -> 'a') WHEN 'number' THEN CAST("t0"."profile" -> 'a' AS numeric) END FROM "user" AS "t0"
"##);
}

#[test]
fn what_is_no_path_is_refused() {
    let refused = |steps: &[&str]| {
        let mut nodes = Nodes::default();
        let profile = nodes.field("profile");
        let part = nodes.part(profile, steps, S::Text);
        line(&error(&nodes.select(Select { projection: outputs(&[part]), ..all("User") })))
    };
    insta::assert_snapshot!(refused(&["a\"b"]), @r##"unsupported: node 1: a key with quotes, backslashes or control characters: `a"b`"##);
    insta::assert_snapshot!(refused(&["99999999999"]), @"invalid-query: node 1: `99999999999` is no position in an array");
    insta::assert_snapshot!(refused(&["a"; 65]), @"limit-exceeded: node 1: more than 64 steps into a document");
    let mut nodes = Nodes::default();
    let name = nodes.field("name");
    let part = nodes.part(name, &["a"], S::Text);
    let query = nodes.select(Select { projection: outputs(&[part]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"type-mismatch: node 1: a path leads into json");
}

#[test]
fn documents_and_arrays_are_compared_and_searched() {
    let compared = |field: &str, operator, kind, many| {
        let mut nodes = Nodes::default();
        let left = nodes.field(field);
        let right = if many { nodes.list(0, kind) } else { nodes.parameter(0, kind) };
        let filter = nodes.binary(left, operator, right);
        plan(&nodes.select(Select { filter: Some(filter), ..ids() }))
    };
    insta::assert_snapshot!(compared("tags", B::ArrayContains, S::Text, true), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE CASE WHEN "t0"."tags" IS NOT NULL AND ?1 IS NOT NULL THEN NOT EXISTS (SELECT value FROM json_each(CAST(?1 AS TEXT)) EXCEPT SELECT value FROM json_each(CAST("t0"."tags" AS TEXT)) WHERE value IS NOT NULL) END
  parameter 0 Text[]
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tags" @> $1
  parameter 0 Text[]
"##);
    insta::assert_snapshot!(compared("tags", B::ArrayOverlaps, S::Text, true), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE CASE WHEN "t0"."tags" IS NOT NULL AND ?1 IS NOT NULL THEN EXISTS (SELECT value FROM json_each(CAST("t0"."tags" AS TEXT)) INTERSECT SELECT value FROM json_each(CAST(?1 AS TEXT)) WHERE value IS NOT NULL) END
  parameter 0 Text[]
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tags" && $1
  parameter 0 Text[]
"##);
    insta::assert_snapshot!(compared("tags", B::Equal, S::Text, true), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tags" = ?1
  parameter 0 Text[]
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tags" = $1
  parameter 0 Text[]
"##);
    insta::assert_snapshot!(compared("tags", B::ArrayContains, S::Integer, true), @r##"
sqlite: type-mismatch: node 2: both operands are arrays of one type: a list of text and a list of integer
postgres: type-mismatch: node 2: both operands are arrays of one type: a list of text and a list of integer
"##);
    insta::assert_snapshot!(compared("tags", B::Less, S::Text, true), @r##"
sqlite: unsupported: node 2: comparing a list of text by its order is not supported
postgres: unsupported: node 2: comparing a list of text by its order is not supported
"##);
    insta::assert_snapshot!(compared("profile", B::JsonContains, S::Json, false), @r##"
sqlite: unsupported: node 2: SQLite does not look into documents: compare their parts, by paths
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."profile" @> $1
  parameter 0 Json
"##);
    insta::assert_snapshot!(compared("profile", B::Equal, S::Json, false), @r##"
sqlite: unsupported: node 2: SQLite does not compare documents: compare their parts, by paths
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."profile" = $1
  parameter 0 Json
"##);
}
