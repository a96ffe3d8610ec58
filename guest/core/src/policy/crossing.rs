//! Relations as visible to a caller: one that touches anything outside of the scope does not exist.

use ferro_wit::policy::Scope;
use ferro_wit::types::{Error, ErrorKind};

use super::View;
use crate::catalog::{Catalog, Link, Relation};
use crate::error::{denied, invalid, shown, suggestion};

/// A relation that may be crossed.
#[derive(Debug)]
pub(crate) struct Crossing<'a> {
    pub(crate) relation: &'a Relation,
    /// The model that it leads to.
    pub(crate) target: View<'a>,
    /// The model with the pairs, if there is one.
    pub(crate) through: Option<View<'a>>,
}

impl<'a> View<'a> {
    /// A relation of the model, by name. All fields by which it joins must be readable, since
    /// crossing it reveals which values are equal.
    pub(crate) fn cross(
        &self,
        catalog: &'a Catalog,
        scope: Option<&'a Scope>,
        name: &str,
    ) -> Result<Crossing<'a>, Error> {
        let mut relations = self.model.relations.iter();
        let crossing = match relations.find(|it| it.name == name) {
            Some(relation) => self.crossing(catalog, scope, relation)?,
            None => None,
        };
        match crossing {
            Some(crossing) => Ok(crossing),
            None => Err(self.no_relation(catalog, scope, name)?),
        }
    }

    /// `None` if the caller must not see the relation.
    fn crossing(
        &self,
        catalog: &'a Catalog,
        scope: Option<&'a Scope>,
        relation: &'a Relation,
    ) -> Result<Option<Crossing<'a>>, Error> {
        let open = |model: usize| {
            match Self::open(catalog, scope, &catalog.models[model].name) {
                Ok(view) => Ok(Some(view)),
                // An invalid scope is reported, and not taken as hiding the model.
                Err(error) if error.kind == ErrorKind::InvalidConfiguration => Err(error),
                Err(_) => Ok(None),
            }
        };
        let Some(target) = open(relation.target)? else { return Ok(None) };
        let (through, readable) = match &relation.link {
            Link::Fields(pairs) => (None, self.may_join(pairs, &target)),
            Link::Through { model, source, target: further } => {
                let Some(through) = open(*model)? else { return Ok(None) };
                let readable =
                    self.may_join(source, &through) && through.may_join(further, &target);
                (Some(through), readable)
            }
            Link::JoinTable { index, .. } => {
                let table = catalog.join_tables[*index].table.full_name();
                let listed = scope.and_then(|it| it.pairs.as_ref());
                let granted = listed.is_none_or(|it| it.contains(&table));
                (None, granted && self.may_read_key() && target.may_read_key())
            }
        };
        Ok(readable.then_some(Crossing { relation, target, through }))
    }

    fn may_join(&self, pairs: &[(usize, usize)], other: &Self) -> bool {
        let fields = (&self.model.fields, &other.model.fields);
        pairs
            .iter()
            .all(|(own, its)| self.may_read(&fields.0[*own]) && other.may_read(&fields.1[*its]))
    }

    fn may_read_key(&self) -> bool {
        self.model.primary_key.iter().all(|it| self.may_read(&self.model.fields[*it]))
    }

    /// The same error for a relation that does not exist and for one that is hidden.
    fn no_relation(
        &self,
        catalog: &'a Catalog,
        scope: Option<&'a Scope>,
        name: &str,
    ) -> Result<Error, Error> {
        let mut known = Vec::new();
        for relation in &self.model.relations {
            if self.crossing(catalog, scope, relation)?.is_some() {
                known.push(relation.name.as_str());
            }
        }
        let message = format!(
            "{} has no relation {}{}",
            self.shown(),
            shown(name),
            suggestion(name, known.into_iter())
        );
        Ok(match self.scope {
            Some(_) => denied(message),
            None => invalid(message),
        })
    }
}
