//! Ferro's driver, with plans that the core made.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferro_core::Catalog;
use ferro_driver::{ConnectOptions, Cursor, Database, Execution};
use ferro_wit::plan::Plan;
use ferro_wit::query::{
    Assignment, BinaryOperator, Insert, Literal, Node, NullsOrder, OrderTerm, Parameter, Path,
    Query, RowSource, Select, Statement, Update,
};
use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model, Schema};
use ferro_wit::types::{Dialect, ScalarType, TransactionOptions, Value};
use parking_lot::Mutex;

use crate::city::{self, Cities};
use crate::client::{BATCH, Client, Outcome, at_once};
use crate::{CONNECTIONS, key};

pub(crate) const NAME: &str = "ferro";

pub(crate) struct Ferro {
    database: Database,
    scan: Arc<Plan>,
    get: Arc<Plan>,
    page: Arc<Plan>,
    update: Arc<Plan>,
    insert: Arc<Plan>,
    next: Mutex<Option<Execution>>,
}

impl Ferro {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let mut options = ConnectOptions::default();
        options.pool.max_connections = CONNECTIONS;
        options.pool.acquire_timeout = Duration::from_secs(60);
        let database = Database::connect(url, &options).await?;
        let dialect = database.dialect();
        let catalog = catalog()?;
        let compile = |query: &Query| catalog.compile(query, dialect, None).map(Arc::new);
        Ok(Self {
            database,
            scan: compile(&select(BinaryOperator::Less, None))?,
            get: compile(&select(BinaryOperator::Equal, None))?,
            page: compile(&select(BinaryOperator::Greater, Some(20)))?,
            update: compile(&update())?,
            insert: compile(&insert("Town"))?,
            next: Mutex::default(),
        })
    }
}

/// Makes the tables, and fills one.
pub(crate) async fn fill(url: &str, rows: &Cities) -> Result<()> {
    let database = Database::connect(url, &ConnectOptions::default()).await?;
    let catalog = catalog()?;
    database.apply(&catalog.create_tables(database.dialect(), &[])?).await?;
    let numbers = "INSERT INTO counter (id, n) VALUES ";
    let rows_of_counter: Vec<_> = (0..1000).map(|it| format!("({it}, 0)")).collect();
    database.execute_raw(&format!("{numbers}{}", rows_of_counter.join(", ")), vec![]).await?;
    let plan = Arc::new(catalog.compile(&insert("City"), database.dialect(), None)?);
    let written = database.execute(execution(&plan, vec![], Some(rows))?).await?;
    anyhow::ensure!(written == rows.len() as u64, "{written} rows were written");
    database.execute_raw("ANALYZE", vec![]).await?;
    database.disconnect().await;
    Ok(())
}

/// Empties the table that is written to.
pub(crate) async fn empty(url: &str) -> Result<()> {
    let database = Database::connect(url, &ConnectOptions::default()).await?;
    match database.dialect() {
        Dialect::Postgres => database.execute_raw("TRUNCATE town", vec![]).await?,
        Dialect::Sqlite => {
            database.execute_raw("DELETE FROM town", vec![]).await?;
            let checkpoint = database.fetch_raw("PRAGMA wal_checkpoint(TRUNCATE)", vec![]).await?;
            read(checkpoint, |_| Ok(0)).await?;
            0
        }
    };
    database.disconnect().await;
    Ok(())
}

/// Adds up what was written.
pub(crate) async fn sum_written(url: &str) -> Result<i64> {
    let database = Database::connect(url, &ConnectOptions::default()).await?;
    let sql = "SELECT id, name, country, latitude, longitude, population, elevation, timezone \
               FROM town";
    let sum = read(database.fetch_raw(sql, vec![]).await?, city::sum).await?;
    database.disconnect().await;
    Ok(sum)
}

impl Client for Ferro {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scan(self: Arc<Self>, rows: i64) -> Outcome {
        Box::pin(async move {
            let execution = execution(&self.scan, vec![Value::Integer(rows)], None)?;
            read(self.database.fetch(execution).await?, city::sum).await
        })
    }

    fn get(self: Arc<Self>, keys: Range<i64>, pooled: bool) -> Outcome {
        Box::pin(async move {
            let mut session = None;
            if !pooled {
                session = Some(self.database.begin(TransactionOptions::default()).await?);
            }
            let mut sum = 0;
            for number in keys {
                let execution = execution(&self.get, vec![Value::Integer(key(number))], None)?;
                let cursor = match &session {
                    Some(session) => session.fetch(execution).await?,
                    None => self.database.fetch(execution).await?,
                };
                sum += read(cursor, city::sum).await?;
            }
            if let Some(session) = session {
                session.commit().await?;
            }
            Ok(sum)
        })
    }

    fn page(self: Arc<Self>, keys: Range<i64>) -> Outcome {
        Box::pin(async move {
            let mut sum = 0;
            for number in keys {
                let execution = execution(&self.page, vec![Value::Integer(key(number))], None)?;
                sum += read(self.database.fetch(execution).await?, city::sum).await?;
            }
            Ok(sum)
        })
    }

    fn update(self: Arc<Self>, numbers: Range<i64>) -> Outcome {
        Box::pin(async move {
            let mut changed = 0;
            for number in numbers {
                let transaction = self.database.begin(TransactionOptions::default()).await?;
                let execution = execution(&self.update, vec![Value::Integer(number)], None)?;
                changed += transaction.execute(execution).await?;
                transaction.commit().await?;
            }
            Ok(i64::try_from(changed)?)
        })
    }

    fn prepare_insert(&self, rows: &Arc<Cities>) {
        let next = execution(&self.insert, vec![], Some(rows)).ok();
        *self.next.lock() = next;
    }

    fn insert(self: Arc<Self>) -> Outcome {
        Box::pin(async move {
            let next = self.next.lock().take();
            let written = self.database.execute(next.context("nothing to insert")?).await?;
            Ok(i64::try_from(written)?)
        })
    }

    fn get_at_once(self: Arc<Self>, keys: Range<i64>) -> Outcome {
        Box::pin(at_once(self, keys))
    }
}

async fn read(
    mut cursor: Cursor,
    sum: impl Fn(&ferro_wit::types::Batch) -> Result<i64>,
) -> Result<i64> {
    let mut total = 0;
    while let Some(batch) = cursor.next(BATCH).await? {
        total += sum(&batch)?;
    }
    Ok(total)
}

fn execution(plan: &Arc<Plan>, parameters: Vec<Value>, rows: Option<&Cities>) -> Result<Execution> {
    let rows = rows.map(Cities::to_batch).transpose()?;
    Ok(Execution { plan: Arc::clone(plan), parameters, forced: vec![], rows })
}

const FIELDS: [&str; 8] =
    ["id", "name", "country", "latitude", "longitude", "population", "elevation", "timezone"];

fn catalog() -> Result<Catalog> {
    let integer = || ColumnType::Integer(IntegerWidth::Big);
    let text = || ColumnType::Text(None);
    let float = || ColumnType::Double;
    let kinds = [integer(), text(), text(), float(), float(), integer(), integer(), text()];
    let cities: Vec<_> =
        FIELDS.into_iter().zip(kinds).map(|(name, kind)| field(name, kind)).collect();
    let counter = vec![field("id", integer()), field("n", integer())];
    let models = [("City", cities.clone()), ("Town", cities), ("Counter", counter)];
    let models = models.map(|(name, fields)| Model::new(name, fields, &["id"])).into();
    Catalog::new(Schema { models, enums: vec![] })
        .map_err(|faults| anyhow::anyhow!(faults.join("; ")))
}

fn field(name: &str, kind: ColumnType) -> Field {
    Field { nullable: name == "elevation", ..Field::new(name, kind) }
}

fn id() -> Node {
    Node::Field(Path { outer: 0, relations: vec![], field: "id".into() })
}

fn parameter() -> Node {
    Node::Parameter(Parameter { index: 0, kind: ScalarType::Integer, many: false })
}

/// The rows whose key compares with the parameter; with a limit in the order of the keys.
fn select(operator: BinaryOperator, limit: Option<i64>) -> Query {
    let mut nodes = vec![id(), parameter(), Node::Binary((operator, 0, 1))];
    let order = OrderTerm { expression: 0, descending: false, nulls: NullsOrder::Last };
    let select = Select {
        filter: Some(2),
        order_by: limit.map(|_| order).into_iter().collect(),
        limit: limit.map(|limit| {
            nodes.push(Node::Literal(Literal::Integer(limit)));
            3
        }),
        ..Select::new("City")
    };
    Query::select(nodes, select)
}

fn update() -> Query {
    let n = Node::Field(Path { outer: 0, relations: vec![], field: "n".into() });
    let nodes = vec![
        id(),
        parameter(),
        Node::Binary((BinaryOperator::Equal, 0, 1)),
        n,
        Node::Literal(Literal::Integer(1)),
        Node::Binary((BinaryOperator::Add, 3, 4)),
    ];
    let select = Select { filter: Some(2), ..Select::new("Counter") };
    let set = vec![Assignment { field: "n".into(), value: 5 }];
    let update = Update { model: "Counter".into(), set, rows: 0, batch: None, returning: None };
    Query { nodes, selects: vec![select], common: vec![], statement: Statement::Update(update) }
}

fn insert(model: &str) -> Query {
    let insert = Insert {
        model: model.into(),
        fields: FIELDS.map(str::to_owned).into(),
        source: RowSource::Batch,
        conflict: None,
        returning: None,
    };
    Query { nodes: vec![], selects: vec![], common: vec![], statement: Statement::Insert(insert) }
}
