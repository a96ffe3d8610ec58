//! Relations between models: foreign keys, their reverse sides, and join tables.

use std::collections::BTreeMap;

use ferro_wit::schema;

/// A relation from rows of one model to rows of another.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// The index of the target model.
    pub(crate) target: usize,
    pub(crate) link: Link,
    /// Whether it leads to any number of rows, not to at most one.
    pub(crate) many: bool,
    /// Whether there may be no row, even without a scope.
    pub(crate) optional: bool,
}

/// How rows of both sides are linked. Fields are indices in their model.
#[derive(Debug)]
pub(crate) enum Link {
    /// Equal fields of this model and the target.
    Fields(Vec<(usize, usize)>),
    /// Through a model: equal fields of this model and that one, and of that one and the target.
    Through { model: usize, source: Vec<(usize, usize)>, target: Vec<(usize, usize)> },
    /// Through a join table without a model: its index in `Catalog::join_tables`, and whether the
    /// relation leads from its target to its source.
    JoinTable { index: usize, reversed: bool },
}

/// The relations of each model.
pub(super) fn resolve(
    models: &[schema::Model],
    by_name: &BTreeMap<String, usize>,
    positions: &[BTreeMap<String, usize>],
) -> Vec<Vec<Relation>> {
    let mut links = Links { models, by_name, positions, join_tables: 0, found: Vec::new() };
    links.found.resize_with(models.len(), Vec::new);
    for (index, model) in models.iter().enumerate() {
        for key in &model.foreign_keys {
            links.foreign_key(index, key);
        }
        for relation in &model.many_to_manys {
            links.many_to_many(index, relation);
        }
    }
    links.found
}

struct Links<'a> {
    models: &'a [schema::Model],
    by_name: &'a BTreeMap<String, usize>,
    /// The fields of each model, by name.
    positions: &'a [BTreeMap<String, usize>],
    /// The number of join tables created for relations so far.
    join_tables: usize,
    found: Vec<Vec<Relation>>,
}

impl Links<'_> {
    fn foreign_key(&mut self, source: usize, key: &schema::ForeignKey) {
        let target = self.by_name[&key.target];
        let pairs = self.pairs(source, key);
        let nullable = pairs.iter().any(|(own, _)| self.models[source].fields[*own].nullable);
        if let Some(name) = &key.reverse {
            self.found[target].push(Relation {
                name: name.clone(),
                target: source,
                link: Link::Fields(swapped(&pairs)),
                many: !key.unique,
                optional: true,
            });
        }
        self.found[source].push(Relation {
            name: key.name.clone(),
            target,
            link: Link::Fields(pairs),
            many: false,
            optional: nullable,
        });
    }

    fn many_to_many(&mut self, source: usize, relation: &schema::ManyToMany) {
        let target = self.by_name[&relation.target];
        let (link, back) = match &relation.through {
            Some(through) => self.through(source, self.by_name[through], target),
            None => {
                let index = self.join_tables;
                self.join_tables += 1;
                let link = |reversed| Link::JoinTable { index, reversed };
                (link(false), link(true))
            }
        };
        let many = |name: &String, target, link| Relation {
            name: name.clone(),
            target,
            link,
            many: true,
            optional: true,
        };
        if let Some(name) = &relation.reverse {
            self.found[target].push(many(name, source, back));
        }
        self.found[source].push(many(&relation.name, target, link));
    }

    /// Both directions through a model, by its first foreign key to each side; if both sides are
    /// the same model, its first key leads to the source and its second to the target.
    fn through(&self, source: usize, model: usize, target: usize) -> (Link, Link) {
        let to = |side: usize, skip: usize| {
            let keys = self.models[model].foreign_keys.iter();
            let mut keys = keys.filter(|it| self.by_name[&it.target] == side).skip(skip);
            keys.next().map(|it| self.pairs(model, it)).unwrap_or_default()
        };
        let to_source = to(source, 0);
        let to_target = to(target, usize::from(source == target));
        let link = |from: &[(usize, usize)], to: &[(usize, usize)]| Link::Through {
            model,
            source: swapped(from),
            target: to.to_vec(),
        };
        (link(&to_source, &to_target), link(&to_target, &to_source))
    }

    fn pairs(&self, source: usize, key: &schema::ForeignKey) -> Vec<(usize, usize)> {
        let target = self.by_name[&key.target];
        let fields = key.fields.iter();
        fields
            .map(|(from, to)| (self.positions[source][from], self.positions[target][to]))
            .collect()
    }
}

fn swapped(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    pairs.iter().map(|(one, other)| (*other, *one)).collect()
}
