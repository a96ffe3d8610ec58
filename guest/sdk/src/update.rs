//! Updates of many rows that were read before.

use ferro_wit::query::{BinaryOperator, KeyedBatch, Statement, Update};
use ferro_wit::types::{Batch, Error, ErrorKind};

use crate::expression::Assignment;
use crate::insert::number_of_rows;
use crate::model::Model;
use crate::query::assignments;
use crate::session::Request;
use crate::tree::{Arena, SelectTree, Tree, owned};

/// The request that writes some fields of rows, found by their keys; `None` if there are no rows.
/// If rows have a version, it must still be the one that was read.
pub(crate) fn by_key<M: Model>(
    rows: &[M],
    fields: &[&'static str],
) -> Result<Option<(Request, Batch)>, Error> {
    if let Some(key) = fields.iter().find(|it| M::KEY.contains(it)) {
        let message =
            format!("`{key}` is a part of the key, by which rows are found: leave it out");
        return Err(Error::new(ErrorKind::InvalidQuery, message));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let version = M::VERSION.filter(|it| !fields.contains(it));
    let carried =
        |name: &&str| fields.contains(name) || M::KEY.contains(name) || version == Some(*name);
    let (names, columns): (Vec<_>, Vec<_>) =
        M::columns(rows)?.into_iter().filter(|(name, _)| carried(name)).unzip();

    let mut arena = Arena::default();
    let set = fields.iter().map(|it| Assignment::<M>::new(it, Tree::Excluded(it))).collect();
    let set = assignments(&mut arena, set)?;
    let filter =
        version.map(|it| Tree::binary(BinaryOperator::Equal, Tree::field(it), Tree::Excluded(it)));
    let select = SelectTree { filter, ..SelectTree::new(M::NAME, M::FIELDS, M::KEY) };
    let batch = KeyedBatch { fields: owned(&names), key: owned(M::KEY) };
    let update = Update {
        model: M::NAME.to_owned(),
        set,
        rows: arena.add_select(select)?,
        batch: Some(batch),
        returning: None,
    };
    let request = Request::new(arena, Statement::Update(update));
    Ok(Some((request, Batch { rows: number_of_rows(rows)?, columns })))
}
