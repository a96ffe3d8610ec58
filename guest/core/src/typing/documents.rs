//! Parts of JSON documents, and arrays.

use ferro_wit::query::{JsonChange, JsonPath, NodeRef};
use ferro_wit::types::{Error, ScalarType};

use super::{Fact, Typing};
use crate::dialect::{Spelling as _, documents};
use crate::error::{invalid, limit, mismatch, shown, unsupported};

/// The maximum steps of a path into a document.
const MAX_STEPS: usize = 64;
/// The place of the parts of a change of a document, for messages.
const PLACE: &str = "a change of a document";

impl Typing<'_> {
    /// A part of a document, which is null if it has another type than requested.
    pub(super) fn json(&self, path: &JsonPath, document: Fact) -> Result<Fact, Error> {
        check_path(document, &path.steps)?;
        if documents::template(self.task.dialect, path.kind).is_none() {
            return Err(unsupported(format!(
                "a part of a document cannot be read as {} here: read it as text",
                path.kind
            )));
        }
        // On SQLite, the stored text may not be valid JSON.
        Ok(Fact { nullable: true, fallible: true, ..document }.with(path.kind))
    }

    /// A document in which a part is set or removed.
    pub(super) fn json_change(
        &mut self,
        change: &JsonChange,
        node: NodeRef,
    ) -> Result<Fact, Error> {
        let document = self.check_rowwise(change.document, PLACE)?;
        check_path(document, &change.steps).map_err(|error| self.at(node, error))?;
        if change.steps.is_empty() {
            let fault = invalid("a part of a document has a path of one step or more");
            return Err(self.at(node, fault));
        }
        let mut around = document;
        if let Some(value) = change.value {
            let fact = self.check_rowwise(value, PLACE)?;
            let kind = fact.ty.map(|it| it.kind);
            let many = fact.ty.filter(|it| it.many);
            let taken = documents::part(self.task.dialect, kind).is_some();
            if let Some(ty) = many.or(fact.ty.filter(|_| !taken)) {
                return Err(self.at(
                    node,
                    mismatch(format!(
                        "a part of a document is set to json, text, a boolean, an integer or a \
                         float, not to {}",
                        self.describe(ty)
                    )),
                ));
            }
            around = Fact { lengthens: true, ..Fact::around([document, fact]) };
        }
        // On SQLite, the stored text may not be valid JSON.
        let fact = Fact { nullable: document.nullable, fallible: true, ..around };
        Ok(fact.with(ScalarType::Json))
    }

    pub(super) fn json_contains(&self, left: Fact, right: Fact) -> Result<Fact, Error> {
        if !left.is(ScalarType::Json) || !right.is(ScalarType::Json) {
            return Err(self.expected_both("json", left, right));
        }
        match self.task.dialect.features().documents {
            true => Ok(Fact::around([left, right]).with(ScalarType::Boolean)),
            false => Err(unsupported(
                "SQLite does not look into documents: compare their parts, by paths",
            )),
        }
    }

    pub(super) fn arrays(&self, left: Fact, right: Fact) -> Result<Fact, Error> {
        let kind = match (left.ty, right.ty) {
            (Some(one), Some(other)) if one.many && other.many && one.kind == other.kind => {
                one.kind
            }
            _ => return Err(self.expected_both("arrays of one type", left, right)),
        };
        self.check_elements(kind)?;
        // On SQLite, the stored text may not be an array.
        Ok(Fact { fallible: true, ..Fact::around([left, right]) }.with(ScalarType::Boolean))
    }

    /// Rejects types whose elements cannot be compared as JSON, if arrays are JSON: elements are
    /// then equal if their texts are.
    pub(super) fn check_elements(&self, kind: ScalarType) -> Result<(), Error> {
        let plain = !matches!(kind, ScalarType::Decimal | ScalarType::Json | ScalarType::Interval);
        match plain || self.task.dialect.features().arrays {
            true => Ok(()),
            false => {
                Err(unsupported(format!("comparing arrays of {kind} is not supported on SQLite")))
            }
        }
    }
}

fn check_path(document: Fact, steps: &[String]) -> Result<(), Error> {
    if !document.is(ScalarType::Json) {
        return Err(mismatch("a path leads into json"));
    }
    if steps.len() > MAX_STEPS {
        return Err(limit(format!("more than {MAX_STEPS} steps into a document")));
    }
    for step in steps {
        // SQLite's path language cannot express these.
        if step.contains(['"', '\\']) || step.contains(char::is_control) {
            return Err(unsupported(format!(
                "a key with quotes, backslashes or control characters: {}",
                shown(step)
            )));
        }
        if is_position(step) && step.parse::<i32>().is_err() {
            return Err(invalid(format!("{} is no position in an array", shown(step))));
        }
    }
    Ok(())
}

/// Whether a step is a position in an array; otherwise, it is a key.
pub(crate) fn is_position(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|it| it.is_ascii_digit())
}
