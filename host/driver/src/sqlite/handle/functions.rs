//! Replacements for functions of SQLite that compare each position of a text with all of another
//! one. One call of them could take hours, and cannot be interrupted. Ours take linear time, and
//! give the same results for valid UTF-8. Also `length`, since SQLite's own stops at a NUL.

use std::collections::HashSet;
use std::ffi::{CStr, c_int};

use libsqlite3_sys as ffi;
use memchr::memmem;

use super::call::{self, Call, Function};
use super::decimals;
use crate::value::sqlite::Stored;

/// The functions that may still take long in one step, besides decimal arithmetic with its limit of
/// digits: patterns, whose length is limited.
const PATTERNS: [&str; 2] = ["glob", "like"];
/// A longer statement may compute a lot within a row.
const LONG: usize = 4 << 10;

/// Whether a statement may take long in one step.
pub(super) fn is_opaque(sql: &str) -> bool {
    sql.len() > LONG || {
        let sql = sql.to_ascii_lowercase();
        let mut opaque = decimals::names().filter_map(|it| it.to_str().ok()).chain(PATTERNS);
        opaque.any(|it| sql.contains(it))
    }
}

const FUNCTIONS: [(&CStr, c_int, Function); 7] = [
    (c"instr", 2, instr),
    (c"length", 1, length),
    (c"ltrim", 2, trim_start),
    (c"replace", 3, replace),
    (c"rtrim", 2, trim_end),
    (c"trim", 2, trim),
    (c"unhex", 2, unhex),
];

/// Replaces SQLite's functions with ours, on a connection that is open and not in use.
pub(super) fn install(raw: *mut ffi::sqlite3) -> Result<(), sqlx::Error> {
    call::create(raw, &FUNCTIONS)
}

/// The position of the second argument in the first, from 1; 0 if it is not found. It is counted in
/// characters, or in bytes if both are blobs.
unsafe extern "C" fn instr(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let (Some(text), Some(part)) = (call.bytes(0), call.bytes(1)) else { return };
    let are_blobs = (0..2).all(|it| call.kind(it) == ffi::SQLITE_BLOB);
    call.give_integer(match memmem::find(text, part) {
        Some(at) if are_blobs => at + 1,
        Some(at) => characters(&text[..at]) + 1,
        None => 0,
    });
}

/// The number of characters of the argument, or of bytes of a blob.
unsafe extern "C" fn length(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let Some(bytes) = call.bytes(0) else { return };
    call.give_integer(match call.kind(0) {
        ffi::SQLITE_BLOB => bytes.len(),
        _ => characters(bytes),
    });
}

/// Replaces each occurrence of the second argument in the first with the third.
unsafe extern "C" fn replace(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let (Some(text), Some(part)) = (call.bytes(0), call.bytes(1)) else { return };
    if matches!(part, [] | [0, ..]) {
        return call.give_text(text);
    }
    let Some(other) = call.bytes(2) else { return };
    let finder = memmem::Finder::new(part);
    let found = finder.find_iter(text).count();
    let length =
        (text.len() - found * part.len()).saturating_add(found.saturating_mul(other.len()));
    if !call.fits(length) {
        return;
    }
    let mut replaced = Vec::new();
    if replaced.try_reserve_exact(length).is_err() {
        return call.give_no_memory();
    }
    let mut copied = 0;
    for at in finder.find_iter(text) {
        replaced.extend_from_slice(&text[copied..at]);
        replaced.extend_from_slice(other);
        copied = at + part.len();
    }
    replaced.extend_from_slice(&text[copied..]);
    call.give_text(&replaced);
}

/// Decodes the hexadecimal digits of the first argument, between whose pairs characters of the
/// second may appear; null if there is anything else.
unsafe extern "C" fn unhex(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let (Some(text), Some(ignored)) = (call.bytes(0), call.bytes(1)) else { return };
    let (mut rest, ignored) = (until_nul(text), characters_of(ignored));
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(rest.len() / 2).is_err() {
        return call.give_no_memory();
    }
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    while let Some(first) = rest.first() {
        if let Some(high) = digit(*first) {
            let Some(low) = rest.get(1).copied().and_then(digit) else { return };
            bytes.push(high << 4 | low);
            rest = &rest[2..];
        } else {
            let (character, after) = rest.split_at(first_character(rest));
            if !ignored.contains(character) {
                return;
            }
            rest = after;
        }
    }
    call.give(Stored::Blob(&bytes));
}

unsafe extern "C" fn trim(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    trim_ends(&unsafe { Call::new(context, count, values) }, true, true);
}

unsafe extern "C" fn trim_start(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    trim_ends(&unsafe { Call::new(context, count, values) }, true, false);
}

unsafe extern "C" fn trim_end(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    trim_ends(&unsafe { Call::new(context, count, values) }, false, true);
}

/// Removes the characters of the second argument from the ends of the first.
fn trim_ends(call: &Call<'_>, start: bool, end: bool) {
    let (Some(mut text), Some(unwanted)) = (call.bytes(0), call.bytes(1)) else { return };
    let characters = characters_of(unwanted);
    while start && !text.is_empty() {
        let (first, rest) = text.split_at(first_character(text));
        if !characters.contains(first) {
            break;
        }
        text = rest;
    }
    while end && !text.is_empty() {
        let (rest, last) = text.split_at(text.len() - last_character(text));
        if !characters.contains(last) {
            break;
        }
        text = rest;
    }
    call.give_text(text);
}

/// The characters of a text up to its first NUL, as SQLite reads it.
fn characters_of(text: &[u8]) -> HashSet<&[u8]> {
    let mut rest = until_nul(text);
    let mut found = HashSet::new();
    while !rest.is_empty() {
        let (first, after) = rest.split_at(first_character(rest));
        found.insert(first);
        rest = after;
    }
    found
}

/// A text up to its first NUL.
pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// The number of characters of a text.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|it| !continues(**it)).count()
}

/// The length in bytes of the first character of a text, which must not be empty.
pub(super) fn first_character(text: &[u8]) -> usize {
    1 + text[1..].iter().take_while(|it| continues(**it)).count()
}

/// The length in bytes of the last character of a text, which must not be empty.
fn last_character(text: &[u8]) -> usize {
    let before = text.iter().rev().take_while(|it| continues(**it)).count();
    (before + 1).min(text.len())
}

/// Whether a byte continues a character in UTF-8.
fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calculations_with_decimals_and_patterns_may_take_long() {
        for name in decimals::names() {
            assert!(is_opaque(&format!("SELECT {}(a)", name.to_str().unwrap())), "{name:?}");
        }
        assert!(is_opaque("SELECT Ferro_Sized(a, 3, 1)") && is_opaque("SELECT a Like b"));
        assert!(is_opaque(&" ".repeat(LONG + 1)) && !is_opaque("SELECT a FROM t WHERE b = c"));
    }
}
