//! Random queries over random rows: SQLite, PostgreSQL and an evaluator in memory find the same.

use std::collections::BTreeMap;

use ferro_wit::policy::Scope;
use ferro_wit::schema::Schema;
use ferro_wit::types::Value;

use crate::evaluator::{Memory, Row, evaluate};
use crate::random::{Generator, Random, comparable, first_tenant};
use crate::world::World;
use crate::{blog, fixture};

/// Sets of rows, and queries over each.
const SETS: u64 = 4;
const QUERIES: u64 = 150;

const NAMES: [&str; 6] = ["Ada", "ada", "one", "red", " x", ""];

struct Data {
    random: Generator,
    rows: BTreeMap<String, Vec<Row>>,
}

impl Data {
    fn memory(seed: u64) -> Memory {
        let mut data = Self { random: Generator::new(seed), rows: BTreeMap::new() };
        data.fill();
        let mut pairs = Vec::new();
        for post in 1..=8 {
            for tag in 1..=3 {
                if data.random.below(3) == 0 {
                    pairs.push((Value::Integer(post), Value::Integer(tag)));
                }
            }
        }
        let Schema { mut models, enums } = fixture::schema();
        models.extend(blog::schema().models);
        Memory { schema: Schema { models, enums }, rows: data.rows, pairs }
    }

    fn fill(&mut self) {
        for id in 1..=6 {
            let boss = self.maybe(6);
            let row = [("boss_id", boss), ("secret", "x".into())];
            self.add("Author", id, &["tenant_id"], &["name"], &row);
            if self.random.below(2) == 0 {
                let author = [("author_id", Value::Integer(id))];
                self.add("Profile", id, &[], &["bio"], &author);
            }
        }
        for id in 1..=8 {
            let row = [
                ("author_id", self.number(6)),
                ("editor_id", self.maybe(6)),
                ("stars", self.maybe(5)),
            ];
            self.add("Post", id, &["tenant_id"], &["title"], &row);
            for label in 1..=2 {
                if self.random.below(3) == 0 {
                    let pair = [("post_id", id), ("label_id", label)];
                    let pair = pair.map(|(name, id)| (name, Value::Integer(id)));
                    self.add("PostLabel", 0, &["tenant_id"], &[], &pair);
                }
            }
        }
        for id in 1..=10 {
            let row = [("post_id", self.number(8)), ("stars", self.maybe(5))];
            self.add("Comment", id, &["tenant_id"], &["body"], &row);
        }
        for id in 1..=3 {
            self.add("Tag", id, &["tenant_id"], &["name"], &[]);
            let moods = [Value::Null, "sad".into(), "so-so".into(), "glad".into()];
            let mood = moods[self.random.below(4)].clone();
            let names = [format!("{id}@x"), format!("n{id}")].map(Value::Text);
            let [email, name] = names;
            let row = [("age", self.maybe(4)), ("mood", mood), ("email", email), ("name", name)];
            self.add("User", id, &["tenant_id"], &[], &row);
            for team in ["blue", "red"] {
                if self.random.below(2) == 0 {
                    let note = [Value::Null, "x".into()][self.random.below(2)].clone();
                    let row =
                        [("user_id", Value::Integer(id)), ("team", team.into()), ("note", note)];
                    self.add("Membership", 0, &[], &[], &row);
                }
            }
        }
        for id in 1..=2 {
            self.add("Label", id, &[], &["name"], &[]);
        }
    }

    fn number(&mut self, most: usize) -> Value {
        Value::Integer(i64::try_from(1 + self.random.below(most)).unwrap())
    }

    fn maybe(&mut self, most: usize) -> Value {
        if self.random.below(4) == 0 { Value::Null } else { self.number(most) }
    }

    /// A row with an id, if it is not 0, random small numbers and texts, and what is given.
    fn add(
        &mut self,
        model: &str,
        id: i64,
        numbers: &[&str],
        texts: &[&str],
        given: &[(&str, Value)],
    ) {
        let mut row: Row =
            given.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect();
        if id > 0 {
            row.insert("id".into(), Value::Integer(id));
        }
        for name in numbers {
            row.insert((*name).into(), self.number(2));
        }
        for name in texts {
            row.insert((*name).into(), self.random.pick(&NAMES).into());
        }
        self.rows.entry(model.to_owned()).or_default().push(row);
    }
}

/// The rows that the first tenant may see, as if there were no others.
fn of_tenant(memory: &Memory, scope: &Scope) -> Memory {
    let mut memory = memory.clone();
    for table in scope.tables.iter().filter(|it| !it.filters.is_empty()) {
        let rows = memory.rows.entry(table.model.clone()).or_default();
        rows.retain(|it| it["tenant_id"] == Value::Integer(1));
    }
    memory
}

/// What a user has beside what random queries look at: names and values, for each database.
const REST: [[&str; 2]; 2] = [
    [
        "balance, token, active, tags, created",
        "'1', x'00000000000000000000000000000001', 1, '[]', \
      '2024-05-06 07:08:09.000000+00:00'",
    ],
    [
        "balance, token, active, tags, created",
        "1, '00000000-0000-0000-0000-000000000001', true, '{}', \
      '2024-05-06 07:08:09+00'",
    ],
];

/// The rows as statements, models first that others refer to.
fn statements(memory: &Memory, database: usize) -> Vec<String> {
    let models = [
        ("Author", "author"),
        ("Profile", "profile"),
        ("Post", "post"),
        ("Comment", "comment"),
        ("Tag", "tag"),
        ("Label", "label"),
        ("PostLabel", "post_label"),
        ("User", "\"user\""),
        ("Membership", "membership"),
    ];
    let literal = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => format!("'{text}'"),
        other => panic!("{other:?}"),
    };
    let mut all = Vec::new();
    for (model, table) in models {
        let rows = memory.rows.get(model).map_or(&[][..], Vec::as_slice);
        let Some(first) = rows.first() else { continue };
        let mut names: Vec<_> = first.keys().map(String::as_str).collect();
        let mut rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.values().map(literal).collect()).collect();
        if model == "User" {
            let [more, values] = REST[database];
            names.push(more);
            rows.iter_mut().for_each(|it| it.push(values.to_owned()));
        }
        let rows: Vec<_> = rows.iter().map(|it| format!("({})", it.join(", "))).collect();
        let (names, rows) = (names.join(", "), rows.join(", "));
        all.push(format!("INSERT INTO {table} ({names}) VALUES {rows}"));
    }
    let pairs =
        memory.pairs.iter().map(|(one, two)| format!("({}, {})", literal(one), literal(two)));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    if !pairs.is_empty() {
        all.push(format!("INSERT INTO post_tags (post_id, tag_id) VALUES {pairs}"));
    }
    all
}

#[tokio::test]
async fn random_queries_over_random_rows_mean_what_an_evaluator_in_memory_says() {
    let mut compared = 0;
    let (scope, forced) = first_tenant();
    for set in 1..=SETS {
        let memory = Data::memory(set);
        let of_tenant = of_tenant(&memory, &scope);
        let world = World::new(memory.schema.clone(), &[]).await;
        for [sqlite, postgres] in
            statements(&memory, 0).into_iter().zip(statements(&memory, 1)).map(<[String; 2]>::from)
        {
            world.run([sqlite, postgres]).await;
        }
        for seed in 1..=QUERIES {
            let seed = set * 10_000 + seed;
            let (query, parameters) = Random::query(seed);
            for (scope, forced, memory) in
                [(None, &[][..], &memory), (Some(&scope), &forced, &of_tenant)]
            {
                let outcomes = world.outcomes(&query, &parameters, scope, forced).await;
                let [Ok(sqlite), Ok(postgres)] = outcomes else {
                    // Refused alike by both: `random.rs` looks at that.
                    continue;
                };
                let sql = || {
                    fixture::BOTH.map(|it| {
                        world.catalog.compile(&query, it, scope).map(|it| it.steps[0].sql.clone())
                    })
                };
                // What goes past 64 bits in a row that a database did not have to look at.
                let Ok(memory) = evaluate(memory, &query, &parameters) else { continue };
                let [memory, sqlite, postgres] =
                    [memory, sqlite, postgres].map(|it| comparable(&query, it));
                assert_eq!(sqlite, memory, "SQLite, seed {seed}: {:#?} {parameters:?}", sql());
                assert_eq!(
                    postgres,
                    memory,
                    "PostgreSQL, seed {seed}: {:#?} {parameters:?}",
                    sql()
                );
                compared += 1;
            }
        }
    }
    // Else the test would show nothing.
    assert!(compared > SETS * QUERIES, "{compared} of {} compared", 2 * SETS * QUERIES);
}
