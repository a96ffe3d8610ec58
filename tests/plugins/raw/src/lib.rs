//! A plugin that sends SQL text, for the tests of hosts.

#[cfg(target_family = "wasm")]
mod plugin {
    use ferro_wit::schema::Schema;
    use ferro_wit::types::Error;

    #[allow(missing_docs, unsafe_code, clippy::all, clippy::cast_possible_truncation)]
    mod bindings {
        wit_bindgen::generate!({
            path: ["../../../wit", "wit"],
            world: "ferro:test/raw",
            generate_all,
            with: {
                "ferro:orm/types@0.1.0": ferro_wit::types,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/schema@0.1.0": ferro_wit::schema,
            },
        });
    }
    use bindings::Guest;
    use bindings::exports::ferro::orm::models;
    use bindings::ferro::orm::database::Session;
    use bindings::ferro::orm::raw_sql;

    struct Raw;

    bindings::export!(Raw with_types_in bindings);

    impl models::Guest for Raw {
        fn describe() -> Schema {
            Schema { models: vec![], enums: vec![] }
        }
    }

    impl Guest for Raw {
        fn rows(label: String, sql: String) -> Result<u64, Error> {
            let session = Session::open(&label)?;
            let cursor = raw_sql::fetch(&session, &sql, &[])?;
            let mut rows = 0;
            while let Some(batch) = cursor.next(100)? {
                rows += u64::from(batch.rows);
            }
            Ok(rows)
        }

        fn execute(label: String, sql: String) -> Result<u64, Error> {
            let session = Session::open(&label)?;
            raw_sql::execute(&session, &sql, &[])
        }
    }
}
