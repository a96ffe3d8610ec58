//! Adds what an error is about.

use ferro_wit::query::{Node, NodeRef, Path};
use ferro_wit::types::Error;

use super::{Fact, Typing};
use crate::blame::blame;
use crate::catalog::Field;
use crate::error::{about, path, shown};
use crate::validate::children;

impl<'a> Typing<'a> {
    /// An error about an expression of the current frame.
    pub(crate) fn at(&self, node: NodeRef, error: Error) -> Error {
        let model = |outer| Some(self.frames[self.outwards(outer)?].view.model.name.as_str());
        blame(self.task.query, node, model, error)
    }

    /// An error about a path that starts at the rows of the current frame.
    pub(super) fn of_path(&self, Path { relations, field, .. }: &Path, error: Error) -> Error {
        let names = relations.iter().chain([field]).map(String::as_str);
        about(&path([self.model_name()].into_iter().chain(names)), error)
    }

    /// An error about a field of the rows of the current frame.
    pub(crate) fn of_field(&self, field: &Field, error: Error) -> Error {
        about(&path([self.model_name(), &field.name]), error)
    }

    /// An error about the select of the current frame.
    pub(crate) fn of_rows(&self, error: Error) -> Error {
        about(&shown(self.model_name()), error)
    }

    /// The innermost part of an expression for which a property holds that also holds for all
    /// enclosing parts.
    pub(super) fn innermost(&self, node: NodeRef, holds: impl Fn(&Fact) -> bool) -> NodeRef {
        let mut parts = children(self.node(node)).0.into_iter();
        match parts.find(|it| self.known(*it).is_some_and(|fact| holds(&fact))) {
            Some(part) => self.innermost(part, holds),
            None => node,
        }
    }

    /// The name of an aggregate or of a window function.
    pub(super) fn function(&self, node: NodeRef) -> String {
        match self.node(node) {
            Node::Aggregate(it) => shown(&it.function.to_string()),
            Node::Window(it) => shown(&it.function),
            _ => "it".to_owned(),
        }
    }

    fn model_name(&self) -> &'a str {
        &self.view().model.name
    }
}
