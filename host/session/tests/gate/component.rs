//! What is looked at in a component before it is compiled.

use ferro_session::check_component;
use ferro_wit::types::ErrorKind;

#[test]
fn only_components_pass() {
    let cases: [(&[u8], &str); 7] = [
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\0asm\x0e\0\x01\0", "unknown version"),
        (b"\x7fELF\x02", "machine code"),
        (b"  (component)", "text form"),
        (b"", "not a WebAssembly component"),
        (b"\0asm\x0d\0\x01\0garbage", "not a valid component"),
        (b"\0asm\x0d\0\x01\0and too much of it", "larger than 16 bytes"),
    ];
    for (bytes, expected) in cases {
        let error = check_component("x", bytes, 16).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
    }
    assert_eq!(check_component("x", b"\0asm\x0d\0\x01\0", 16), Ok(()));
}

#[test]
fn s6_functions_that_take_the_compiler_long_are_not_compiled() {
    const LIMIT: u64 = 64 * 1024 * 1024;
    let check = |functions: usize, parameters: usize, locals: u32, bytes: usize| {
        check_component("x", &component(functions, parameters, locals, bytes), LIMIT)
            .map_err(|error| error.message)
    };
    // What compilers make of large programs: an interpreter's loop, many functions.
    assert_eq!(check(1, 2, 400, 300_000), Ok(()));
    assert_eq!(check(10_000, 8, 20, 500), Ok(()));
    for (large, expected) in [
        (check(1, 0, 0, 1024 * 1024), "has a function of 1048"),
        (check(1, 0, 1_000, 300_000), "parameters and locals are too many"),
        (check(1, 1_000, 0, 300_000), "parameters and locals are too many"),
        (check(20, 0, 1_000, 100_000), "has functions with too many locals"),
    ] {
        assert!(large.clone().unwrap_err().contains(expected), "{large:?}");
    }
}

/// A component of one module with so many functions of that type and size.
fn component(functions: usize, parameters: usize, locals: u32, bytes: usize) -> Vec<u8> {
    let mut body = [leb(1), leb(locals as usize), vec![0x7f], vec![0x01; bytes]].concat();
    body.push(0x0b);
    let ty = [leb(1), vec![0x60], leb(parameters), vec![0x7f; parameters], leb(0)].concat();
    let types = [leb(functions), vec![0; functions]].concat();
    let bodies = [leb(body.len()), body].concat().repeat(functions);
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &ty),
        section(3, &types),
        section(10, &[leb(functions), bodies].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}
