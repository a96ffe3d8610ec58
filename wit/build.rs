//! Writes the types of the WIT package as Rust, one module for each interface, so that the `.wit`
//! files stay the only place where they are stated.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use wit_parser::{
    Docs, Enum, Handle, Interface, InterfaceId, PackageId, Record, Resolve, Type, TypeDefKind,
    TypeId, TypeOwner, Variant,
};

fn main() -> Result<()> {
    let dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    for entry in fs::read_dir(&dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "wit") {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&dir)?;
    let generator = Generator { resolve: &resolve };
    let version = resolve.packages[package].name.version.as_ref();
    let version = version.context("the package has no version")?;
    let mut out = String::new();
    writeln!(out, "/// The version of the WIT package.")?;
    writeln!(out, "pub const VERSION: &str = \"{version}\";")?;
    for (name, id) in &resolve.packages[package].interfaces {
        generator.interface(&mut out, name, *id)?;
    }
    writeln!(
        out,
        "/// What each function takes and gives, as JSON: by interface and name `[parameters,"
    )?;
    writeln!(out, "/// result]`, where a type is a list of its name and its parts.")?;
    writeln!(out, "pub const FUNCTIONS: &str = r#\"{}\"#;", generator.functions(package)?)?;
    let target = PathBuf::from(env::var("OUT_DIR")?).join("types.rs");
    fs::write(&target, out).with_context(|| format!("cannot write {}", target.display()))
}

struct Generator<'a> {
    resolve: &'a Resolve,
}

impl Generator<'_> {
    fn interface(&self, out: &mut String, name: &str, id: InterfaceId) -> Result<()> {
        let interface: &Interface = &self.resolve.interfaces[id];
        let mut types = String::new();
        for (name, id) in &interface.types {
            self.type_item(&mut types, name, *id)?;
        }
        if types.is_empty() {
            return Ok(());
        }
        doc(out, "", &interface.docs);
        writeln!(out, "pub mod {} {{", snake(name))?;
        writeln!(out, "    #[allow(unused_imports)] use super::*;")?;
        out.push_str(&types);
        writeln!(out, "}}")?;
        Ok(())
    }

    fn type_item(&self, out: &mut String, name: &str, id: TypeId) -> Result<()> {
        let def = &self.resolve.types[id];
        let name = camel(name);
        match &def.kind {
            // Resources are the business of whoever implements or imports them.
            TypeDefKind::Resource | TypeDefKind::Handle(_) => {}
            TypeDefKind::Type(Type::Id(used)) if self.owner(*used) != self.owner(id) => {
                if !self.is_resource(*used) {
                    let source = self.module_of(*used)?;
                    writeln!(out, "    pub use super::{source}::{name};")?;
                }
            }
            TypeDefKind::Record(record) => {
                doc(out, "    ", &def.docs);
                self.record(out, &name, id, record)?;
            }
            TypeDefKind::Variant(variant) => {
                doc(out, "    ", &def.docs);
                self.variant(out, &name, id, variant)?;
            }
            TypeDefKind::Enum(cases) => {
                doc(out, "    ", &def.docs);
                self.enumeration(out, &name, cases)?;
            }
            _ => {
                doc(out, "    ", &def.docs);
                writeln!(out, "    pub type {name} = {};", self.kind(id)?)?;
            }
        }
        Ok(())
    }

    fn record(&self, out: &mut String, name: &str, id: TypeId, record: &Record) -> Result<()> {
        self.derives(out, "record", self.has_floats(&Type::Id(id)))?;
        writeln!(out, "    #[serde(rename_all = \"kebab-case\", deny_unknown_fields)]")?;
        writeln!(out, "    pub struct {name} {{")?;
        for field in &record.fields {
            doc_or(out, "        ", &field.docs, &field.name);
            if self.may_be_absent(&field.ty) {
                writeln!(out, "        #[serde(default)]")?;
            }
            component_name(out, &field.name)?;
            writeln!(out, "        pub {}: {},", snake(&field.name), self.ty(&field.ty)?)?;
        }
        writeln!(out, "    }}")?;
        Ok(())
    }

    fn variant(&self, out: &mut String, name: &str, id: TypeId, variant: &Variant) -> Result<()> {
        self.derives(out, "variant", self.has_floats(&Type::Id(id)))?;
        writeln!(out, "    #[serde(rename_all = \"kebab-case\")]")?;
        writeln!(out, "    pub enum {name} {{")?;
        for case in &variant.cases {
            doc_or(out, "        ", &case.docs, &case.name);
            component_name(out, &case.name)?;
            match &case.ty {
                Some(ty) => writeln!(out, "        {}({}),", camel(&case.name), self.ty(ty)?)?,
                None => writeln!(out, "        {},", camel(&case.name))?,
            }
        }
        writeln!(out, "    }}")?;
        Ok(())
    }

    fn enumeration(&self, out: &mut String, name: &str, cases: &Enum) -> Result<()> {
        self.derives(out, "enum", false)?;
        writeln!(out, "    #[derive(Copy, PartialOrd, Ord)]")?;
        writeln!(out, "    #[serde(rename_all = \"kebab-case\")]")?;
        writeln!(out, "    #[repr(u8)]")?;
        writeln!(out, "    pub enum {name} {{")?;
        for case in &cases.cases {
            doc_or(out, "        ", &case.docs, &case.name);
            component_name(out, &case.name)?;
            writeln!(out, "        {},", camel(&case.name))?;
        }
        writeln!(out, "    }}")?;
        lift(out, name, cases)
    }

    fn functions(&self, package: PackageId) -> Result<String> {
        let mut interfaces = Vec::new();
        for (name, id) in &self.resolve.packages[package].interfaces {
            let mut functions = Vec::new();
            for (name, function) in &self.resolve.interfaces[*id].functions {
                let params: Result<Vec<_>> = function
                    .params
                    .iter()
                    .map(|it| Ok(format!("[\"{}\",{}]", it.name, self.signature(&it.ty)?)))
                    .collect();
                let (params, result) = (params?.join(","), self.maybe(function.result.as_ref())?);
                functions.push(format!("\"{name}\":[[{params}],{result}]"));
            }
            if !functions.is_empty() {
                interfaces.push(format!("\"{name}\":{{{}}}", functions.join(",")));
            }
        }
        Ok(format!("{{{}}}", interfaces.join(",")))
    }

    /// A type with all that it is made of.
    fn signature(&self, ty: &Type) -> Result<String> {
        let Type::Id(id) = ty else {
            let name = match ty {
                Type::String => "string".into(),
                other => format!("{other:?}").to_lowercase(),
            };
            return Ok(format!("[\"{name}\"]"));
        };
        let list = |parts: Result<Vec<String>>| Ok::<_, anyhow::Error>(parts?.join(","));
        let named = |name: &str, ty| Ok(format!("[\"{name}\",{}]", self.maybe(ty)?));
        Ok(match &self.resolve.types[*id].kind {
            TypeDefKind::Type(it) => self.signature(it)?,
            TypeDefKind::List(it) => format!("[\"list\",{}]", self.signature(it)?),
            TypeDefKind::Option(it) => format!("[\"option\",{}]", self.signature(it)?),
            TypeDefKind::Tuple(it) => {
                let types = list(it.types.iter().map(|it| self.signature(it)).collect())?;
                format!("[\"tuple\",[{types}]]")
            }
            TypeDefKind::Result(it) => {
                let (ok, err) = (self.maybe(it.ok.as_ref())?, self.maybe(it.err.as_ref())?);
                format!("[\"result\",{ok},{err}]")
            }
            TypeDefKind::Record(it) => {
                let fields = it.fields.iter().map(|it| named(&it.name, Some(&it.ty)));
                format!("[\"record\",[{}]]", list(fields.collect())?)
            }
            TypeDefKind::Variant(it) => {
                let cases = it.cases.iter().map(|it| named(&it.name, it.ty.as_ref()));
                format!("[\"variant\",[{}]]", list(cases.collect())?)
            }
            TypeDefKind::Enum(it) => {
                let names: Vec<_> = it.cases.iter().map(|it| format!("\"{}\"", it.name)).collect();
                format!("[\"enum\",[{}]]", names.join(","))
            }
            TypeDefKind::Handle(Handle::Own(it)) => format!("[\"own\",{}]", self.resource(*it)?),
            TypeDefKind::Handle(Handle::Borrow(it)) => {
                format!("[\"borrow\",{}]", self.resource(*it)?)
            }
            // A resource that is taken or given as such is owned.
            TypeDefKind::Resource => format!("[\"own\",{}]", self.resource(*id)?),
            other => bail!("no signature for {}", other.as_str()),
        })
    }

    fn maybe(&self, ty: Option<&Type>) -> Result<String> {
        ty.map_or(Ok("null".into()), |ty| self.signature(ty))
    }

    /// A resource by the interface that it belongs to.
    fn resource(&self, id: TypeId) -> Result<String> {
        let def = &self.resolve.types[id];
        if let TypeDefKind::Type(Type::Id(used)) = def.kind {
            return self.resource(used);
        }
        let (TypeOwner::Interface(owner), Some(name)) = (def.owner, &def.name) else {
            bail!("a resource outside an interface");
        };
        let interface = self.resolve.id_of(owner).context("a resource outside a package")?;
        let path = interface.split('@').next().unwrap_or_default();
        Ok(format!("\"{path}#{name}\""))
    }

    fn derives(&self, out: &mut String, kind: &str, floats: bool) -> Result<()> {
        let equality = if floats { "PartialEq" } else { "PartialEq, Eq, Hash" };
        writeln!(
            out,
            "    #[derive(Debug, Clone, {equality}, serde::Serialize, serde::Deserialize)]"
        )?;
        writeln!(
            out,
            "    #[cfg_attr(feature = \"wasmtime\", derive(wasmtime::component::ComponentType, \
             wasmtime::component::Lift, wasmtime::component::Lower), component({kind}))]"
        )?;
        Ok(())
    }

    fn ty(&self, ty: &Type) -> Result<String> {
        Ok(match ty {
            Type::Bool => "bool".into(),
            Type::U8 => "u8".into(),
            Type::U16 => "u16".into(),
            Type::U32 => "u32".into(),
            Type::U64 => "u64".into(),
            Type::S8 => "i8".into(),
            Type::S16 => "i16".into(),
            Type::S32 => "i32".into(),
            Type::S64 => "i64".into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "String".into(),
            Type::Id(id) => match &self.resolve.types[*id].name {
                Some(name) => camel(name),
                None => self.kind(*id)?,
            },
            other => bail!("no Rust type for {other:?}"),
        })
    }

    fn kind(&self, id: TypeId) -> Result<String> {
        Ok(match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.ty(ty)?,
            TypeDefKind::List(ty) => format!("Vec<{}>", self.ty(ty)?),
            TypeDefKind::Option(ty) => format!("Option<{}>", self.ty(ty)?),
            TypeDefKind::Tuple(tuple) => {
                let parts: Result<Vec<_>> = tuple.types.iter().map(|ty| self.ty(ty)).collect();
                format!("({})", parts?.join(", "))
            }
            other => bail!("no Rust type for {}", other.as_str()),
        })
    }

    fn may_be_absent(&self, ty: &Type) -> bool {
        match ty {
            Type::Id(id) => matches!(
                self.resolve.types[*id].kind,
                TypeDefKind::Option(_) | TypeDefKind::List(_)
            ),
            _ => false,
        }
    }

    /// Whether `Eq` and `Hash` are out of reach.
    fn has_floats(&self, ty: &Type) -> bool {
        let mut known = HashMap::new();
        self.search_floats(ty, &mut known)
    }

    fn search_floats(&self, ty: &Type, known: &mut HashMap<TypeId, bool>) -> bool {
        let Type::Id(id) = ty else {
            return matches!(ty, Type::F32 | Type::F64);
        };
        if let Some(found) = known.get(id) {
            return *found;
        }
        let found = match &self.resolve.types[*id].kind {
            TypeDefKind::Record(it) => it.fields.iter().any(|it| self.search_floats(&it.ty, known)),
            TypeDefKind::Variant(it) => it
                .cases
                .iter()
                .filter_map(|it| it.ty.as_ref())
                .any(|it| self.search_floats(it, known)),
            TypeDefKind::Tuple(it) => it.types.iter().any(|it| self.search_floats(it, known)),
            TypeDefKind::Option(it) | TypeDefKind::List(it) | TypeDefKind::Type(it) => {
                self.search_floats(it, known)
            }
            _ => false,
        };
        known.insert(*id, found);
        found
    }

    fn is_resource(&self, id: TypeId) -> bool {
        match &self.resolve.types[id].kind {
            TypeDefKind::Resource => true,
            TypeDefKind::Type(Type::Id(id)) => self.is_resource(*id),
            _ => false,
        }
    }

    fn owner(&self, id: TypeId) -> TypeOwner {
        self.resolve.types[id].owner
    }

    fn module_of(&self, id: TypeId) -> Result<String> {
        match self.owner(id) {
            TypeOwner::Interface(id) => {
                Ok(snake(self.resolve.interfaces[id].name.as_deref().unwrap_or_default()))
            }
            _ => bail!("a type outside an interface"),
        }
    }
}

/// What the bindings of `wit-bindgen` call to read an enum that `with` maps to these types.
fn lift(out: &mut String, name: &str, cases: &Enum) -> Result<()> {
    writeln!(out, "    #[cfg(target_family = \"wasm\")]")?;
    writeln!(out, "    impl {name} {{")?;
    writeln!(out, "        #[doc(hidden)]")?;
    writeln!(out, "        pub fn _lift(case: u8) -> Self {{")?;
    writeln!(out, "            match case {{")?;
    for (index, case) in cases.cases.iter().enumerate() {
        writeln!(out, "                {index} => Self::{},", camel(&case.name))?;
    }
    writeln!(out, "                _ => unreachable!(\"the runtime passes cases that exist\"),")?;
    writeln!(out, "            }}")?;
    writeln!(out, "        }}")?;
    writeln!(out, "    }}")?;
    Ok(())
}

fn component_name(out: &mut String, name: &str) -> Result<()> {
    writeln!(out, "        #[cfg_attr(feature = \"wasmtime\", component(name = \"{name}\"))]")?;
    Ok(())
}

fn doc(out: &mut String, indent: &str, docs: &Docs) {
    for line in docs.contents.iter().flat_map(|it| it.trim().lines()) {
        let _ = writeln!(out, "{indent}/// {}", line.trim_end());
    }
}

/// Documentation, or what the name says for itself.
fn doc_or(out: &mut String, indent: &str, docs: &Docs, name: &str) {
    if docs.contents.is_some() {
        doc(out, indent, docs);
    } else {
        let words = name.replace('-', " ");
        let mut letters = words.chars();
        let first = letters.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
        let _ = writeln!(out, "{indent}/// {first}{}.", letters.as_str());
    }
}

fn snake(name: &str) -> String {
    name.replace('-', "_")
}

fn camel(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|it| it.to_ascii_uppercase().to_string()).unwrap_or_default()
                + letters.as_str()
        })
        .collect()
}
