//! Expressions, each as a filter or an output of a select of users.

use ferro_wit::query::{BinaryOperator, Literal, Node, NodeRef, Select, UnaryOperator};
use ferro_wit::types::{ErrorKind, ScalarType};

use crate::fixture::*;

/// Only what follows `WHERE`, on each database.
fn filter(build: impl Fn(&mut Nodes) -> NodeRef) -> String {
    let mut nodes = Nodes::default();
    let filter = build(&mut nodes);
    shorten(&plan(&nodes.select(Select { filter: Some(filter), ..ids() })), " WHERE ")
}

/// Only what is listed, on each database.
fn output(build: impl Fn(&mut Nodes) -> NodeRef) -> String {
    let mut nodes = Nodes::default();
    let output = build(&mut nodes);
    let text = plan(&nodes.select(Select { projection: outputs(&[output]), ..all("User") }));
    shorten(&text, "SELECT ").replace(" FROM \"user\" AS \"t0\"", "")
}

fn shorten(plan: &str, after: &str) -> String {
    let lines = plan.lines().filter(|line| !line.starts_with(' '));
    let short = lines.map(|line| match (line.split_once(": "), line.split_once(after)) {
        (Some((dialect, _)), Some((_, rest))) => format!("{dialect}: {rest}"),
        _ => line.to_owned(),
    });
    short.collect::<Vec<_>>().join("\n")
}

fn fault(build: impl Fn(&mut Nodes) -> NodeRef) -> String {
    let mut nodes = Nodes::default();
    let filter = build(&mut nodes);
    line(&error(&nodes.select(Select { filter: Some(filter), ..ids() })))
}

fn compare(name: &'static str, operator: BinaryOperator, kind: ScalarType) -> String {
    filter(|it| it.test(name, operator, 0, kind))
}

#[test]
fn comparisons() {
    use BinaryOperator as B;
    insta::assert_snapshot!(compare("age", B::Equal, ScalarType::Integer), @r##"
sqlite: "t0"."age" = ?1
postgres: "t0"."age" = $1
"##);
    insta::assert_snapshot!(compare("age", B::NotEqual, ScalarType::Integer), @r##"
sqlite: "t0"."age" <> ?1
postgres: "t0"."age" <> $1
"##);
    insta::assert_snapshot!(compare("name", B::Less, ScalarType::Text), @r##"
sqlite: "t0"."name" < ?1
postgres: "t0"."name" < $1
"##);
    insta::assert_snapshot!(compare("created_at", B::GreaterOrEqual, ScalarType::Timestamptz), @r##"
sqlite: "t0"."created" >= ?1
postgres: "t0"."created" >= $1
"##);
    insta::assert_snapshot!(compare("token", B::IsDistinct, ScalarType::Uuid), @r##"
sqlite: "t0"."token" IS DISTINCT FROM ?1
postgres: "t0"."token" IS DISTINCT FROM $1
"##);
    insta::assert_snapshot!(compare("active", B::IsNotDistinct, ScalarType::Boolean), @r##"
sqlite: "t0"."active" IS NOT DISTINCT FROM ?1
postgres: "t0"."active" IS NOT DISTINCT FROM $1
"##);
}

#[test]
fn whole_numbers_compare_with_floats_and_decimals() {
    use BinaryOperator as B;
    insta::assert_snapshot!(compare("score", B::Less, ScalarType::Integer), @r##"
sqlite: "t0"."score" < ?1
postgres: "t0"."score" < $1
"##);
    insta::assert_snapshot!(compare("balance", B::Less, ScalarType::Integer), @r##"
sqlite: "t0"."balance" < CAST(?1 AS TEXT)
postgres: "t0"."balance" < $1
"##);
    insta::assert_snapshot!(compare("age", B::Less, ScalarType::Decimal), @r##"
sqlite: CAST("t0"."age" AS TEXT) COLLATE "ferro_decimal" < ?1
postgres: "t0"."age" < $1
"##);
}

#[test]
fn decimals_compare_as_numbers_on_sqlite_wherever_they_stand() {
    use BinaryOperator as B;
    insta::assert_snapshot!(compare("balance", B::Greater, ScalarType::Decimal), @r##"
sqlite: "t0"."balance" > ?1
postgres: "t0"."balance" > $1
"##);
    insta::assert_snapshot!(filter(|it| {
        let parameter = it.parameter(0, ScalarType::Decimal);
        let balance = it.field("balance");
        it.binary(parameter, B::Greater, balance)
    }), @r##"
sqlite: ?1 COLLATE "ferro_decimal" > "t0"."balance"
postgres: $1 > "t0"."balance"
"##);
    insta::assert_snapshot!(filter(|it| {
        let balance = it.field("balance");
        let lower = it.integer(-5);
        let upper = it.parameter(0, ScalarType::Decimal);
        it.add(Node::Between((balance, lower, upper)))
    }), @r##"
sqlite: "t0"."balance" BETWEEN CAST((-5) AS TEXT) AND ?1
postgres: "t0"."balance" BETWEEN (-5) AND $1
"##);
}

#[test]
fn values_of_an_enum_are_cast_to_its_type_and_back() {
    use BinaryOperator as B;
    insta::assert_snapshot!(compare("mood", B::Equal, ScalarType::Text), @r##"
sqlite: "t0"."mood" = ?1
postgres: "t0"."mood" = CAST($1 AS "mood")
"##);
    insta::assert_snapshot!(compare("mood", B::StartsWith, ScalarType::Text), @r##"
sqlite: substr("t0"."mood", 1, length(?1)) = ?1
postgres: starts_with(CAST("t0"."mood" AS text), $1)
"##);
    insta::assert_snapshot!(filter(|it| {
        let (mood, name) = (it.field("mood"), it.field("name"));
        it.binary(mood, B::Equal, name)
    }), @r##"
sqlite: "t0"."mood" = "t0"."name"
postgres: CAST("t0"."mood" AS text) = "t0"."name"
"##);
    insta::assert_snapshot!(filter(|it| {
        let (mood, list) = (it.field("mood"), it.list(0, ScalarType::Text));
        it.binary(mood, B::InList, list)
    }), @r##"
sqlite: "t0"."mood" IN (SELECT value FROM json_each(coalesce(?1, '[null]')))
postgres: "t0"."mood" = ANY(CAST($1 AS "mood"[]))
"##);
    insta::assert_snapshot!(output(|it| it.field("mood")), @r##"
sqlite: "t0"."mood"
postgres: CAST("t0"."mood" AS text)
"##);
}

#[test]
fn nulls_and_truth() {
    use UnaryOperator as U;
    let unary = |operator, name: &'static str| {
        filter(move |it| {
            let operand = it.field(name);
            it.unary(operator, operand)
        })
    };
    insta::assert_snapshot!(unary(U::IsNull, "age"), @r##"
sqlite: "t0"."age" IS NULL
postgres: "t0"."age" IS NULL
"##);
    insta::assert_snapshot!(unary(U::IsNotNull, "mood"), @r##"
sqlite: "t0"."mood" IS NOT NULL
postgres: "t0"."mood" IS NOT NULL
"##);
    insta::assert_snapshot!(unary(U::Not, "active"), @r##"
sqlite: NOT "t0"."active"
postgres: NOT "t0"."active"
"##);
    insta::assert_snapshot!(unary(U::IsTrue, "active"), @r##"
sqlite: "t0"."active" IS 1
postgres: "t0"."active" IS TRUE
"##);
    insta::assert_snapshot!(unary(U::IsFalse, "active"), @r##"
sqlite: "t0"."active" IS 0
postgres: "t0"."active" IS FALSE
"##);
    insta::assert_snapshot!(filter(|it| it.add(Node::Literal(Literal::Boolean(true)))), @r##"
sqlite: 1
postgres: TRUE
"##);
    insta::assert_snapshot!(filter(|it| {
        let (age, null) = (it.field("age"), it.null());
        it.binary(age, BinaryOperator::Equal, null)
    }), @r##"
sqlite: "t0"."age" = NULL
postgres: "t0"."age" = NULL
"##);
}

#[test]
fn conjunctions_and_disjunctions_keep_their_grouping() {
    use BinaryOperator as B;
    insta::assert_snapshot!(filter(|it| {
        let one = it.test("age", B::Equal, 0, ScalarType::Integer);
        let other = it.test("name", B::Equal, 1, ScalarType::Text);
        let any = it.add(Node::AnyOf(vec![one, other]));
        let not = it.unary(UnaryOperator::Not, any);
        let all = it.add(Node::AllOf(vec![any, not, one]));
        it.add(Node::AnyOf(vec![all, other]))
    }), @r##"
sqlite: ((("t0"."age" = ?1 OR "t0"."name" = ?2) AND NOT ("t0"."age" = ?1 OR "t0"."name" = ?2) AND "t0"."age" = ?1) OR "t0"."name" = ?2)
postgres: ((("t0"."age" = $1 OR "t0"."name" = $2) AND NOT ("t0"."age" = $1 OR "t0"."name" = $2) AND "t0"."age" = $1) OR "t0"."name" = $2)
"##);
    insta::assert_snapshot!(filter(|it| it.add(Node::AllOf(vec![]))), @r##"
sqlite: (1)
postgres: (TRUE)
"##);
    insta::assert_snapshot!(filter(|it| it.add(Node::AnyOf(vec![]))), @r##"
sqlite: (0)
postgres: (FALSE)
"##);
}

#[test]
fn many_terms_are_nested_as_little_as_they_can_be() {
    let text = filter(|it| {
        let terms = (0..4000).map(|_| it.field("active")).collect::<Vec<_>>();
        let terms = terms.into_iter().take(4000).collect();
        it.add(Node::AnyOf(terms))
    });
    let depth = text.lines().map(|line| {
        let mut deepest = 0_usize;
        let mut depth = 0_usize;
        for character in line.chars() {
            depth = match character {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            deepest = deepest.max(depth);
        }
        deepest
    });
    assert!(depth.max().unwrap() < 5);
}

#[test]
fn arithmetic_has_64_bits_and_no_error_for_a_division_by_zero() {
    use BinaryOperator as B;
    let calculate =
        |operator, name: &'static str, kind| output(move |it| it.test(name, operator, 0, kind));
    insta::assert_snapshot!(calculate(B::Add, "age", ScalarType::Integer), @r##"
sqlite: "t0"."age" + ?1
postgres: CAST("t0"."age" AS bigint) + $1
"##);
    insta::assert_snapshot!(calculate(B::Subtract, "score", ScalarType::Integer), @r##"
sqlite: "t0"."score" - ?1
postgres: CAST("t0"."score" AS double precision) - $1
"##);
    insta::assert_snapshot!(calculate(B::Multiply, "score", ScalarType::Float), @r##"
sqlite: "t0"."score" * ?1
postgres: CAST("t0"."score" AS double precision) * $1
"##);
    insta::assert_snapshot!(calculate(B::Divide, "age", ScalarType::Integer), @r##"
sqlite: "t0"."age" / ?1
postgres: CAST("t0"."age" AS bigint) / NULLIF($1, 0)
"##);
    insta::assert_snapshot!(calculate(B::Modulo, "age", ScalarType::Integer), @r##"
sqlite: "t0"."age" % ?1
postgres: CAST("t0"."age" AS bigint) % NULLIF($1, 0)
"##);
    insta::assert_snapshot!(calculate(B::Multiply, "balance", ScalarType::Decimal), @r##"
sqlite: ferro_multiply("t0"."balance", ?1)
postgres: "t0"."balance" * $1
"##);
    insta::assert_snapshot!(output(|it| {
        let age = it.field("age");
        let one = it.integer(-1);
        let sum = it.binary(age, B::Subtract, one);
        let negated = it.unary(UnaryOperator::Negate, sum);
        it.unary(UnaryOperator::Negate, negated)
    }), @r##"
sqlite: -(-("t0"."age" - (-1)))
postgres: -(-(CAST("t0"."age" AS bigint) - CAST((-1) AS bigint)))
"##);
    insta::assert_snapshot!(output(|it| it.integer(i64::MIN)), @r##"
sqlite: (-9223372036854775808)
postgres: CAST('-9223372036854775808' AS bigint)
"##);
}

#[test]
fn texts_are_matched_with_case_or_without_and_needles_are_no_patterns() {
    use BinaryOperator as B;
    for operator in
        [B::Like, B::NotLike, B::Ilike, B::NotIlike, B::Contains, B::StartsWith, B::EndsWith]
    {
        assert!(!compare("name", operator, ScalarType::Text).contains("error"));
    }
    insta::assert_snapshot!(compare("name", B::Like, ScalarType::Text), @r##"
sqlite: "t0"."name" LIKE ?1 ESCAPE '\'
postgres: "t0"."name" LIKE $1
"##);
    insta::assert_snapshot!(compare("name", B::NotLike, ScalarType::Text), @r##"
sqlite: "t0"."name" NOT LIKE ?1 ESCAPE '\'
postgres: "t0"."name" NOT LIKE $1
"##);
    insta::assert_snapshot!(compare("name", B::Ilike, ScalarType::Text), @r##"
sqlite: lower("t0"."name") LIKE lower(?1) ESCAPE '\'
postgres: "t0"."name" ILIKE $1
"##);
    insta::assert_snapshot!(compare("name", B::NotIlike, ScalarType::Text), @r##"
sqlite: lower("t0"."name") NOT LIKE lower(?1) ESCAPE '\'
postgres: "t0"."name" NOT ILIKE $1
"##);
    insta::assert_snapshot!(compare("name", B::Contains, ScalarType::Text), @r##"
sqlite: instr("t0"."name", ?1) > 0
postgres: strpos("t0"."name", $1) > 0
"##);
    insta::assert_snapshot!(compare("name", B::StartsWith, ScalarType::Text), @r##"
sqlite: substr("t0"."name", 1, length(?1)) = ?1
postgres: starts_with("t0"."name", $1)
"##);
    insta::assert_snapshot!(compare("name", B::EndsWith, ScalarType::Text), @r##"
sqlite: substr("t0"."name", length("t0"."name") - length(?1) + 1) = ?1
postgres: right("t0"."name", length($1)) = $1
"##);
    insta::assert_snapshot!(output(|it| it.test("name", B::Concat, 0, ScalarType::Text)), @r##"
sqlite: "t0"."name" || ?1
postgres: "t0"."name" || $1
"##);
}

#[test]
fn lists_are_one_bind_however_long_they_are() {
    use BinaryOperator as B;
    let list = |name: &'static str, operator, kind| {
        filter(move |it| {
            let (value, list) = (it.field(name), it.list(0, kind));
            it.binary(value, operator, list)
        })
    };
    insta::assert_snapshot!(list("age", B::InList, ScalarType::Integer), @r##"
sqlite: "t0"."age" IN (SELECT value FROM json_each(coalesce(?1, '[null]')))
postgres: "t0"."age" = ANY($1)
"##);
    insta::assert_snapshot!(list("name", B::NotInList, ScalarType::Text), @r##"
sqlite: "t0"."name" NOT IN (SELECT value FROM json_each(coalesce(?1, '[null]')))
postgres: "t0"."name" <> ALL($1)
"##);
    insta::assert_snapshot!(list("token", B::InList, ScalarType::Uuid), @r##"
sqlite: "t0"."token" IN (SELECT unhex(value) FROM json_each(coalesce(?1, '[null]')))
postgres: "t0"."token" = ANY($1)
"##);
    insta::assert_snapshot!(list("balance", B::InList, ScalarType::Decimal), @r##"
sqlite: "t0"."balance" IN (SELECT value FROM json_each(coalesce(?1, '[null]')))
postgres: "t0"."balance" = ANY($1)
"##);
    insta::assert_snapshot!(filter(|it| {
        let (value, list) = (it.parameter(0, ScalarType::Text), it.field("tags"));
        it.binary(value, B::InList, list)
    }), @r##"
sqlite: ?1 IN (SELECT value FROM json_each(CAST("t0"."tags" AS TEXT)))
postgres: $1 = ANY("t0"."tags")
"##);
}

#[test]
fn functions_of_the_closed_list() {
    let call = |name: &'static str, arguments: &'static [&'static str]| {
        output(move |it| {
            let arguments: Vec<_> = arguments.iter().map(|name| it.field(name)).collect();
            it.call(name, &arguments)
        })
    };
    insta::assert_snapshot!(call("lower", &["name"]), @r##"
sqlite: lower("t0"."name")
postgres: lower("t0"."name")
"##);
    insta::assert_snapshot!(call("upper", &["mood"]), @r##"
sqlite: upper("t0"."mood")
postgres: upper(CAST("t0"."mood" AS text))
"##);
    insta::assert_snapshot!(call("trim", &["name"]), @r##"
sqlite: trim("t0"."name")
postgres: trim("t0"."name")
"##);
    insta::assert_snapshot!(call("length", &["avatar"]), @r##"
sqlite: length("t0"."avatar")
postgres: length("t0"."avatar")
"##);
    insta::assert_snapshot!(call("abs", &["age"]), @r##"
sqlite: abs("t0"."age")
postgres: abs(CAST("t0"."age" AS bigint))
"##);
    insta::assert_snapshot!(call("round", &["score"]), @r##"
sqlite: CASE WHEN "t0"."score" BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST(CAST("t0"."score" AS INTEGER) + ("t0"."score" - CAST("t0"."score" AS INTEGER) >= 0.5) - ("t0"."score" - CAST("t0"."score" AS INTEGER) <= -0.5) AS REAL) ELSE "t0"."score" END
postgres: (trunc("t0"."score") + CASE WHEN abs("t0"."score" - trunc("t0"."score")) >= 0.5 THEN sign("t0"."score") ELSE 0 END)
"##);
    insta::assert_snapshot!(call("null-if", &["balance", "balance"]), @r##"
sqlite: nullif("t0"."balance", "t0"."balance")
postgres: nullif("t0"."balance", "t0"."balance")
"##);
    insta::assert_snapshot!(call("year", &["created_at"]), @r##"
sqlite: CAST(substr("t0"."created", 1, 4) AS INTEGER)
postgres: CAST(EXTRACT(YEAR FROM "t0"."created" AT TIME ZONE 'UTC') AS bigint)
"##);
    insta::assert_snapshot!(call("truncate-month", &["born"]), @r##"
sqlite: (substr("t0"."born", 1, 7) || '-01')
postgres: CAST(date_trunc('month', CAST("t0"."born" AS timestamp)) AS date)
"##);
    insta::assert_snapshot!(call("days-between", &["born", "born"]), @r##"
sqlite: CAST(julianday("t0"."born") - julianday("t0"."born") AS INTEGER)
postgres: CAST("t0"."born" - "t0"."born" AS bigint)
"##);
    insta::assert_snapshot!(output(|it| {
        let (name, two) = (it.field("name"), it.integer(2));
        it.call("substring", &[name, two])
    }), @r##"
sqlite: substr("t0"."name", 2)
postgres: substr("t0"."name", 2)
"##);
    insta::assert_snapshot!(call("ceiling", &["balance"]), @r##"
sqlite: ferro_ceiling("t0"."balance")
postgres: ceil("t0"."balance")
"##);
    insta::assert_snapshot!(output(|it| {
        let (balance, two) = (it.field("balance"), it.integer(2));
        it.call("round", &[balance, two])
    }), @r##"
sqlite: ferro_round("t0"."balance", 2)
postgres: round("t0"."balance", 2)
"##);
    insta::assert_snapshot!(fault(|it| {
        let (balance, many) = (it.field("balance"), it.integer(101));
        it.call("round", &[balance, many])
    }), @"value-out-of-range: `User.balance`: the numbers of `round` are literals from 0 to 100");
    insta::assert_snapshot!(fault(|it| {
        let (name, none) = (it.field("name"), it.integer(0));
        it.call("right", &[name, none])
    }), @"value-out-of-range: `User.name`: the numbers of `right` are literals from 1 to 2147483647");
    insta::assert_snapshot!(fault(|it| {
        let (score, two) = (it.field("score"), it.integer(2));
        it.call("round", &[score, two])
    }), @"type-mismatch: `User.score`: `round` does not take float and a number of digits");
    insta::assert_snapshot!(fault(|it| {
        let (name, age) = (it.field("name"), it.field("age"));
        it.call("left", &[name, age])
    }), @"type-mismatch: `User.name`, `User.age`: the numbers of `left` are literals from 1 to 2147483647");
    insta::assert_snapshot!(fault(|it| {
        let born = it.field("born");
        it.call("hour", &[born])
    }), @"type-mismatch: `User.born`: `hour` does not take date");
    insta::assert_snapshot!(call("coalesce", &["mood", "name"]), @r##"
sqlite: coalesce("t0"."mood", "t0"."name")
postgres: coalesce(CAST("t0"."mood" AS text), "t0"."name")
"##);
}

#[test]
fn one_of_several_values_of_an_enum_is_one_too() {
    use BinaryOperator as B;
    insta::assert_snapshot!(output(|it| {
        let (mood, given) = (it.field("mood"), it.parameter(0, ScalarType::Text));
        it.call("coalesce", &[mood, given])
    }), @r##"
sqlite: coalesce("t0"."mood", ?1)
postgres: CAST(coalesce("t0"."mood", CAST($1 AS "mood")) AS text)
"##);
    insta::assert_snapshot!(filter(|it| {
        let (mood, given) = (it.field("mood"), it.parameter(0, ScalarType::Text));
        let (either, other) = (it.call("coalesce", &[mood, given]), it.call("null-if", &[mood, given]));
        it.binary(either, B::NotEqual, other)
    }), @r##"
sqlite: coalesce("t0"."mood", ?1) <> nullif("t0"."mood", ?1)
postgres: coalesce("t0"."mood", CAST($1 AS "mood")) <> nullif("t0"."mood", CAST($1 AS "mood"))
"##);
    insta::assert_snapshot!(filter(|it| {
        let (mood, null) = (it.field("mood"), it.null());
        let given = it.parameter(0, ScalarType::Text);
        let both = it.call("coalesce", &[null, given]);
        let test = it.test("age", B::Less, 1, ScalarType::Integer);
        let case = it.case(&[(test, mood), (test, both)], Some(null));
        it.binary(case, B::Equal, both)
    }), @r##"
sqlite: CASE WHEN "t0"."age" < ?1 THEN "t0"."mood" WHEN "t0"."age" < ?1 THEN coalesce(NULL, ?2) ELSE NULL END = coalesce(NULL, ?2)
postgres: CASE WHEN "t0"."age" < $1 THEN "t0"."mood" WHEN "t0"."age" < $1 THEN CAST(coalesce(NULL, $2) AS "mood") ELSE NULL END = CAST(coalesce(NULL, $2) AS "mood")
"##);
    insta::assert_snapshot!(output(|it| {
        let (mood, name) = (it.field("mood"), it.field("name"));
        it.call("null-if", &[mood, name])
    }), @r##"
sqlite: nullif("t0"."mood", "t0"."name")
postgres: nullif(CAST("t0"."mood" AS text), "t0"."name")
"##);
    insta::assert_snapshot!(fault(|it| {
        let (mood, given) = (it.field("mood"), it.parameter(0, ScalarType::Text));
        let either = it.call("coalesce", &[mood, given]);
        it.binary(either, B::Less, given)
    }), @"unsupported: `User.mood`: comparing enum `mood` by its order is not supported");
}

#[test]
fn t9_there_is_no_other_function() {
    for name in [
        "pg_read_file",
        "pg_sleep",
        "load_extension",
        "LOWER",
        "lower\"",
        "randomblob",
        "set_config",
    ] {
        let mut nodes = Nodes::default();
        let argument = nodes.field("name");
        let call = nodes.call(name, &[argument]);
        let fault = error(&nodes.select(Select { projection: outputs(&[call]), ..all("User") }));
        assert_eq!(fault.kind, ErrorKind::Denied, "{name}");
    }
    insta::assert_snapshot!(fault(|it| {
        let name = it.field("name");
        it.call("lenght", &[name])
    }), @"denied: `User.name`: there is no function `lenght`; did you mean `length`?");
}

#[test]
fn casts_that_mean_the_same_everywhere() {
    let cast = |name: &'static str, kind| {
        output(move |it| {
            let operand = it.field(name);
            it.add(Node::Cast((operand, kind)))
        })
    };
    insta::assert_snapshot!(cast("age", ScalarType::Text), @r##"
sqlite: CAST("t0"."age" AS TEXT)
postgres: CAST("t0"."age" AS text)
"##);
    insta::assert_snapshot!(cast("age", ScalarType::Float), @r##"
sqlite: CAST("t0"."age" AS REAL)
postgres: CAST("t0"."age" AS double precision)
"##);
    insta::assert_snapshot!(cast("age", ScalarType::Decimal), @r##"
sqlite: CAST("t0"."age" AS TEXT)
postgres: CAST("t0"."age" AS numeric)
"##);
    insta::assert_snapshot!(cast("balance", ScalarType::Text), @r##"
sqlite: ("t0"."balance" || '')
postgres: CAST("t0"."balance" AS text)
"##);
    insta::assert_snapshot!(cast("mood", ScalarType::Text), @r##"
sqlite: "t0"."mood"
postgres: CAST("t0"."mood" AS text)
"##);
    insta::assert_snapshot!(cast("name", ScalarType::Integer), @r##"
sqlite: unsupported: `User.name`: a cast from text to integer is not supported
postgres: unsupported: `User.name`: a cast from text to integer is not supported
"##);
}

#[test]
fn types_that_clash_are_named_before_any_sql() {
    use BinaryOperator as B;
    insta::assert_snapshot!(fault(|it| it.test("age", B::Equal, 0, ScalarType::Text)), @"type-mismatch: `User.age`: integer cannot be compared with text");
    insta::assert_snapshot!(fault(|it| it.test("born", B::Less, 0, ScalarType::Timestamp)), @"type-mismatch: `User.born`: date cannot be compared with timestamp");
    insta::assert_snapshot!(fault(|it| it.test("score", B::Equal, 0, ScalarType::Decimal)), @"type-mismatch: `User.score`: float cannot be compared with decimal");
    insta::assert_snapshot!(fault(|it| it.test("age", B::Like, 0, ScalarType::Text)), @"type-mismatch: `User.age`: expected text on both sides, got integer and text");
    insta::assert_snapshot!(fault(|it| {
        let (age, null) = (it.field("age"), it.null());
        it.binary(age, B::Concat, null)
    }), @"type-mismatch: `User.age`: expected text on both sides, got integer and a bare null");
    insta::assert_snapshot!(fault(|it| {
        let (age, null) = (it.field("age"), it.null());
        it.binary(age, B::Add, null)
    }), @"type-mismatch: `User.age`: expected a number, got a bare null: use a parameter");
    insta::assert_snapshot!(fault(|it| {
        let (score, age) = (it.field("score"), it.field("age"));
        it.binary(score, B::Modulo, age)
    }), @"type-mismatch: `User.score`, `User.age`: expected whole numbers on both sides, got float and integer");
    insta::assert_snapshot!(fault(|it| it.test("profile", B::JsonContains, 0, ScalarType::Text)), @"type-mismatch: `User.profile`: expected json on both sides, got json and text");
    insta::assert_snapshot!(fault(|it| it.test("name", B::Add, 0, ScalarType::Integer)), @"type-mismatch: `User.name`: expected a number, got text");
    insta::assert_snapshot!(fault(|it| it.test("age", B::InList, 0, ScalarType::Integer)), @"type-mismatch: `User.age`: expected a list on the right side, a parameter with `many` or an array, got integer");
    insta::assert_snapshot!(fault(|it| it.field("age")), @"type-mismatch: `User.age`: expected a boolean as a condition, got integer");
    insta::assert_snapshot!(fault(|it| {
        let age = it.field("age");
        it.unary(UnaryOperator::Not, age)
    }), @"type-mismatch: `User.age`: expected a boolean, got integer");
    insta::assert_snapshot!(fault(|it| {
        let (age, list) = (it.field("age"), it.list(0, ScalarType::Text));
        it.binary(age, B::NotInList, list)
    }), @"type-mismatch: `User.age`: integer cannot be in a list of text");
    insta::assert_snapshot!(fault(|it| {
        let (name, age) = (it.field("name"), it.field("age"));
        let both = it.call("coalesce", &[name, age]);
        it.unary(UnaryOperator::IsNull, both)
    }), @"type-mismatch: `User.name`, `User.age`: `coalesce` takes values of one type: text and integer");
}

#[test]
fn what_the_databases_compare_in_different_ways_is_refused() {
    use BinaryOperator as B;
    insta::assert_snapshot!(fault(|it| it.test("mood", B::Less, 0, ScalarType::Text)), @"unsupported: `User.mood`: comparing enum `mood` by its order is not supported");
    insta::assert_snapshot!(filter(|it| it.test("break", B::Less, 0, ScalarType::Interval)), @r##"
sqlite: unsupported: `User.break`: comparing intervals is not supported on SQLite
postgres: "t0"."break" < $1
"##);
}

#[test]
fn a_parameter_has_one_type() {
    let mut nodes = Nodes::default();
    let one = nodes.test("age", BinaryOperator::Equal, 0, ScalarType::Integer);
    let other = nodes.test("name", BinaryOperator::Equal, 0, ScalarType::Text);
    let filter = nodes.add(Node::AllOf(vec![one, other]));
    let query = nodes.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(line(&error(&query)), @"type-mismatch: parameter 0 has two types in the query: integer and text");
}

#[test]
fn parameters_are_numbered_without_gaps() {
    insta::assert_snapshot!(fault(|it| it.test("age", BinaryOperator::Equal, 1, ScalarType::Integer)), @"invalid-query: parameter 0 is not used: parameters are numbered from 0 without gaps");
}

#[test]
fn dates_and_timestamps_are_moved() {
    let mut nodes = Nodes::default();
    let (born, at, pause) = (nodes.field("born"), nodes.field("created_at"), nodes.field("break"));
    let (days, moment) = (nodes.field("age"), nodes.parameter(0, ScalarType::Timestamptz));
    let later = nodes.binary(at, BinaryOperator::Add, pause);
    let listed = [
        nodes.binary(born, BinaryOperator::Add, days),
        nodes.binary(born, BinaryOperator::Subtract, days),
        nodes.binary(at, BinaryOperator::Subtract, pause),
        nodes.binary(later, BinaryOperator::Subtract, moment),
        nodes.call("truncate-week", &[later]),
        nodes.call("quarter", &[at]),
    ];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT ferro_add_days("t0"."born", "t0"."age"), ferro_add_days("t0"."born", -"t0"."age"), ferro_subtract_interval("t0"."created", "t0"."break"), ferro_interval_between((ferro_add_interval("t0"."created", "t0"."break")), ?1), (date(substr((ferro_add_interval("t0"."created", "t0"."break")), 1, 10), '-6 days', 'weekday 1') || ' 00:00:00.000000' || substr((ferro_add_interval("t0"."created", "t0"."break")), 27)), ((CAST(substr("t0"."created", 6, 2) AS INTEGER) + 2) / 3) FROM "user" AS "t0"
  parameter 0 Timestamptz
postgres: SELECT "t0"."born" + CAST("t0"."age" AS integer), "t0"."born" - CAST("t0"."age" AS integer), ("t0"."created" AT TIME ZONE 'UTC' - "t0"."break") AT TIME ZONE 'UTC', (("t0"."created" AT TIME ZONE 'UTC' + "t0"."break") AT TIME ZONE 'UTC') - $1, date_trunc('week', (("t0"."created" AT TIME ZONE 'UTC' + "t0"."break") AT TIME ZONE 'UTC'), 'UTC'), CAST(EXTRACT(QUARTER FROM "t0"."created" AT TIME ZONE 'UTC') AS bigint) FROM "user" AS "t0"
  parameter 0 Timestamptz
"##);
}

#[test]
fn only_what_moves_a_date_is_added_to_it() {
    let mut nodes = Nodes::default();
    let (born, at, pause) = (nodes.field("born"), nodes.field("created_at"), nodes.field("break"));
    let other = nodes.parameter(0, ScalarType::Timestamp);
    let pairs = [
        (born, BinaryOperator::Add, pause),
        (born, BinaryOperator::Subtract, born),
        (at, BinaryOperator::Add, at),
        (at, BinaryOperator::Subtract, other),
        (at, BinaryOperator::Multiply, pause),
        (pause, BinaryOperator::Add, at),
    ];
    let faults = pairs.map(|(left, operator, right)| {
        let mut nodes = nodes.clone();
        let listed = [nodes.binary(left, operator, right)];
        line(&error(&nodes.select(Select { projection: outputs(&listed), ..all("User") })))
    });
    insta::assert_snapshot!(faults.join("\n"), @r"
type-mismatch: `User.born`, `User.break`: expected a number, got date
type-mismatch: `User.born`: expected a number, got date
type-mismatch: `User.created_at`: expected a number, got timestamptz
type-mismatch: `User.created_at`: expected a number, got timestamptz
type-mismatch: `User.created_at`, `User.break`: expected a number, got timestamptz
type-mismatch: `User.break`, `User.created_at`: expected a number, got interval
");
}
