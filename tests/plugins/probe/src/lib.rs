//! A plugin that misbehaves on request, for the tests of hosts.

#[cfg(target_family = "wasm")]
mod plugin {
    use std::cell::Cell;
    use std::collections::HashSet;

    use ferro_wit::query::{
        Insert, Node, NullsOrder, OrderTerm, Path, Projection, Query, RowSource, Select, Statement,
    };
    use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model, Schema};
    use ferro_wit::types::{
        Batch, Column, Elements, Error, ScalarType, Scalars, TransactionOptions, Value,
    };

    #[allow(missing_docs, unsafe_code, clippy::all, clippy::cast_possible_truncation)]
    mod bindings {
        wit_bindgen::generate!({
            path: ["../../../wit", "wit"],
            world: "ferro:test/probe",
            generate_all,
            with: {
                "ferro:orm/types@0.1.0": ferro_wit::types,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/schema@0.1.0": ferro_wit::schema,
            },
        });
    }
    use bindings::exports::ferro::orm::models;
    use bindings::exports::ferro::test::notes;
    use bindings::ferro::orm::database::Session;
    use bindings::{Guest, Point};
    use notes::Ending;

    struct Probe;

    bindings::export!(Probe with_types_in bindings);

    impl models::Guest for Probe {
        fn describe() -> Schema {
            let key = Field {
                generated_key: true,
                ..Field::new("id", ColumnType::Integer(IntegerWidth::Big))
            };
            let body = Field::new("body", ColumnType::Text(None));
            Schema { models: vec![Model::new("note", vec![key, body], &["id"])], enums: vec![] }
        }
    }

    impl Guest for Probe {
        fn greet(name: String) -> String {
            format!("hello {name}")
        }

        fn mirror(point: Point, factor: Option<i32>) -> Point {
            let factor = factor.unwrap_or(1);
            Point { x: point.y * factor, y: point.x * factor }
        }

        fn calls() -> u32 {
            thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });
            CALLS.set(CALLS.get() + 1);
            CALLS.get()
        }

        fn print(output: String, errors: String) {
            println!("{output}");
            eprintln!("{errors}");
        }

        fn distinct(words: Vec<String>) -> u32 {
            words.into_iter().collect::<HashSet<_>>().len().try_into().unwrap_or(u32::MAX)
        }

        fn spin() {
            spin()
        }

        fn panic(message: String) {
            panic!("{message}")
        }

        fn fail(message: String) -> Result<u32, String> {
            Err(message)
        }
    }

    impl notes::Guest for Probe {
        fn add(label: String, body: String, end: Ending) -> Result<u64, Error> {
            let session = Session::open(&label)?;
            let options = TransactionOptions { immediate: true, ..Default::default() };
            let transaction = session.begin(options)?;
            let added = transaction.execute(&insert_one(), &[Value::Text(body)])?;
            match end {
                Ending::Commit => Session::commit(transaction)?,
                Ending::Rollback => Session::rollback(transaction)?,
                Ending::Forget => {}
                Ending::Trap => panic!("told to"),
                Ending::Spin => spin(),
                Ending::Hoard => hoard(),
            }
            Ok(added)
        }

        fn add_all(label: String, bodies: Vec<String>) -> Result<Vec<i64>, Error> {
            let session = Session::open(&label)?;
            let mut column = Scalars::with_kind(ScalarType::Text);
            for body in bodies {
                column.push(Value::Text(body)).expect("the column is one of texts");
            }
            let rows = Batch::new(vec![Column::Scalars(column)]).expect("there is one column");
            let cursor = session.write_returning(&insert_many(), &[], &rows)?;
            let mut keys = Vec::new();
            while let Some(batch) = cursor.next(100)? {
                let column = &batch.columns[0];
                keys.extend((0..batch.rows as usize).filter_map(|row| match column.get(row) {
                    Some(Value::Integer(key)) => Some(key),
                    _ => None,
                }));
            }
            Ok(keys)
        }

        fn bodies(label: String) -> Result<Vec<String>, Error> {
            let session = Session::open(&label)?;
            let cursor = session.fetch(&bodies(), &[])?;
            let mut found = Vec::new();
            while let Some(batch) = cursor.next(100)? {
                let Some(Column::Scalars(column)) = batch.columns.first() else { break };
                let Elements::Text(texts) = &column.elements else { break };
                found.extend((0..texts.len()).filter_map(|row| texts.get(row)).map(str::to_owned));
            }
            Ok(found)
        }

        fn count(label: String) -> Result<i64, Error> {
            let session = Session::open(&label)?;
            let query = Query { statement: Statement::Count(0), ..bodies() };
            let batch = session.fetch(&query, &[])?.next(1)?;
            match batch.and_then(|batch| batch.columns.first()?.get(0)) {
                Some(Value::Integer(count)) => Ok(count),
                other => panic!("a count of {other:?}"),
            }
        }

        fn open(label: String, times: u32) -> Result<u32, Error> {
            let mut sessions = Vec::new();
            for _ in 0..times {
                sessions.push(Session::open(&label)?);
            }
            Ok(times)
        }
    }

    fn spin() -> ! {
        loop {
            std::hint::black_box(());
        }
    }

    fn hoard() {
        let mut kept = Vec::new();
        loop {
            kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        }
    }

    fn insert_one() -> Query {
        let insert = Insert {
            model: "note".into(),
            fields: vec!["body".into()],
            source: RowSource::Parameters,
            conflict: None,
            returning: None,
        };
        Query {
            nodes: vec![],
            selects: vec![],
            common: vec![],
            statement: Statement::Insert(insert),
        }
    }

    fn insert_many() -> Query {
        let insert = Insert {
            model: "note".into(),
            fields: vec!["body".into()],
            source: RowSource::Batch,
            conflict: None,
            returning: Some(Projection::Fields(vec!["id".into()])),
        };
        Query { statement: Statement::Insert(insert), ..insert_one() }
    }

    fn bodies() -> Query {
        let select = Select {
            projection: Projection::Fields(vec!["body".into()]),
            order_by: vec![OrderTerm { expression: 0, descending: false, nulls: NullsOrder::Last }],
            ..Select::new("note")
        };
        let key = Path { outer: 0, relations: vec![], field: "id".into() };
        Query::select(vec![Node::Field(key)], select)
    }
}
