//! Parts of JSON documents, and arrays.

use ferro_wit::policy::{FieldSet, TableScope};
use ferro_wit::query::{
    AggregateFunction, Assignment, BinaryOperator as B, CommonTable, NodeRef, Query, Select,
    Statement, Update,
};
use ferro_wit::types::{ErrorKind, ScalarType as S};

use crate::fixture::*;

impl Nodes {
    /// An update that sets the profile of users.
    fn update(self, value: NodeRef) -> Query {
        let set = vec![Assignment { field: "profile".into(), value }];
        self.query(vec![all("User")], Statement::Update(Update { set, ..update("User") }))
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
sqlite: unsupported: `User.profile`: a part of a document cannot be read as decimal here: read it as text
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
    insta::assert_snapshot!(refused(&["a\"b"]), @r##"unsupported: `User.profile`: a key with quotes, backslashes or control characters: `a"b`"##);
    insta::assert_snapshot!(refused(&["99999999999"]), @"invalid-query: `User.profile`: `99999999999` is no position in an array");
    insta::assert_snapshot!(refused(&["a"; 65]), @"limit-exceeded: `User.profile`: more than 64 steps into a document");
    let mut nodes = Nodes::default();
    let name = nodes.field("name");
    let part = nodes.part(name, &["a"], S::Text);
    let query = nodes.select(Select { projection: outputs(&[part]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"type-mismatch: `User.name`: a path leads into json");
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
sqlite: type-mismatch: `User.tags`: expected arrays of one type on both sides, got a list of text and a list of integer
postgres: type-mismatch: `User.tags`: expected arrays of one type on both sides, got a list of text and a list of integer
"##);
    insta::assert_snapshot!(compared("tags", B::Less, S::Text, true), @r##"
sqlite: unsupported: `User.tags`: comparing a list of text by its order is not supported
postgres: unsupported: `User.tags`: comparing a list of text by its order is not supported
"##);
    insta::assert_snapshot!(compared("profile", B::JsonContains, S::Json, false), @r##"
sqlite: unsupported: `User.profile`: SQLite does not look into documents: compare their parts, by paths
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."profile" @> $1
  parameter 0 Json
"##);
    insta::assert_snapshot!(compared("profile", B::Equal, S::Json, false), @r##"
sqlite: unsupported: `User.profile`: SQLite does not compare documents: compare their parts, by paths
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."profile" = $1
  parameter 0 Json
"##);
}

#[test]
fn a_part_of_a_document_is_set_or_removed() {
    let set = |steps: &[&str], kind| {
        let mut nodes = Nodes::default();
        let (profile, value) = (nodes.field("profile"), nodes.parameter(0, kind));
        let changed = nodes.changed(profile, steps, Some(value));
        plan(&nodes.update(changed))
    };
    insta::assert_snapshot!(set(&["it's"], S::Json), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = ferro_json_readable(json_set(CAST("t0"."profile" AS TEXT), '$."it''s"', json(CAST(?1 AS TEXT))))
  parameter 0 Json
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['it''s'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce($1, 'null') AS "value" OFFSET 0) AS "changed")
  parameter 0 Json
"##);
    insta::assert_snapshot!(set(&["a", "0"], S::Text), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_set(CAST("t0"."profile" AS TEXT), '$."a"[0]', CAST(?1 AS TEXT))
  parameter 0 Text
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $."a" ? (@.type() == "array" && @.size() >= 0)', silent => TRUE) THEN jsonb_set("document", ARRAY['a', '0'], "value") WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object" && (exists(@."a")) is unknown)', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], jsonb_build_array("value")) ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb($1), 'null') AS "value" OFFSET 0) AS "changed")
  parameter 0 Text
"##);
    insta::assert_snapshot!(set(&["a", "00", "b", "c"], S::Boolean), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_set(CAST("t0"."profile" AS TEXT), '$."a"[0]."b"."c"', json(CASE ?1 WHEN 1 THEN 'true' WHEN 0 THEN 'false' END))
  parameter 0 Boolean
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $."a"[0]."b" ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a', '0', 'b', 'c'], "value") WHEN jsonb_path_exists("document", 'strict $."a"[0] ? (@.type() == "object" && (exists(@."b")) is unknown)', silent => TRUE) THEN jsonb_set("document", ARRAY['a', '0', 'b'], jsonb_build_object('c', "value")) WHEN jsonb_path_exists("document", 'strict $."a" ? (@.type() == "array" && @.size() == 0)', silent => TRUE) THEN jsonb_set("document", ARRAY['a', '0'], jsonb_build_object('b', jsonb_build_object('c', "value"))) WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object" && (exists(@."a")) is unknown)', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], jsonb_build_array(jsonb_build_object('b', jsonb_build_object('c', "value")))) ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb($1), 'null') AS "value" OFFSET 0) AS "changed")
  parameter 0 Boolean
"##);
    insta::assert_snapshot!(set(&["a", "2"], S::Float), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_set(CAST("t0"."profile" AS TEXT), '$."a"[2]', json(ferro_json_float(?1)))
  parameter 0 Float
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $."a" ? (@.type() == "array" && @.size() >= 2)', silent => TRUE) THEN jsonb_set("document", ARRAY['a', '2'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb(CASE WHEN $1 BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308 THEN CAST($1 AS double precision) END), 'null') AS "value" OFFSET 0) AS "changed")
  parameter 0 Float
"##);
    let removed = |steps: &[&str]| {
        let mut nodes = Nodes::default();
        let profile = nodes.field("profile");
        let changed = nodes.changed(profile, steps, None);
        plan(&nodes.update(changed))
    };
    insta::assert_snapshot!(removed(&["it's"]), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_remove(CAST("t0"."profile" AS TEXT), '$."it''s"')
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN "document" #- ARRAY['it''s'] ELSE "document" END FROM (SELECT "t0"."profile" AS "document" OFFSET 0) AS "changed")
"##);
    insta::assert_snapshot!(removed(&["a", "07"]), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_remove(CAST("t0"."profile" AS TEXT), '$."a"[7]')
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $."a" ? (@.type() == "array")', silent => TRUE) THEN "document" #- ARRAY['a', '7'] ELSE "document" END FROM (SELECT "t0"."profile" AS "document" OFFSET 0) AS "changed")
"##);
}

#[test]
fn a_part_of_a_document_is_set_to_what_is_computed() {
    let set = |value: &dyn Fn(&mut Nodes) -> NodeRef| {
        let mut nodes = Nodes::default();
        let (profile, value) = (nodes.field("profile"), value(&mut nodes));
        let changed = nodes.changed(profile, &["a"], Some(value));
        plan(&nodes.update(changed))
    };
    insta::assert_snapshot!(set(&Nodes::null), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_set(CAST("t0"."profile" AS TEXT), '$."a"', NULL)
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", CAST('null' AS jsonb) AS "value" OFFSET 0) AS "changed")
"##);
    insta::assert_snapshot!(set(&|it| it.field("mood")), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_set(CAST("t0"."profile" AS TEXT), '$."a"', CAST("t0"."mood" AS TEXT))
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb(CAST("t0"."mood" AS text)), 'null') AS "value" OFFSET 0) AS "changed")
"##);
    let one_more = |it: &mut Nodes| {
        let (profile, one) = (it.field("profile"), it.integer(1));
        let visits = it.part(profile, &["a"], S::Integer);
        it.binary(visits, B::Add, one)
    };
    insta::assert_snapshot!(set(&one_more), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = json_set(CAST("t0"."profile" AS TEXT), '$."a"', CASE typeof(((CASE WHEN json_type(CAST("t0"."profile" AS TEXT) -> '$."a"') IN ('integer', 'real') AND CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' = CAST(CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' AS INTEGER) THEN CAST(CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' AS INTEGER) END) + 1)) WHEN 'integer' THEN ((CASE WHEN json_type(CAST("t0"."profile" AS TEXT) -> '$."a"') IN ('integer', 'real') AND CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' = CAST(CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' AS INTEGER) THEN CAST(CAST("t0"."profile" AS TEXT) -> '$."a"' ->> '$' AS INTEGER) END) + 1) WHEN 'real' THEN abs(-9223372036854775808) END)
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb(((CASE jsonb_typeof("t0"."profile" -> 'a') WHEN 'number' THEN CASE WHEN CAST("t0"."profile" -> 'a' AS numeric) BETWEEN -9223372036854775808 AND 9223372036854775807 AND CAST("t0"."profile" -> 'a' AS numeric) = trunc(CAST("t0"."profile" -> 'a' AS numeric)) THEN CAST("t0"."profile" -> 'a' AS bigint) END END) + CAST(1 AS bigint))), 'null') AS "value" OFFSET 0) AS "changed")
"##);
    let nested = |it: &mut Nodes| {
        let profile = it.field("profile");
        let set = it.parameter(0, S::Json);
        let inner = it.changed(profile, &["b"], Some(set));
        it.changed(inner, &["c"], None)
    };
    insta::assert_snapshot!(set(&nested), @r##"
sqlite: UPDATE "user" AS "t0" SET "profile" = ferro_json_readable(json_set(CAST("t0"."profile" AS TEXT), '$."a"', json(CAST(json_remove(CAST(ferro_json_readable(json_set(CAST("t0"."profile" AS TEXT), '$."b"', json(CAST(?1 AS TEXT)))) AS TEXT), '$."c"') AS TEXT))))
  parameter 0 Json
postgres: UPDATE "user" AS "t0" SET "profile" = (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce((SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN "document" #- ARRAY['c'] ELSE "document" END FROM (SELECT (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['b'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce($1, 'null') AS "value" OFFSET 0) AS "changed") AS "document" OFFSET 0) AS "changed"), 'null') AS "value" OFFSET 0) AS "changed")
  parameter 0 Json
"##);
}

#[test]
fn what_a_part_of_a_document_cannot_be_is_refused() {
    let refused = |document: &str, steps: &[&str], value: &dyn Fn(&mut Nodes) -> NodeRef| {
        let mut nodes = Nodes::default();
        let (document, value) = (nodes.field(document), value(&mut nodes));
        let changed = nodes.changed(document, steps, Some(value));
        line(&error(&nodes.select(Select { projection: outputs(&[changed]), ..all("User") })))
    };
    insta::assert_snapshot!(refused("name", &["a"], &Nodes::null), @"type-mismatch: `User.name`: a path leads into json");
    insta::assert_snapshot!(refused("profile", &[], &Nodes::null), @"invalid-query: `User.profile`: a part of a document has a path of one step or more");
    insta::assert_snapshot!(refused("profile", &["a\\b"], &Nodes::null), @r##"unsupported: `User.profile`: a key with quotes, backslashes or control characters: `a\b`"##);
    insta::assert_snapshot!(refused("profile", &["99999999999"], &Nodes::null), @"invalid-query: `User.profile`: `99999999999` is no position in an array");
    insta::assert_snapshot!(refused("profile", &["a"; 65], &Nodes::null), @"limit-exceeded: `User.profile`: more than 64 steps into a document");
    insta::assert_snapshot!(refused("profile", &["a"], &|it| it.field("balance")), @"type-mismatch: `User.profile`, `User.balance`: a part of a document is set to json, text, a boolean, an integer or a float, not to decimal");
    insta::assert_snapshot!(refused("profile", &["a"], &|it| it.field("tags")), @"type-mismatch: `User.profile`, `User.tags`: a part of a document is set to json, text, a boolean, an integer or a float, not to a list of text");
    let counted = |it: &mut Nodes| {
        let star = it.star();
        it.aggregate(AggregateFunction::Count, star)
    };
    insta::assert_snapshot!(refused("profile", &["a"], &counted), @"invalid-query: `count` cannot be used in a change of a document: aggregates go into the outputs, the order and `having` of a select");
}

#[test]
fn a_long_path_is_no_long_statement() {
    let long = "k".repeat(100_000);
    let steps = [long.as_str(); 64];
    let mut nodes = Nodes::default();
    let (profile, value) = (nodes.field("profile"), nodes.null());
    let changed = nodes.changed(profile, &steps, Some(value));
    let query = nodes.select(Select { projection: outputs(&[changed]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"limit-exceeded: the statement is longer than 262144 bytes");
}

#[test]
fn t1_what_may_not_be_read_is_not_what_a_document_is_changed_from() {
    let table = |readable| TableScope { readable, ..open_scope("User") };
    let hidden = |name: &str| scope(vec![table(FieldSet::Except(vec![name.into()]))]);
    let mut nodes = Nodes::default();
    let (profile, name) = (nodes.field("profile"), nodes.field("name"));
    let changed = nodes.changed(profile, &["a"], Some(name));
    let query = nodes.update(changed);
    for name in ["profile", "name"] {
        let error = scoped_error(&query, Some(&hidden(name)));
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.contains(&format!("has no field `{name}`")), "{error:?}");
    }
    scoped(&query, Some(&hidden("token")));
}

#[test]
fn t3_documents_are_changed_in_rows_in_scope_only() {
    let mut nodes = Nodes::default();
    let (profile, name) = (nodes.field("profile"), nodes.field("name"));
    let changed = nodes.changed(profile, &["a"], Some(name));
    let part = nodes.part(changed, &["a"], S::Text);
    let filter = nodes.binary(part, B::Equal, name);
    let query = nodes.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(scoped(&query, Some(&scope(vec![tenant_scope()]))), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND CASE WHEN "t0"."tenant_id" = ?1 THEN (CASE json_type(CAST(json_set(CAST("t0"."profile" AS TEXT), '$."a"', CAST("t0"."name" AS TEXT)) AS TEXT) -> '$."a"') WHEN 'text' THEN CAST(json_set(CAST("t0"."profile" AS TEXT), '$."a"', CAST("t0"."name" AS TEXT)) AS TEXT) -> '$."a"' ->> '$' END) = "t0"."name" ELSE 0 END
  forced 0 Integer
postgres: WITH "t0" AS (SELECT "id", "name", "profile", "tenant_id" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND CASE WHEN "t0"."tenant_id" = $1 THEN (CASE jsonb_typeof((SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb("t0"."name"), 'null') AS "value" OFFSET 0) AS "changed") -> 'a') WHEN 'string' THEN (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t0"."profile" AS "document", coalesce(to_jsonb("t0"."name"), 'null') AS "value" OFFSET 0) AS "changed") -> 'a' #>> '{}' END) = "t0"."name" ELSE FALSE END
  forced 0 Integer
"##);
}

#[test]
fn a_document_that_a_common_table_computes_has_a_limit() {
    let mut nodes = Nodes::default();
    let profile = nodes.field("profile");
    let doubled = nodes.changed(profile, &["a"], Some(profile));
    let listed = Select { projection: outputs(&[doubled]), ..all("User") };
    let mut query = nodes.query(vec![listed, all("grown")], Statement::Select(1));
    query.common = vec![CommonTable { name: "grown".into(), rows: 0, step: None }];
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: WITH "common0" ("c0") AS (SELECT CASE WHEN length(ferro_json_readable(json_set(CAST("t1"."profile" AS TEXT), '$."a"', json(CAST("t1"."profile" AS TEXT))))) > 1000000 THEN abs(-9223372036854775808) ELSE ferro_json_readable(json_set(CAST("t1"."profile" AS TEXT), '$."a"', json(CAST("t1"."profile" AS TEXT)))) END FROM "user" AS "t1") SELECT "t0"."c0" FROM "common0" AS "t0"
postgres: WITH "common0" ("c0") AS (SELECT CASE WHEN length(CAST((SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t1"."profile" AS "document", coalesce("t1"."profile", 'null') AS "value" OFFSET 0) AS "changed") AS text)) > 1000000 THEN to_jsonb(9223372036854775807 + length(CAST((SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t1"."profile" AS "document", coalesce("t1"."profile", 'null') AS "value" OFFSET 0) AS "changed") AS text))) ELSE (SELECT CASE WHEN jsonb_path_exists("document", 'strict $ ? (@.type() == "object")', silent => TRUE) THEN jsonb_set("document", ARRAY['a'], "value") ELSE "document" END FROM (SELECT "t1"."profile" AS "document", coalesce("t1"."profile", 'null') AS "value" OFFSET 0) AS "changed") END FROM "user" AS "t1") SELECT "t0"."c0" FROM "common0" AS "t0"
"##);
}
