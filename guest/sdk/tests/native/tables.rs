//! What tables hold their rows to: checks, keys of several fields and of some rows only, defaults,
//! and relations.

use ferro::prelude::*;
use ferro::values::{Date, Uuid};
use ferro::{Error, ErrorKind};

use crate::on_each_database;

#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    Open,
    #[ferro(value = "on hold")]
    Held,
    Done,
}

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(
    comment = "what is for sale",
    check(affordable: price > 0 && price <= list_price),
    check(ended: (state.in_([State::Open, State::Held]) && ended.is_none()) || ended.is_some()),
    unique(name where state != State::Done && live),
    unique(name, list_price),
    index(by_price: price, name)
)]
pub(crate) struct Offer {
    #[ferro(key, generated)]
    id: i64,
    name: String,
    list_price: i64,
    #[ferro(default = 10)]
    price: i64,
    #[ferro(default = State::Held)]
    state: State,
    ended: Option<Date>,
    #[ferro(default = "it's \"new\"")]
    note: String,
    #[ferro(default = true)]
    live: bool,
    #[ferro(default = random_uuid, unique)]
    token: Uuid,
}

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct Shelf {
    #[ferro(key)]
    id: i64,
}

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct Book {
    #[ferro(key)]
    id: i64,
    #[ferro(references = Shelf, relation = "kept", on_delete = restrict)]
    kept_id: Option<i64>,
    #[ferro(references = Shelf, relation = "moved", default = 1, on_delete = set_default)]
    moved_id: i64,
    #[ferro(references = Shelf, relation = "lent", on_delete = set_null, on_update = cascade)]
    lent_id: Option<i64>,
    #[ferro(references = Shelf, relation = "left", on_delete = no_action)]
    left_id: Option<i64>,
}

on_each_database! {
    ferro::schema![super::Offer, super::Shelf, super::Book] =>
    a_check_that_does_not_hold_is_an_error_with_its_name,
    a_key_of_several_fields_or_of_some_rows_holds_where_it_says,
    every_kind_of_default_fills_what_was_not_given,
    a_row_is_deleted_as_those_that_refer_to_it_say,
}

fn offer(name: &str, list_price: i64) -> NewOffer {
    NewOffer {
        name: name.into(),
        list_price,
        price: None,
        state: None,
        ended: None,
        note: None,
        live: None,
        token: None,
    }
}

async fn a_check_that_does_not_hold_is_an_error_with_its_name(db: Session) -> Result<(), Error> {
    let dear = Offer::create(&db, offer("dear", 9)).await.unwrap_err();
    assert_eq!(dear.kind, ErrorKind::CheckViolation);
    assert_eq!(dear.constraint.as_deref(), Some("affordable"));
    let done = NewOffer { state: Some(State::Done), ..offer("done", 10) };
    let endless = Offer::create(&db, done).await.unwrap_err();
    assert_eq!(endless.constraint.as_deref(), Some("ended"));

    let mut cheap = Offer::create(&db, offer("cheap", 12)).await?;
    let free = cheap.update(&db, |it| it.price = 0).await.unwrap_err();
    assert_eq!(free.constraint.as_deref(), Some("affordable"));
    let end = Date::parse("2024-02-29")?;
    cheap
        .update(&db, |it| {
            it.state = State::Done;
            it.ended = Some(end);
        })
        .await?;
    let ended = Offer::query().filter(Offer::state().eq(State::Done)).one(&db).await?;
    assert_eq!((ended.name.as_str(), ended.ended), ("cheap", Some(end)));
    Ok(())
}

async fn a_key_of_several_fields_or_of_some_rows_holds_where_it_says(
    db: Session,
) -> Result<(), Error> {
    Offer::create(&db, offer("pen", 10)).await?;
    let same = Offer::create(&db, NewOffer { live: Some(false), ..offer("pen", 10) }).await;
    assert_eq!(same.unwrap_err().kind, ErrorKind::UniqueViolation);
    let second = Offer::create(&db, offer("pen", 11)).await;
    assert_eq!(second.unwrap_err().kind, ErrorKind::UniqueViolation);
    Offer::create(&db, NewOffer { live: Some(false), ..offer("pen", 12) }).await?;
    Offer::query().filter(Offer::live()).update(&db, [Offer::live().set(false)]).await?;
    Offer::create(&db, offer("pen", 11)).await?;
    assert_eq!(Offer::query().count(&db).await?, 3);
    Ok(())
}

async fn every_kind_of_default_fills_what_was_not_given(db: Session) -> Result<(), Error> {
    let first = Offer::create(&db, offer("first", 10)).await?;
    let second = Offer::create(&db, offer("second", 10)).await?;
    assert_eq!((first.price, first.state, first.live), (10, State::Held, true));
    assert_eq!(first.note, "it's \"new\"");
    assert_ne!(first.token, second.token);
    Ok(())
}

async fn a_row_is_deleted_as_those_that_refer_to_it_say(db: Session) -> Result<(), Error> {
    let shelves: Vec<_> = (1..=5).map(|id| Shelf { id }).collect();
    Shelf::bulk_create(&db, &shelves).await?;
    let book = Book { id: 1, kept_id: Some(2), moved_id: 3, lent_id: Some(4), left_id: Some(5) };
    Book::create(&db, book.clone()).await?;
    for kept in [2, 5] {
        let refused = Shelf::get(&db, kept).await?.delete(&db).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ForeignKeyViolation, "{refused}");
    }
    let renamed = Shelf::query().filter(Shelf::id().eq(4));
    renamed.update(&db, [Shelf::id().set(6)]).await?;
    assert_eq!(Book::get(&db, 1).await?.lent_id, Some(6));
    for shelf in [3, 6] {
        Shelf::get(&db, shelf).await?.delete(&db).await?;
    }
    let after = Book::get(&db, 1).await?;
    assert_eq!(after, Book { moved_id: 1, lent_id: None, ..book });
    Ok(())
}
