//! The core component stands alone: it has no way to do anything but compute.

use anyhow::{Context as _, Result};
use ferro_build::Target;
use wit_component::DecodedWasm;
use wit_parser::WorldItem;

#[test]
fn the_core_imports_no_function_at_all() -> Result<()> {
    let path = ferro_build::component("ferro-component", Target::Unknown)?;
    let bytes = std::fs::read(&path)?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes)? else {
        anyhow::bail!("{} is not a component", path.display());
    };
    let world = &resolve.worlds[world];
    for (key, item) in &world.imports {
        match item {
            WorldItem::Interface { id, .. } => {
                let functions = &resolve.interfaces[*id].functions;
                assert!(functions.is_empty(), "imports functions of {key:?}: {functions:?}");
            }
            WorldItem::Type { .. } => {}
            WorldItem::Function(function) => panic!("imports the function {}", function.name),
        }
    }
    let names: Vec<_> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert_eq!(names, ["ferro:orm/compiler@0.1.0", "ferro:orm/compiler-text@0.1.0"]);
    // A component whose core module imported something could not be decoded without it; the module
    // may still not be large, since every host compiles it.
    let size = bytes.len();
    (size < 1_850_000).then_some(()).with_context(|| format!("the component has {size} bytes"))
}
