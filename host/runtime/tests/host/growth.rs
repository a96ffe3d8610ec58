//! Modules that no compiler would make: what they ask for is bounded before it is there, and what
//! runs on the way in and out of a call is, too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferro_host::{Error, ErrorKind, Limits, Tenant};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::support::host;

const WORLDS: &str = "
    package ferro:test;
    interface odd {
        resource thing {}
        take: func(text: string) -> string;
    }
    world plain { include ferro:orm/plugin@0.1.0; }
    world taking { include ferro:orm/plugin@0.1.0; export odd; }
";

/// A component whose core module is this, in the text format.
fn component(module: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let package = resolve.push_str("test.wit", WORLDS).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// A plugin whose core module has these parts, and runs this before it describes no models.
fn plugin(parts: &str, code: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            {parts}
            (func (export "ferro:orm/models@0.1.0#describe") (result i32)
                {code}
                (i32.const 16)))"#
    );
    component(&module, "plain")
}

/// What the core module of a plugin does in a call of `take`, besides returning a text.
#[derive(Clone, Copy, Default)]
struct Taking {
    allocate: &'static str,
    body: &'static str,
    /// Where the pointer and the length of the text are.
    result: u32,
    after: &'static str,
    destroy: &'static str,
}

impl Taking {
    async fn call(self) -> Result<String, Error> {
        let Self { allocate, body, result, after, destroy } = self;
        let module = format!(
            r#"(module
                (import "[export]ferro:test/odd" "[resource-new]thing"
                    (func $new (param i32) (result i32)))
                (import "[export]ferro:test/odd" "[resource-drop]thing" (func $drop (param i32)))
                (memory (export "memory") 1)
                ;; A text of two bytes that are none of UTF-8, one of no end, and one beyond the memory.
                (data (i32.const 64) "\80\00\00\00\02\00\00\00")
                (data (i32.const 72) "\00\04\00\00\ff\ff\ff\ff")
                (data (i32.const 80) "\00\00\01\00\01\00\00\00")
                (data (i32.const 128) "\ff\fe")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    {allocate}
                    (i32.const 1024))
                (func (export "ferro:orm/models@0.1.0#describe") (result i32) (i32.const 16))
                (func (export "ferro:test/odd#take") (param i32 i32) (result i32)
                    {body}
                    (i32.const {result}))
                (func (export "cabi_post_ferro:test/odd#take") (param i32) {after})
                (func (export "ferro:test/odd#[dtor]thing") (param i32) {destroy}))"#
        );
        let plugin = host().load_bytes("odd", component(&module, "taking")).await.unwrap();
        let limits = Limits { deadline: Duration::from_millis(300), ..Limits::default() };
        let tenant = Arc::new(Tenant::new("acme").limits(limits));
        plugin.call_wave(&tenant, r#"odd#take("some text")"#).await
    }
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

#[tokio::test]
async fn s2_what_runs_on_the_way_in_and_out_of_a_call_is_ended_at_its_deadline() {
    const FOREVER: &str = "(loop $forever (br $forever))";
    let ok = Taking { result: 32, ..Taking::default() };
    let dropping = Taking { body: "(call $drop (call $new (i32.const 0)))", ..ok };
    for well in [ok, dropping] {
        assert_eq!(well.call().await.unwrap(), r#""""#);
    }
    for (what, endless) in [
        ("the allocation of its arguments", Taking { allocate: FOREVER, ..ok }),
        ("its body", Taking { body: FOREVER, ..ok }),
        ("what follows it", Taking { after: FOREVER, ..ok }),
        ("a destructor", Taking { destroy: FOREVER, ..dropping }),
    ] {
        let started = Instant::now();
        let error = endless.call().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{what}: {error}");
        assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn s4_what_a_guest_says_of_its_memory_is_not_believed() {
    let ok = Taking { result: 32, ..Taking::default() };
    for (what, lying) in [
        ("an allocation outside", Taking { allocate: "(return (i32.const -16))", ..ok }),
        ("an allocation at the end", Taking { allocate: "(return (i32.const 65535))", ..ok }),
        ("a result outside", Taking { result: u32::MAX - 3, ..ok }),
        ("a result that is not aligned", Taking { result: 33, ..ok }),
        ("a text that is not UTF-8", Taking { result: 64, ..ok }),
        ("a text without end", Taking { result: 72, ..ok }),
        ("a text outside", Taking { result: 80, ..ok }),
    ] {
        let error = lying.call().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal, "{what}: {error}");
    }
}
