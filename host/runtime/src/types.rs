//! The types of a plugin's exports in WIT syntax.

use wasmtime::Engine;
use wasmtime::component::Type;
use wasmtime::component::types::{Component, ComponentExtern, ComponentItem};
use wasmtime::component::wasm_wave::wasm::DisplayType;

/// The names of a component's types in its interfaces. Types themselves have no names, so a type
/// gets the first name found for it; a type that only a world names has none.
#[derive(Default)]
pub(crate) struct TypeNames(Vec<(String, Type)>);

impl TypeNames {
    pub(crate) fn of(ty: &Component, engine: &Engine) -> Self {
        let mut names = Self::default();
        for (name, item) in ty.imports(engine).chain(ty.exports(engine)) {
            names.add(name, &item, engine);
        }
        names
    }

    fn add(&mut self, name: &str, item: &ComponentExtern<'_>, engine: &Engine) {
        match &item.ty {
            ComponentItem::Type(ty) if is_definition(ty) => self.0.push((name.into(), ty.clone())),
            ComponentItem::ComponentInstance(interface) => {
                for (name, item) in interface.exports(engine) {
                    if matches!(item.ty, ComponentItem::Type(_)) {
                        self.add(name, &item, engine);
                    }
                }
            }
            _ => {}
        }
    }

    /// The name of a type, or its structure.
    pub(crate) fn text(&self, ty: &Type) -> String {
        match self.name(ty) {
            Some(name) => name.to_owned(),
            None => self.definition(ty),
        }
    }

    /// The definitions of the named types in a type, including itself, each once.
    pub(crate) fn definitions(&self, ty: &Type, found: &mut Vec<(String, String)>) {
        if let Some(name) = self.name(ty) {
            if found.iter().any(|(known, _)| known == name) {
                return;
            }
            found.push((name.to_owned(), self.definition(ty)));
        }
        for part in parts(ty) {
            self.definitions(&part, found);
        }
    }

    fn name(&self, ty: &Type) -> Option<&str> {
        let mut named = self.0.iter().filter(|_| is_definition(ty));
        named.find(|(_, known)| known == ty).map(|(name, _)| name.as_str())
    }

    fn definition(&self, ty: &Type) -> String {
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
        let payload = |ty: Option<Type>| ty.map_or_else(|| "_".into(), |ty| self.text(&ty));
        match ty {
            Type::Record(record) => {
                let mut fields =
                    record.fields().map(|it| format!("{}: {}", it.name, self.text(&it.ty)));
                format!("record {{ {} }}", list(&mut fields))
            }
            Type::Variant(variant) => {
                let mut cases = variant.cases().map(|case| match case.ty {
                    Some(ty) => format!("{}({})", case.name, self.text(&ty)),
                    None => case.name.to_owned(),
                });
                format!("variant {{ {} }}", list(&mut cases))
            }
            Type::List(items) => format!("list<{}>", self.text(&items.ty())),
            Type::Option(some) => format!("option<{}>", self.text(&some.ty())),
            Type::Tuple(tuple) => {
                format!("tuple<{}>", list(&mut tuple.types().map(|ty| self.text(&ty))))
            }
            Type::Result(result) => match (result.ok(), result.err()) {
                (None, None) => "result".into(),
                (ok, None) => format!("result<{}>", payload(ok)),
                (ok, err) => format!("result<{}, {}>", payload(ok), payload(err)),
            },
            other => DisplayType(other).to_string(),
        }
    }
}

/// Whether WIT requires a name for this kind of type.
fn is_definition(ty: &Type) -> bool {
    matches!(ty, Type::Record(_) | Type::Variant(_) | Type::Enum(_) | Type::Flags(_))
}

fn parts(ty: &Type) -> Vec<Type> {
    match ty {
        Type::Record(record) => record.fields().map(|field| field.ty).collect(),
        Type::Variant(variant) => variant.cases().filter_map(|case| case.ty).collect(),
        Type::List(items) => vec![items.ty()],
        Type::Option(some) => vec![some.ty()],
        Type::Tuple(tuple) => tuple.types().collect(),
        Type::Result(result) => result.ok().into_iter().chain(result.err()).collect(),
        _ => Vec::new(),
    }
}
