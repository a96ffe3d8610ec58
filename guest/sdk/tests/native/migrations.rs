//! Models that change, and their tables with them.

use ferro::prelude::*;
use ferro::{Error, ErrorKind};

use crate::database::Database;
use crate::on_each_database;

use before::Town;

mod before {
    use ferro::prelude::*;

    #[derive(Model, Debug, Clone, PartialEq)]
    pub(super) struct Town {
        #[ferro(key, generated)]
        pub(super) id: i64,
        #[ferro(unique)]
        pub(super) nom: String,
        pub(super) mayor: String,
    }
}

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(renamed_from = "Town", check(peopled: people >= 0))]
struct Place {
    #[ferro(key, generated)]
    id: i64,
    #[ferro(renamed_from = "nom", index)]
    name: String,
    #[ferro(default = 100)]
    people: i64,
    #[ferro(references = Self)]
    near_id: Option<i64>,
}

on_each_database! { ferro::schema![super::Town] => tables_follow_their_models }

async fn tables_follow_their_models(database: Database) -> Result<(), Error> {
    let new = before::NewTown { nom: "Ems".into(), mayor: "Ann".into() };
    let former = Town::create(&database.session()?, new).await?;

    let (database, migration) = database.migrate(ferro::schema![Place]).await?;
    let left: Vec<_> = migration.left.iter().map(|it| it.description.as_str()).collect();
    assert_eq!(left, ["drop column `mayor` of table `place`, which no field has"]);
    let db = database.session()?;
    let ems = Place { id: former.id, name: "Ems".into(), people: 100, near_id: None };
    assert_eq!(Place::query().all(&db).await?, std::slice::from_ref(&ems));
    // Names are no longer unique, and the column that is left needs no value.
    let twin = NewPlace { name: "Ems".into(), people: Some(3), near_id: Some(ems.id) };
    Place::create(&db, twin).await?;
    let empty = NewPlace { name: "Nowhere".into(), people: Some(-1), near_id: None };
    let error = Place::create(&db, empty).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::CheckViolation);
    Ok(())
}
