//! What the plugin is as a component: what it asks of its host, and what it offers.

use std::fs;

use anyhow::{Result, bail};
use ferro_build::Target;
use wit_component::DecodedWasm;
use wit_parser::{Resolve, World, WorldItem, WorldKey};

fn decode() -> Result<(Resolve, World)> {
    let path = ferro_build::component("ferro-example-atlas", Target::Unknown)?;
    match wit_component::decode(&fs::read(path)?)? {
        DecodedWasm::Component(resolve, world) => {
            let world = resolve.worlds[world].clone();
            Ok((resolve, world))
        }
        DecodedWasm::WitPackage(..) => bail!("not a component"),
    }
}

/// Interfaces and functions; the types of a world stand among its imports, but ask for nothing.
fn names<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> Vec<String> {
    let items = items.into_iter().filter(|(_, item)| !matches!(item, WorldItem::Type { .. }));
    let mut names: Vec<_> = items.map(|(key, _)| resolve.name_world_key(key)).collect();
    names.sort();
    names
}

#[test]
fn it_imports_nothing_but_the_database_and_types() -> Result<()> {
    let (resolve, world) = decode()?;
    let interfaces = ["database", "query", "schema", "types"];
    let expected = interfaces.map(|it| format!("ferro:orm/{it}@0.1.0"));
    assert_eq!(names(&resolve, &world.imports), expected);
    Ok(())
}

#[test]
fn it_describes_its_models_and_exports_its_world() -> Result<()> {
    let (resolve, world) = decode()?;
    let exports = names(&resolve, &world.exports);
    assert!(exports.contains(&"ferro:orm/models@0.1.0".to_owned()), "{exports:?}");
    assert!(exports.contains(&"found-city".to_owned()), "{exports:?}");
    Ok(())
}
