//! `plugin!`: bindings for the author's world, based on those of the library.

use std::env;
use std::path::PathBuf;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, bracketed};
use wit_parser::{IndexMap, Resolve, WorldItem, WorldKey};

/// The path of the WIT package `ferro:orm`, which an author's crate cannot know.
const ORM_WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

/// An item of that package, by its full name.
fn orm(item: &str) -> String {
    format!("ferro:orm/{item}@{}", ferro_wit::VERSION)
}

pub(crate) struct Plugin {
    world: LitStr,
    path: LitStr,
    models: Vec<syn::Path>,
}

/// The author's world.
struct World {
    /// Qualified with its package: with two packages, a bare name is ambiguous.
    name: String,
    /// Whether it imports `raw-sql`.
    sends_sql_text: bool,
}

impl Parse for Plugin {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut world = None;
        let mut path = None;
        let mut models = None;
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            if name == "world" {
                world = Some(input.parse()?);
            } else if name == "path" {
                path = Some(input.parse()?);
            } else if name == "models" {
                let list;
                bracketed!(list in input);
                let list = Punctuated::<syn::Path, Token![,]>::parse_terminated(&list)?;
                models = Some(list.into_iter().collect());
            } else {
                return Err(Error::new(name.span(), "expected `world`, `models` or `path`"));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |what| Error::new(Span::call_site(), format!("`plugin!` needs {what}"));
        Ok(Self {
            world: world.ok_or_else(|| missing("`world: \"…\"`, a world of the folder `wit`"))?,
            path: path.unwrap_or_else(|| LitStr::new("wit", Span::call_site())),
            models: models.ok_or_else(|| missing("`models: […]`, the models of the plugin"))?,
        })
    }
}

impl Plugin {
    pub(crate) fn expand(self) -> Result<TokenStream> {
        let Self { path, models, .. } = &self;
        let World { name: world, sends_sql_text } = self.resolve()?;
        // A mapping that a world does not use is an error.
        let [types, schema, query] = ["types", "schema", "query"].map(orm);
        let [database, raw_sql] = ["database", "raw-sql"].map(orm);
        let raw_sql = sends_sql_text.then(|| quote!(#raw_sql: ::ferro::__private::raw_sql,));
        Ok(quote! {
            /// The world of this plugin: its types, and the traits of its exports.
            #[allow(
                unsafe_code,
                missing_docs,
                unreachable_pub,
                clippy::all,
                clippy::pedantic,
                clippy::undocumented_unsafe_blocks,
                reason = "generated"
            )]
            pub mod bindings {
                ::ferro::__private::wit_bindgen::generate!({
                    path: [#ORM_WIT, #path],
                    world: #world,
                    runtime_path: "::ferro::__private::wit_bindgen::rt",
                    generate_all,
                    with: {
                        #types: ::ferro::__private::ferro_wit::types,
                        #schema: ::ferro::__private::ferro_wit::schema,
                        #query: ::ferro::__private::ferro_wit::query,
                        #database: ::ferro::__private::database,
                        #raw_sql
                    },
                });
            }

            /// The plugin, for which its exports are implemented.
            pub struct Plugin;

            impl bindings::exports::ferro::orm::models::Guest for Plugin {
                fn describe() -> ::ferro::schema::Schema {
                    ::ferro::schema![#(#models),*]
                }
            }

            #[cfg(all(target_family = "wasm", target_os = "unknown"))]
            #[global_allocator]
            static HEAP: ::ferro::__private::Heap = ::ferro::__private::Heap;

            // The names of exports are meaningless to other linkers, and not valid symbols there.
            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated")]
            const _: () = {
                bindings::export!(Plugin with_types_in bindings);
            };
        })
    }

    /// Finds the world in its folder.
    fn resolve(&self) -> Result<World> {
        let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        let mut packages = Resolve::default();
        let at = |it: &LitStr, error| Error::new(it.span(), format!("{error:#}"));
        packages.push_path(ORM_WIT).map_err(|it| at(&self.path, it))?;
        let folder = root.join(self.path.value());
        let (package, _) = packages.push_path(folder).map_err(|it| at(&self.path, it))?;
        let id = packages
            .select_world(&[package], Some(&self.world.value()))
            .map_err(|it| at(&self.world, it))?;
        let world = &packages.worlds[id];
        let name = match world.package {
            Some(package) => packages.packages[package].name.interface_id(&world.name),
            None => world.name.clone(),
        };
        let has = |items: &IndexMap<WorldKey, WorldItem>, name| {
            let name = orm(name);
            items.keys().any(|key| match key {
                WorldKey::Interface(id) => packages.id_of(*id).as_ref() == Some(&name),
                WorldKey::Name(_) => false,
            })
        };
        if !has(&world.imports, "database") || !has(&world.exports, "models") {
            let message = format!(
                "the world `{}` is not a plugin's: add `include {};` to it",
                world.name,
                orm("plugin")
            );
            return Err(Error::new(self.world.span(), message));
        }
        Ok(World { name, sends_sql_text: has(&world.imports, "raw-sql") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(world: &str) -> Result<World> {
        let path = "tests/worlds";
        syn::parse2::<Plugin>(quote!(world: #world, path: #path, models: []))?.resolve()
    }

    #[test]
    fn a_world_that_includes_no_plugin_says_what_it_lacks() {
        let error = resolved("bare").map(|it| it.name).unwrap_err().to_string();
        assert!(error.contains("add `include ferro:orm/plugin@0.1.0;`"), "{error}");
        for (world, privileged) in [("whole", false), ("privileged", true)] {
            assert!(resolved(world).is_ok_and(|it| it.sends_sql_text == privileged), "{world}");
        }
    }
}
