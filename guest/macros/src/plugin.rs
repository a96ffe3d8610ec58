//! `plugin!`: the bindings of an author's world over those of the library.

use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, bracketed};

/// Where the WIT package `ferro:orm` is: an author's crate cannot know.
const ORM_WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

pub(crate) struct Plugin {
    world: LitStr,
    path: LitStr,
    models: Vec<syn::Path>,
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
        let world = self.qualified_world()?;
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
                        "ferro:orm/types@0.1.0": ::ferro::__private::ferro_wit::types,
                        "ferro:orm/schema@0.1.0": ::ferro::__private::ferro_wit::schema,
                        "ferro:orm/query@0.1.0": ::ferro::__private::ferro_wit::query,
                        "ferro:orm/database@0.1.0": ::ferro::__private::database,
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

            // The names of exports mean nothing to other linkers, and are no good symbols there.
            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated")]
            const _: () = {
                bindings::export!(Plugin with_types_in bindings);
            };
        })
    }

    /// The world with its package: with two packages at hand, a bare name is ambiguous.
    fn qualified_world(&self) -> Result<String> {
        let world = self.world.value();
        if world.contains('/') {
            return Ok(world);
        }
        let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        let dir = root.join(self.path.value());
        let package = package_of(&dir)
            .map_err(|error| Error::new(self.path.span(), format!("{}: {error}", dir.display())))?;
        Ok(match package.split_once('@') {
            Some((name, version)) => format!("{name}/{world}@{version}"),
            None => format!("{package}/{world}"),
        })
    }
}

/// The name in the `package` statement of a folder's WIT files.
fn package_of(dir: &Path) -> std::io::Result<String> {
    for entry in fs::read_dir(dir)? {
        let file = entry?.path();
        if file.extension().is_some_and(|it| it == "wit") {
            for line in fs::read_to_string(&file)?.lines() {
                if let Some(name) = line.trim_start().strip_prefix("package ") {
                    let end = name.find([';', '{']).unwrap_or(name.len());
                    return Ok(name.get(..end).unwrap_or(name).trim().to_owned());
                }
            }
        }
    }
    Err(std::io::Error::other("no `.wit` file with a `package` statement"))
}
