//! Modules that no compiler would make: what they ask for is bounded before it is there.

use ferro_host::{Error, ErrorKind};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::support::host;

/// A component whose core module has these parts, and runs this before it describes no models.
fn plugin(parts: &str, code: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            {parts}
            (func (export "ferro:orm/models@0.1.0#describe") (result i32)
                {code}
                (i32.const 16)))"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("plugin")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// What becomes of loading it, which has it describe its models.
async fn load(parts: &str, code: &str) -> Result<(), Error> {
    host().load_bytes("grown", plugin(parts, code)).await.map(drop)
}

#[tokio::test]
async fn a_module_by_hand_is_a_plugin() {
    load("", "").await.unwrap();
}

#[tokio::test]
async fn s3_a_table_does_not_grow_without_bound() {
    // Grows until it is told no, and traps if it had got far by then.
    let code = r#"
        (loop $more
            (br_if $more (i32.ge_s (table.grow $t (ref.null func) (i32.const 1000)) (i32.const 0))))
        (if (i32.gt_u (table.size $t) (i32.const 100000)) (then unreachable))"#;
    load("(table $t 0 funcref)", code).await.unwrap();
}

#[tokio::test]
async fn s3_a_memory_does_not_grow_without_bound() {
    let code = "(loop $more (drop (memory.grow (i32.const 16))) (br $more))";
    let error = load("", code).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    assert!(error.message.contains("`memory`"), "{error}");
}

#[tokio::test]
async fn s3_what_a_module_declares_is_bounded_before_any_of_it_is_there() {
    let memories = "(memory 1)".repeat(8);
    let tables = "(table 1 funcref)".repeat(16);
    for parts in ["(table 100000000 funcref)", "(memory 60000)", &memories, &tables] {
        let error = load(parts, "").await.unwrap_err();
        let refused = [ErrorKind::InvalidConfiguration, ErrorKind::Unsupported];
        assert!(refused.contains(&error.kind), "{parts}: {error:?}");
    }
}
