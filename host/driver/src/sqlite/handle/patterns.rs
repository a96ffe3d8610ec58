//! `LIKE` and `GLOB` for untrusted SQL text. SQLite's own compare a pattern with each position of a
//! text, and cannot be interrupted; calls with constants do not even allocate memory. Ours check
//! for an interruption, and give the same results. They disable SQLite's use of indexes for
//! prefixes, so only connections with a fence have them.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use libsqlite3_sys as ffi;

use super::call::{self, Call, Function};
use super::functions::{self, until_nul};
use super::memory;

const FUNCTIONS: [(&CStr, c_int, Function); 3] =
    [(c"glob", 2, glob), (c"like", 2, like), (c"like", 3, like)];

/// Steps between two checks for an interruption.
const STEPS: u32 = 1 << 12;

/// Replaces SQLite's functions, on a connection that is open and runs nothing.
pub(super) fn install(raw: NonNull<ffi::sqlite3>) -> Result<(), sqlx::Error> {
    call::create(raw.as_ptr(), &FUNCTIONS)
}

unsafe extern "C" fn like(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let escape = match count {
        3 => match call.bytes(2) {
            Some(escape) if !escape.is_empty() && next(escape).1.is_empty() => Some(next(escape).0),
            Some(_) => return call.give_error(c"ESCAPE expression must be a single character"),
            None => return,
        },
        _ => None,
    };
    answer(&call, |pattern| steps_of_like(pattern, escape));
}

unsafe extern "C" fn glob(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    answer(&unsafe { Call::new(context, count, values) }, steps_of_glob);
}

/// Whether the second argument matches the pattern in the first.
fn answer<'a>(call: &'a Call<'_>, steps: impl FnOnce(&'a [u8]) -> Option<Vec<Step<'a>>>) {
    let (Some(pattern), Some(text)) = (call.bytes(0), call.bytes(1)) else { return };
    if !call.takes_pattern(pattern.len()) {
        return call.give_error(c"LIKE or GLOB pattern too complex");
    }
    match steps(until_nul(pattern)).map_or(Some(false), |it| matches(&it, until_nul(text))) {
        Some(found) => call.give_integer(usize::from(found)),
        None => call.give_interruption(),
    }
}

/// The parts of a pattern, in order.
enum Step<'a> {
    /// Any characters, or none.
    Many,
    /// Any character.
    One,
    /// This character.
    Character(&'a [u8]),
    /// One of these characters, or none of them.
    Set { ranges: Vec<(char, char)>, inverted: bool },
}

impl Step<'_> {
    fn takes(&self, character: &[u8]) -> bool {
        match self {
            Self::Many | Self::One => true,
            Self::Character(it) => *it == character,
            Self::Set { ranges, inverted } => {
                let character = decoded(character);
                let has = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                has != *inverted
            }
        }
    }
}

/// `None` if nothing can match, since the pattern ends in its escape character.
fn steps_of_like<'a>(mut pattern: &'a [u8], escape: Option<&[u8]>) -> Option<Vec<Step<'a>>> {
    let mut steps = Vec::new();
    while !pattern.is_empty() {
        let (mut character, mut rest) = next(pattern);
        let step = match character {
            it if Some(it) == escape => {
                if rest.is_empty() {
                    return None;
                }
                (character, rest) = next(rest);
                Step::Character(character)
            }
            b"%" => Step::Many,
            b"_" => Step::One,
            it => Step::Character(it),
        };
        steps.push(step);
        pattern = rest;
    }
    Some(steps)
}

/// `None` if nothing can match, since a set is not closed.
fn steps_of_glob(mut pattern: &[u8]) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    while !pattern.is_empty() {
        let (character, mut rest) = next(pattern);
        let step = match character {
            b"*" => Step::Many,
            b"?" => Step::One,
            b"[" => {
                let set;
                (set, rest) = set_of(rest)?;
                set
            }
            it => Step::Character(it),
        };
        steps.push(step);
        pattern = rest;
    }
    Some(steps)
}

/// Reads a set from after its opening bracket; returns it and the pattern after its closing one.
fn set_of(mut pattern: &[u8]) -> Option<(Step<'_>, &[u8])> {
    let inverted = pattern.first() == Some(&b'^');
    pattern = &pattern[usize::from(inverted)..];
    let mut ranges = Vec::new();
    if pattern.first() == Some(&b']') {
        ranges.push((']', ']'));
        pattern = &pattern[1..];
    }
    // The start of a range, if a hyphen follows.
    let mut prior = None;
    loop {
        if pattern.is_empty() {
            return None;
        }
        let (character, rest) = next(pattern);
        pattern = rest;
        match (character, prior) {
            (b"]", _) => return Some((Step::Set { ranges, inverted }, pattern)),
            (b"-", Some(low)) if !matches!(pattern.first(), None | Some(b']')) => {
                let (high, rest) = next(pattern);
                ranges.push((low, decoded(high)));
                (pattern, prior) = (rest, None);
            }
            _ => {
                let character = decoded(character);
                ranges.push((character, character));
                prior = Some(character);
            }
        }
    }
}

/// Whether a text matches the steps; `None` if it was interrupted. After a mismatch, only the last
/// [`Step::Many`] is extended: everything before it was matched as early as possible.
fn matches(steps: &[Step<'_>], text: &[u8]) -> Option<bool> {
    let (mut left, mut at) = (text, 0);
    let mut many: Option<(&[u8], usize)> = None;
    let mut count = 0_u32;
    loop {
        count = count.wrapping_add(1);
        if count % STEPS == 1 && memory::is_stopped() {
            return None;
        }
        match steps.get(at) {
            Some(Step::Many) => {
                at += 1;
                if at == steps.len() {
                    return Some(true);
                }
                many = Some((left, at));
                continue;
            }
            Some(step) if !left.is_empty() => {
                let (character, rest) = next(left);
                if step.takes(character) {
                    (left, at) = (rest, at + 1);
                    continue;
                }
            }
            None if left.is_empty() => return Some(true),
            _ => {}
        }
        match many {
            Some((from, behind)) if !from.is_empty() => {
                let (_, rest) = next(from);
                many = Some((rest, behind));
                (left, at) = (rest, behind);
            }
            _ => return Some(false),
        }
    }
}

/// The first character of a text, which must not be empty, and the rest.
fn next(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(functions::first_character(text))
}

fn decoded(character: &[u8]) -> char {
    let character = std::str::from_utf8(character).ok().and_then(|it| it.chars().next());
    character.unwrap_or(char::REPLACEMENT_CHARACTER)
}
