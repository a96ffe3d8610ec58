//! Several models with relations become any others.

use super::*;
use ferro_wit::schema::{DecimalSize, ForeignKey};

const MODELS: [&str; 3] = ["Ant", "Bee", "Cat"];

struct Any<'a> {
    random: &'a mut Generator,
    moods: Vec<String>,
}

impl Any<'_> {
    fn one_in(&mut self, many: usize) -> bool {
        self.random.below(many) == 0
    }

    fn schema(random: &mut Generator) -> Schema {
        let mut moods: Vec<String> = Vec::new();
        for _ in 0..1 + random.below(3) {
            let mood = random.pick(&["low", "high", "it's", "so-so"]).to_owned();
            if !moods.contains(&mood) {
                moods.push(mood);
            }
        }
        let mut any = Any { random, moods };
        let keys: Vec<_> = MODELS.iter().map(|_| any.key()).collect();
        let mut models: Vec<_> = (0..MODELS.len()).map(|it| any.model(it, &keys)).collect();
        if any.one_in(4) {
            let gone = any.random.below(MODELS.len());
            let name = models.remove(gone).name;
            for model in &mut models {
                model.foreign_keys.retain(|it| it.target != name);
                model.many_to_manys.retain(|it| it.target != name);
            }
        }
        if any.one_in(4) {
            let former = models[0].name.clone();
            let renamed = format!("{former}Two");
            for model in &mut models {
                let keys = model.foreign_keys.iter_mut().map(|it| &mut it.target);
                let pairs = model.many_to_manys.iter_mut().map(|it| &mut it.target);
                keys.chain(pairs).filter(|it| **it == former).for_each(|it| *it = renamed.clone());
            }
            models[0].name = renamed;
            models[0].renamed_from = Some(former);
        }
        let values = any.moods.clone();
        Schema { models, enums: vec![EnumType { name: "mood".into(), values }] }
    }

    fn key(&mut self) -> Field {
        match self.random.below(4) {
            0 => text("id"),
            1 => big("id"),
            2 => field("id", ColumnType::Uuid),
            _ => id(),
        }
    }

    fn model(&mut self, index: usize, keys: &[Field]) -> Model {
        let mut fields = vec![keys[index].clone()];
        let mut checks = Vec::new();
        for number in 0..5 {
            if self.one_in(3) {
                continue;
            }
            let name = format!("f{number}");
            let (kind, value) = self.kind();
            if self.one_in(3) {
                let comparison = self.random.pick(&[Comparison::NotEqual, Comparison::Equal]);
                checks.push(compare(&name, comparison, value.clone()));
            }
            let default = if self.one_in(2) { constant(value) } else { None };
            let former = self.one_in(4).then(|| format!("f{}", self.random.below(5)));
            fields.push(Field {
                nullable: self.one_in(2),
                unique: self.one_in(4),
                indexed: self.one_in(3),
                default,
                renamed_from: former.filter(|it| *it != name),
                ..field(&name, kind)
            });
        }
        let mut foreign_keys = Vec::new();
        for (target, key) in keys.iter().enumerate() {
            if self.one_in(2) {
                let name = format!("to_{target}");
                let generated_key = false;
                fields.push(Field {
                    name: name.clone(),
                    nullable: true,
                    unique: false,
                    generated_key,
                    ..key.clone()
                });
                foreign_keys.push(ForeignKey {
                    on_delete: self.random.pick(&[
                        ReferentialAction::Cascade,
                        ReferentialAction::SetNull,
                        ReferentialAction::NoAction,
                    ]),
                    unique: self.one_in(4),
                    ..foreign_key(&format!("way_{target}"), &name, MODELS[target])
                });
            }
        }
        let many_to_manys = (0..keys.len()).filter(|_| self.one_in(4)).map(|it| ManyToMany {
            name: format!("many_{it}"),
            target: MODELS[it].into(),
            through: None,
            reverse: None,
        });
        let many_to_manys = many_to_manys.collect();
        let primary_key = match fields.get(1) {
            Some(other) if !other.nullable && foreign_keys.is_empty() && index == 2 => {
                vec!["id".into(), other.name.clone()]
            }
            _ => vec!["id".into()],
        };
        let is_composite = primary_key.len() > 1;
        if is_composite {
            fields[0].unique = true;
            fields[0].generated_key = false;
        }
        let condition =
            checks.first().map(|it| Check { name: None, any_of: vec![vec![it.clone()]] });
        let indexes = fields.get(1).map(|it| Index {
            name: self.one_in(2).then(|| format!("by_{index}")),
            fields: vec![it.name.clone(), "id".into()],
            unique: self.one_in(2),
            condition: condition.clone(),
        });
        let all = condition
            .filter(|_| self.one_in(2))
            .map(|it| Check { name: self.one_in(2).then(|| format!("check_{index}")), ..it });
        Model {
            primary_key,
            foreign_keys,
            many_to_manys,
            indexes: indexes.into_iter().collect(),
            checks: all.into_iter().collect(),
            ..model(MODELS[index], fields)
        }
    }

    fn kind(&mut self) -> (ColumnType, Value) {
        let mood = Value::Text(self.moods[self.random.below(self.moods.len())].clone());
        let all = [
            (ColumnType::Boolean, Value::Boolean(true)),
            (ColumnType::Integer(IntegerWidth::Small), Value::Integer(-3)),
            (number(), Value::Integer(1)),
            (ColumnType::Integer(IntegerWidth::Big), Value::Integer(i64::MAX)),
            (ColumnType::Double, Value::Float(-0.5)),
            (ColumnType::Decimal(None), Value::Decimal("1.50".into())),
            (
                ColumnType::Decimal(Some(DecimalSize { precision: 8, scale: 3 })),
                Value::Decimal("2.125".into()),
            ),
            (ColumnType::Text(None), Value::Text("it's".into())),
            (ColumnType::Text(Some(20)), Value::Text("7".into())),
            (ColumnType::Blob, Value::Blob(vec![0, 39])),
            (ColumnType::Uuid, Value::Uuid((1, 2))),
            (ColumnType::Date, Value::Date(19_000)),
            (ColumnType::Timestamptz, Value::Timestamptz(1)),
            (ColumnType::Enumeration("mood".into()), mood),
        ];
        all[self.random.below(all.len())].clone()
    }
}

/// Rows of what has any: all columns that need a value get their first letters' worth of one.
async fn fill(database: &Database, schema: &Schema) {
    for model in &schema.models {
        let mut columns = Vec::new();
        let mut values = Vec::new();
        for field in &model.fields {
            if field.nullable || field.generated_key || field.default.is_some() {
                continue;
            }
            columns.push(format!("\"{}\"", field.name));
            let text = format!("'{}'", if field.kind == ColumnType::Blob { "" } else { "7" });
            values.push(text);
        }
        if columns.is_empty() {
            continue;
        }
        let table = ferro_wit::snake_case(&model.name);
        let sql = format!(
            "INSERT INTO \"{table}\" ({}) VALUES ({})",
            columns.join(", "),
            values.join(", ")
        );
        // What a rule refuses is not there.
        let _ = database.execute_raw(&sql, vec![]).await;
    }
}

/// Drops tables of no model. They are nothing to a migration, but their foreign keys keep the keys
/// of others from changing, and their indexes have names.
async fn sweep(database: &Database, schema: &Schema) {
    let (ask, drop) = match database.dialect() {
        Dialect::Postgres => {
            ("SELECT tablename, tablename FROM pg_tables WHERE schemaname = 'public'", "TABLE")
        }
        Dialect::Sqlite => (
            "SELECT tbl_name, iif(type = 'index' AND sql <> '', name, '') FROM sqlite_schema",
            "INDEX",
        ),
    };
    let found = rows(database, ask).await;
    let is_there = |table: &str| found.iter().any(|row| row[0] == Value::from(table));
    let mut names: Vec<String> = Vec::new();
    for model in &schema.models {
        let table = ferro_wit::snake_case(&model.name);
        let former = model.renamed_from.as_deref().map(ferro_wit::snake_case);
        let former = former.filter(|_| !is_there(&table));
        for table in [Some(table), former].into_iter().flatten() {
            names.extend(model.many_to_manys.iter().map(|it| format!("{table}_{}", it.name)));
            names.push(table);
        }
    }
    for row in &found {
        let [Value::Text(table), Value::Text(name)] = &row[..] else { panic!("{row:?}") };
        if !name.is_empty() && !names.contains(table) {
            let cascade = if drop == "TABLE" { "CASCADE" } else { "" };
            let sql = format!("DROP {drop} \"{name}\" {cascade}");
            database.execute_raw(&sql, vec![]).await.unwrap();
        }
    }
}

async fn wander(seed: u64, rounds: usize, with_rows: bool) {
    let mut random = Generator::new(seed);
    let world = World::new(Any::schema(&mut random), &[]).await;
    for round in 0..rounds {
        let after = Any::schema(&mut random);
        if Catalog::new(after.clone()).is_err() {
            continue;
        }
        let gradual = random.below(2) == 0;
        for database in world.databases() {
            sweep(database, &after).await;
            let at = format!("seed {seed}, round {round}, {:?}", database.dialect());
            let risks = [Risk::Safe, Risk::Blocking, Risk::Destructive];
            for risk in &risks[if gradual { 0 } else { 2 }..] {
                let before = attempt(database, &after, None).await.unwrap();
                if let Err(error) = attempt(database, &after, *risk).await {
                    assert!(
                        with_rows && is_of_rows(&error) || is_in_the_way(&error),
                        "{at}, {risk:?}: {error:?}\n{}",
                        sql(&before.left)
                    );
                    let left = attempt(database, &after, None).await.unwrap();
                    let only_enums = |it: &MigrationStep| it.transactional;
                    let steps = |it: Migration| {
                        it.left.into_iter().filter(only_enums).map(|it| it.sql).collect::<Vec<_>>()
                    };
                    assert_eq!(steps(before), steps(left), "{at}, {risk:?}: {error}");
                    // So that the next round has something to begin with.
                    for table in &after.models {
                        let table = ferro_wit::snake_case(&table.name);
                        let _ =
                            database.execute_raw(&format!("DELETE FROM \"{table}\""), vec![]).await;
                    }
                    continue;
                }
                let again = attempt(database, &after, *risk).await;
                let again = again.unwrap_or_else(|error| panic!("{at}, {risk:?} again: {error:?}"));
                assert!(
                    again.applied.is_empty(),
                    "{at}, {risk:?} again\n{}\nfirst\n{}",
                    sql(&again.applied),
                    sql(&before.left)
                );
                if *risk == Risk::Destructive {
                    assert!(
                        again.left.is_empty(),
                        "{at}\n{}\nfirst\n{}",
                        sql(&again.left),
                        sql(&before.left)
                    );
                    if with_rows {
                        fill(database, &after).await;
                    }
                }
            }
        }
    }
}

/// A table of no model refers to a key that is to go.
fn is_in_the_way(error: &Error) -> bool {
    error.message.starts_with("foreign key mismatch")
}

fn is_of_rows(error: &Error) -> bool {
    use ErrorKind as E;
    let is_rule = matches!(
        error.kind,
        E::NotNullViolation
            | E::UniqueViolation
            | E::CheckViolation
            | E::ForeignKeyViolation
            // A value that is none of the new type.
            | E::TypeMismatch
            | E::ValueOutOfRange
    );
    let code = error.code.as_deref().unwrap_or_default();
    is_rule
        || code.starts_with("22")
        || code == "42846"
        || code == "SQLITE_MISMATCH"
        || code == "23502"
}

#[tokio::test]
async fn models_with_relations_become_any_others() {
    for seed in 1..6 {
        wander(seed, 8, false).await;
    }
}

#[tokio::test]
async fn what_rows_refuse_changes_nothing() {
    for seed in 11..16 {
        wander(seed, 8, true).await;
    }
}
