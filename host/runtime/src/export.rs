//! The exports of a plugin: names, types, and reading arguments.

use std::sync::Arc;

use ferro_wit::types::{Error, ErrorKind};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Type, Val};

use crate::types::TypeNames;
use crate::wave;

/// A function that a plugin exports.
#[derive(Clone)]
pub struct Export {
    name: String,
    function: ComponentFunc,
    names: Arc<TypeNames>,
    pub(crate) index: ComponentExportIndex,
}

impl Export {
    /// The name: `top-cities`, or `example:geo/cities@1.0.0#top` for a function of an interface.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type in WIT syntax: `func(limit: u32) -> list<city>`.
    #[must_use]
    pub fn signature(&self) -> String {
        let result = self.function.results().next();
        let result = result.map(|ty| format!(" -> {}", self.names.text(&ty))).unwrap_or_default();
        format!("func({}){result}", self.parameters())
    }

    fn parameters(&self) -> String {
        let parameters = self.function.params();
        let parameters = parameters.map(|(name, ty)| format!("{name}: {}", self.names.text(&ty)));
        parameters.collect::<Vec<_>>().join(", ")
    }

    /// Adds the named types of the parameters and the result, with their definitions.
    pub(crate) fn definitions(&self, found: &mut Vec<(String, String)>) {
        for ty in self.function.params().map(|(_, ty)| ty).chain(self.function.results()) {
            self.names.definitions(&ty, found);
        }
    }

    pub(crate) fn result_count(&self) -> usize {
        self.function.results().len()
    }

    /// Reads arguments in WAVE: `(3, "a")`. Options at the end may be left out.
    pub(crate) fn read_arguments(&self, text: &str) -> Result<Vec<Val>, Error> {
        let types: Vec<Type> = self.function.params().map(|(_, ty)| ty).collect();
        wave::read_arguments(text, &types).map_err(|fault| self.misfit(&fault))
    }

    pub(crate) fn check_arguments(&self, arguments: &[Val]) -> Result<(), Error> {
        let expected = self.function.params().len();
        if arguments.len() != expected {
            return Err(
                self.misfit(&format!("{} arguments instead of {expected}", arguments.len()))
            );
        }
        match self.function.params().zip(arguments).find(|((_, ty), val)| !fits(val, ty)) {
            Some(((name, ty), _)) => {
                Err(self.misfit(&format!("`{name}` is not a `{}`", self.names.text(&ty))))
            }
            None => Ok(()),
        }
    }

    fn misfit(&self, fault: &str) -> Error {
        let (name, parameters) = (&self.name, self.parameters());
        let message = format!("the arguments do not match `{name}({parameters})`: {fault}");
        Error::new(ErrorKind::TypeMismatch, message)
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Export").field(&self.name).finish()
    }
}

/// All functions of a component and of its interfaces, except those of `ferro:orm`.
pub(crate) fn list(component: &Component, engine: &Engine) -> Vec<Export> {
    let ty = component.component_type();
    let names = Arc::new(TypeNames::of(&ty, engine));
    let mut exports = Vec::new();
    let mut add = |name: String, function: ComponentFunc, index: Option<ComponentExportIndex>| {
        let names = Arc::clone(&names);
        exports.extend(index.map(|index| Export { name, function, names, index }));
    };
    for (name, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(function) => {
                add(name.into(), function, component.get_export_index(None, name));
            }
            ComponentItem::ComponentInstance(interface) if !name.starts_with("ferro:orm/") => {
                let parent = component.get_export_index(None, name);
                for (member, item) in interface.exports(engine) {
                    if let ComponentItem::ComponentFunc(function) = item.ty {
                        let index = component.get_export_index(parent.as_ref(), member);
                        add(format!("{name}#{member}"), function, index);
                    }
                }
            }
            _ => {}
        }
    }
    exports
}

/// Finds an export by name. The version of an interface, its package, and the interface itself may
/// be omitted if the name remains unambiguous.
pub(crate) fn find<'a>(exports: &'a [Export], name: &str) -> Result<&'a Export, Error> {
    if let Some(export) = exports.iter().find(|export| export.name == name) {
        return Ok(export);
    }
    let mut fitting =
        exports.iter().filter(|export| short_names(&export.name).iter().any(|short| short == name));
    let quoted = |exports: &mut dyn Iterator<Item = &Export>| {
        exports.map(|export| format!("`{}`", export.name)).collect::<Vec<_>>().join(", ")
    };
    match (fitting.next(), fitting.next()) {
        (Some(export), None) => Ok(export),
        (None, _) => Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no export `{name}`; the exports are {}", quoted(&mut exports.iter())),
        )),
        (Some(first), Some(second)) => {
            let all = quoted(&mut [first, second].into_iter().chain(fitting));
            let message = format!("several exports are called `{name}`: {all}; name one in full");
            Err(Error::new(ErrorKind::NotFound, message))
        }
    }
}

/// The short forms of `package:name/interface@version#function`.
fn short_names(name: &str) -> Vec<String> {
    let Some((interface, function)) = name.rsplit_once('#') else { return Vec::new() };
    let interface = interface.split('@').next().unwrap_or(interface);
    let short = interface.rsplit('/').next().unwrap_or(interface);
    vec![function.into(), format!("{short}#{function}"), format!("{interface}#{function}")]
}

fn fits(value: &Val, ty: &Type) -> bool {
    let payload = |value: &Option<Box<Val>>, ty: Option<Type>| match (value, ty) {
        (None, None) => true,
        (Some(value), Some(ty)) => fits(value, &ty),
        _ => false,
    };
    match (value, ty) {
        (Val::Bool(_), Type::Bool)
        | (Val::S8(_), Type::S8)
        | (Val::U8(_), Type::U8)
        | (Val::S16(_), Type::S16)
        | (Val::U16(_), Type::U16)
        | (Val::S32(_), Type::S32)
        | (Val::U32(_), Type::U32)
        | (Val::S64(_), Type::S64)
        | (Val::U64(_), Type::U64)
        | (Val::Float32(_), Type::Float32)
        | (Val::Float64(_), Type::Float64)
        | (Val::Char(_), Type::Char)
        | (Val::String(_), Type::String) => true,
        (Val::List(items), Type::List(list)) => items.iter().all(|item| fits(item, &list.ty())),
        (Val::Record(values), Type::Record(record)) => {
            let mut fields = record.fields();
            fields.len() == values.len()
                && values.iter().all(|(name, value)| {
                    fields.next().is_some_and(|it| it.name == name && fits(value, &it.ty))
                })
        }
        (Val::Tuple(values), Type::Tuple(tuple)) => {
            let types = tuple.types();
            types.len() == values.len() && values.iter().zip(types).all(|(it, ty)| fits(it, &ty))
        }
        (Val::Variant(name, value), Type::Variant(variant)) => {
            variant.cases().any(|case| case.name == name && payload(value, case.ty))
        }
        (Val::Enum(name), Type::Enum(cases)) => cases.names().any(|case| case == name),
        (Val::Option(value), Type::Option(option)) => {
            value.as_ref().is_none_or(|value| fits(value, &option.ty()))
        }
        (Val::Result(result), Type::Result(ty)) => match result {
            Ok(value) => payload(value, ty.ok()),
            Err(value) => payload(value, ty.err()),
        },
        (Val::Flags(names), Type::Flags(flags)) => {
            names.iter().all(|name| flags.names().any(|flag| flag == name))
        }
        _ => false,
    }
}
