//! A plugin written to break the promises of hosts, for their tests.

#[cfg(target_family = "wasm")]
mod plugin {
    use ferro_wit::query::{Insert, Literal, Node, Query, RowSource, Select, Statement};
    use ferro_wit::schema::Schema;
    use ferro_wit::types::{
        Batch, Column, Elements, Error, Scalars, Texts, TransactionOptions, Value,
    };

    #[allow(missing_docs, unsafe_code, clippy::all, clippy::cast_possible_truncation)]
    mod bindings {
        wit_bindgen::generate!({
            path: ["../../../wit", "wit"],
            world: "ferro:test/hostile",
            generate_all,
            with: {
                "ferro:orm/types@0.1.0": ferro_wit::types,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/schema@0.1.0": ferro_wit::schema,
            },
        });
    }
    use bindings::exports::ferro::orm::models;
    use bindings::ferro::orm::database::{Cursor, Session};
    use bindings::ferro::orm::raw_sql;
    use bindings::{Door, Forgery, Guest};

    struct Hostile;

    bindings::export!(Hostile with_types_in bindings);

    impl models::Guest for Hostile {
        fn describe() -> Schema {
            Schema { models: vec![], enums: vec![] }
        }
    }

    impl Guest for Hostile {
        fn recurse(depth: u32) -> u32 {
            recurse(depth)
        }

        fn hold_cursors(label: String, sql: String, times: u32) -> Result<u32, Error> {
            let mut held = Vec::new();
            let session = Session::open(&label)?;
            for _ in 0..times {
                held.push(raw_sql::fetch(&session, &sql, &[])?);
            }
            std::mem::forget(held);
            Ok(times)
        }

        fn hold_transactions(label: String, times: u32) -> Result<u32, Error> {
            let mut held = vec![Session::open(&label)?];
            for _ in 0..times {
                let inner = held.last().map(|it| it.begin(TransactionOptions::default()));
                held.extend(inner.transpose()?);
            }
            std::mem::forget(held);
            Ok(times)
        }

        fn send(label: String, through: Door, bytes: u32) -> Result<u32, Error> {
            let size = bytes as usize;
            let text = || "x".repeat(size);
            if through == Door::Label {
                return Session::open(&text()).map(|_| bytes);
            }
            let session = Session::open(&label)?;
            match through {
                Door::Label => {}
                Door::Name => drop(session.fetch(&select(text(), vec![]), &[])?),
                Door::Nodes => {
                    let nodes = vec![Node::Literal(Literal::Boolean(true)); size / 16];
                    drop(session.fetch(&select("note".into(), nodes), &[])?);
                }
                Door::Text => drop(raw_sql::fetch(&session, "SELECT ?", &[Value::Text(text())])?),
                Door::Parameters => {
                    drop(raw_sql::fetch(&session, "SELECT 1", &vec![Value::Null; size / 16])?);
                }
                Door::Rows => {
                    // Claims to have more rows than were sent.
                    let ends = vec![u32::MAX; size / 4];
                    let rows = u32::try_from(ends.len()).unwrap_or(u32::MAX);
                    let texts = Texts { data: String::new(), ends };
                    let column = Scalars { elements: Elements::Text(texts), nulls: None };
                    let batch = Batch { rows, columns: vec![Column::Scalars(column)] };
                    session.write(&insert(), &[], &batch)?;
                }
                Door::Sql => drop(raw_sql::fetch(&session, &format!("SELECT '{}'", text()), &[])?),
                Door::Output => println!("{}", text()),
            }
            Ok(bytes)
        }

        #[allow(unsafe_code, reason = "what a guest in another language can do without")]
        fn forge(label: String, sql: String, what: Forgery) -> Result<u32, Error> {
            const NOBODYS: u32 = 4_000;
            let session = Session::open(&label)?;
            // SAFETY: a handle is a number, and the host must know which ones it lent.
            let session_of = |handle| unsafe { Session::from_handle(handle) };
            match what {
                Forgery::Session => {
                    drop(session_of(NOBODYS).fetch(&select("note".into(), vec![]), &[])?)
                }
                // SAFETY: as above.
                Forgery::Cursor => drop(unsafe { Cursor::from_handle(NOBODYS) }.next(1)?),
                Forgery::Kind => {
                    let cursor = raw_sql::fetch(&session, &sql, &[])?;
                    let taken = session_of(cursor.take_handle());
                    drop(raw_sql::fetch(&taken, &sql, &[])?);
                }
                Forgery::Dropped => {
                    let handle = session.take_handle();
                    drop(session_of(handle));
                    drop(raw_sql::fetch(&session_of(handle), &sql, &[])?);
                    return Ok(0);
                }
                Forgery::Consumed => {
                    let transaction = session.begin(TransactionOptions::default())?;
                    let handle = transaction.take_handle();
                    Session::commit(session_of(handle))?;
                    raw_sql::execute(&session_of(handle), &sql, &[])?;
                }
            }
            Ok(0)
        }

        fn run(label: String, texts: Vec<String>) -> Result<u32, Error> {
            let session = Session::open(&label)?;
            let transaction = session.begin(TransactionOptions::default())?;
            let mut went_well = 0;
            for text in texts {
                let savepoint = transaction.begin(TransactionOptions::default())?;
                match raw_sql::execute(&savepoint, &text, &[]) {
                    Ok(_) => {
                        went_well += 1;
                        Session::commit(savepoint)?;
                    }
                    Err(_) => Session::rollback(savepoint)?,
                }
            }
            Session::commit(transaction)?;
            Ok(went_well)
        }
    }

    fn recurse(depth: u32) -> u32 {
        let room = std::hint::black_box([depth; 64]);
        match depth {
            0 => 0,
            _ => recurse(depth - 1) + room[depth as usize % 64] / depth,
        }
    }

    fn select(model: String, nodes: Vec<Node>) -> Query {
        Query::select(nodes, Select::new(model))
    }

    fn insert() -> Query {
        let insert = Insert {
            model: "note".into(),
            fields: vec!["body".into()],
            source: RowSource::Batch,
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
}
