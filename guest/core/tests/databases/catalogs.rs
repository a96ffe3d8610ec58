//! Random models whose names are made to break quoting: both databases make their tables, twice, and
//! keep and find rows in them.

use ferro_wit::query::{
    BinaryOperator as B, Insert, Projection, Query, RowSource, Select, Statement,
};
use ferro_wit::schema::{
    Check, CheckTerm, CheckTest, ColumnType, Comparison, DefaultValue, EnumType, Field, ForeignKey,
    Index, IntegerWidth, ManyToMany, Model, ReferentialAction, Schema,
};
use ferro_wit::types::{ScalarType, Value};

use crate::fixture::*;
use crate::random::Generator;
use crate::world::World;

/// How many schemas, each of which is a database on each server.
const SCHEMAS: u64 = 12;

const NAMES: [&str; 24] = [
    "select",
    "order",
    "user",
    "table",
    "null",
    "default",
    "excluded",
    "a\"b",
    "\"",
    "it's",
    "a;--",
    "/*",
    "?1",
    "$1",
    "%s",
    "back\\slash",
    "two words",
    " ",
    "Grüße",
    "名前",
    "\u{1F600}",
    "e\u{301}",
    ":colon",
    "[brackets]",
];

struct Names {
    random: Generator,
    next: usize,
}

impl Names {
    /// A name that no other one is equal to, whatever the case: often as long as a name may be.
    fn name(&mut self) -> String {
        self.next += 1;
        let mut name = self.random.pick(&NAMES).to_owned();
        match self.random.below(4) {
            // A keyword as it is, once.
            0 if self.next <= NAMES.len() => return NAMES[self.next - 1].to_owned(),
            1 => {
                name.push_str(&self.next.to_string());
                while name.len() + 2 <= 63 {
                    name.push('é');
                }
            }
            _ => name.push_str(&self.next.to_string()),
        }
        name
    }

    fn field(&mut self, enumeration: &str) -> Field {
        let kinds = [
            ColumnType::Boolean,
            ColumnType::Integer(IntegerWidth::Small),
            ColumnType::Text(None),
            ColumnType::Text(Some(40)),
            ColumnType::Decimal(None),
            ColumnType::Blob,
            ColumnType::Date,
            ColumnType::Json,
            ColumnType::Enumeration(enumeration.to_owned()),
            ColumnType::Array(ScalarType::Text),
        ];
        let kind = kinds[self.random.below(kinds.len())].clone();
        let comparable = !matches!(kind, ColumnType::Json | ColumnType::Array(_));
        Field {
            column: (self.random.below(2) == 0).then(|| self.name()),
            nullable: true,
            unique: comparable && self.random.below(3) == 0,
            indexed: comparable && self.random.below(3) == 0,
            ..field(&self.name(), kind)
        }
    }

    /// A model with a number, a text with a nasty default, and fields of any type.
    fn model(&mut self, enumeration: &str) -> Model {
        let key = Field { column: Some(self.name()), ..big(&self.name()) };
        let label = Field {
            default: Some(DefaultValue::Constant(Value::Text(self.name()))),
            ..text(&self.name())
        };
        let mut fields = vec![key, label];
        for _ in 0..self.random.below(4) {
            fields.push(self.field(enumeration));
        }
        let label = fields[1].name.clone();
        let term = |test| CheckTerm { field: label.clone(), test };
        let not = |name: String| CheckTest::Compare((Comparison::NotEqual, Value::Text(name)));
        let check = Check {
            name: Some(self.name()),
            any_of: vec![vec![term(not(self.name()))], vec![term(CheckTest::IsNull)]],
        };
        let condition = Check { name: None, any_of: vec![vec![term(not(self.name()))]] };
        let index = Index {
            name: (self.random.below(2) == 0).then(|| self.name()),
            fields: fields[..2].iter().map(|it| it.name.clone()).collect(),
            unique: self.random.below(2) == 0,
            condition: Some(condition),
        };
        Model {
            table: (self.random.below(2) == 0).then(|| self.name()),
            indexes: vec![index],
            checks: vec![check],
            comment: Some(self.name()),
            ..model(&self.name(), fields)
        }
    }

    /// Models in a circle of relations, with pairs between each and the next.
    fn schema(&mut self) -> Schema {
        let enumeration = EnumType { name: self.name(), values: vec![self.name(), self.name()] };
        let mut models: Vec<_> = (0..3).map(|_| self.model(&enumeration.name)).collect();
        let targets: Vec<_> =
            models.iter().map(|it| (it.name.clone(), it.fields[0].name.clone())).collect();
        for (index, found) in models.iter_mut().enumerate() {
            let (target, key) = targets[(index + 1) % targets.len()].clone();
            let own = nullable(&self.name(), ColumnType::Integer(IntegerWidth::Big));
            let actions = [
                ReferentialAction::Cascade,
                ReferentialAction::Restrict,
                ReferentialAction::SetNull,
                ReferentialAction::SetDefault,
                ReferentialAction::NoAction,
            ];
            found.foreign_keys.push(ForeignKey {
                name: self.name(),
                target: target.clone(),
                fields: vec![(own.name.clone(), key)],
                reverse: Some(self.name()),
                unique: self.random.below(3) == 0,
                on_delete: self.random.pick(&actions),
                on_update: self.random.pick(&actions),
            });
            found.fields.push(own);
            found.many_to_manys.push(ManyToMany {
                name: self.name(),
                target,
                through: None,
                reverse: Some(self.name()),
            });
        }
        Schema { models, enums: vec![enumeration] }
    }
}

/// A row with a key, a text and the key of the row that it refers to.
fn one_row(model: &Model) -> Query {
    let (key, label) = (&model.fields[0].name, &model.fields[1].name);
    let own = &model.foreign_keys[0].fields[0].0;
    Nodes::default().query(
        vec![],
        Statement::Insert(Insert {
            source: RowSource::Parameters,
            returning: Some(Projection::Model),
            ..insert(&model.name, &[key, label, own])
        }),
    )
}

/// Rows by their text, by that of the row that they refer to, and by what refers to them.
fn found(model: &Model, target: &Model) -> Query {
    let (label, relation) = (&model.fields[1].name, &model.foreign_keys[0].name);
    let mut nodes = Nodes::default();
    let own = nodes.test(label, B::Equal, 0, ScalarType::Text);
    let path = nodes.add(ferro_wit::query::Node::Field(ferro_wit::query::Path {
        outer: 0,
        relations: vec![relation.clone()],
        field: target.fields[1].name.clone(),
    }));
    let value = nodes.parameter(0, ScalarType::Text);
    let theirs = nodes.binary(path, B::Equal, value);
    let pairs =
        nodes.related(ferro_wit::query::Quantifier::None, &[&model.many_to_manys[0].name], None);
    let filter = nodes.add(ferro_wit::query::Node::AllOf(vec![own, theirs, pairs]));
    nodes.select(Select {
        projection: Projection::Model,
        filter: Some(filter),
        order_by: vec![descending(path)],
        ..all(&model.name)
    })
}

#[tokio::test]
async fn any_names_of_models_work_on_both_databases() {
    for seed in 1..=SCHEMAS {
        let mut names = Names { random: Generator::new(seed), next: 0 };
        let schema = names.schema();
        let world = World::new(schema.clone(), &[]).await;
        for database in world.databases() {
            let again = world.catalog.create_tables(database.dialect(), &[]).unwrap();
            database.apply(&again).await.unwrap();
        }
        // The value is a name, too: it is bound and in no statement.
        let value = Value::Text("\"; DROP TABLE it's --".into());
        let given = |other: Value| [Value::Integer(1), value.clone(), other];
        for model in &schema.models {
            let rows = world.rows(&one_row(model), &given(Value::Null)).await;
            assert_eq!(rows[0][..2], given(Value::Null)[..2], "seed {seed}: {model:?}");
        }
        for (index, model) in schema.models.iter().enumerate() {
            let target = &schema.models[(index + 1) % schema.models.len()];
            let query = found(model, target);
            for dialect in BOTH {
                let plan = world.catalog.compile(&query, dialect, None).unwrap();
                assert!(!plan.steps[0].sql.contains("DROP TABLE it"), "{}", plan.steps[0].sql);
            }
            let none = world.rows(&query, std::slice::from_ref(&value)).await;
            assert_eq!(none, Vec::<Vec<Value>>::new(), "seed {seed}: {model:?}");
            let key = &model.fields[0].name;
            let mut nodes = Nodes::default();
            let (one, same) = (
                nodes.parameter(0, ScalarType::Integer),
                nodes.test(key, B::Equal, 0, ScalarType::Integer),
            );
            let select = Select { filter: Some(same), ..all(&model.name) };
            let refer = ferro_wit::query::Update {
                set: vec![ferro_wit::query::Assignment {
                    field: model.foreign_keys[0].fields[0].0.clone(),
                    value: one,
                }],
                ..update(&model.name)
            };
            let refer = nodes.query(vec![select], Statement::Update(refer));
            let changed = world.rows(&refer, &[Value::Integer(1)]).await;
            assert_eq!(changed, [[Value::Integer(1)]], "seed {seed}: {model:?}");
            let rows = world.rows(&query, std::slice::from_ref(&value)).await;
            assert_eq!(rows.len(), 1, "seed {seed}: {model:?}");
        }
    }
}
