//! A plugin that sends SQL text, for the tests of hosts.

use ferro::{Error, Session, sql};

ferro::plugin! {
    world: "raw",
    models: [],
}

/// A note, as stored in the tests' databases.
#[derive(ferro::Row)]
struct Note {
    body: String,
    id: i64,
}

#[ferro::exports]
impl bindings::Guest for Plugin {
    async fn rows(label: String, text: String) -> Result<u64, Error> {
        let db = Session::open(&label)?;
        let mut rows = sql(text).stream::<(String,)>(&db, 100).await?;
        let mut count = 0;
        while rows.next().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    async fn execute(label: String, text: String) -> Result<u64, Error> {
        sql(text).execute(&Session::open(&label)?).await
    }

    async fn note(label: String, id: i64) -> Result<String, Error> {
        let db = Session::open(&label)?;
        let note: Note = sql("SELECT * FROM note WHERE id = ?").bind(id).one(&db).await?;
        Ok(format!("{}: {}", note.id, note.body))
    }
}
