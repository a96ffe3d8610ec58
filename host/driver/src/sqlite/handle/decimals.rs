//! Decimal arithmetic, which SQLite lacks, as functions and aggregates of its connections.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use libsqlite3_sys as ffi;

use super::call::{self, Call, FLAGS, Function};
use crate::value::exact::{self, Exact, Sum};

type End = unsafe extern "C" fn(*mut ffi::sqlite3_context);

const FUNCTIONS: [(&CStr, c_int, Function); 10] = [
    (c"ferro_abs", 1, abs),
    (c"ferro_add", 2, add),
    (c"ferro_ceiling", 1, ceiling),
    (c"ferro_divide", 2, divide),
    (c"ferro_floor", 1, floor),
    (c"ferro_multiply", 2, multiply),
    (c"ferro_negate", 1, negate),
    (c"ferro_round", 2, round),
    (c"ferro_sized", 3, sized),
    (c"ferro_subtract", 2, subtract),
];

const AGGREGATES: [(&CStr, End, End); 2] =
    [(c"ferro_average", average_at_end, average), (c"ferro_sum", total_at_end, total)];

/// The maximum precision of a decimal column, as on PostgreSQL.
const MOST_DIGITS: usize = 1_000;

/// The names of the functions in SQL.
pub(super) fn names() -> impl Iterator<Item = &'static CStr> {
    FUNCTIONS.iter().map(|(name, ..)| *name).chain(AGGREGATES.iter().map(|(name, ..)| *name))
}

/// Adds the functions to a connection that is open and not in use.
pub(super) fn install(raw: *mut ffi::sqlite3) -> Result<(), sqlx::Error> {
    call::create(raw, &FUNCTIONS)?;
    for (name, end, value) in AGGREGATES {
        // SAFETY: the connection is open; the functions take what SQLite passes to them, access
        // only the data of their own aggregate, and live as long as the program.
        call::taken(unsafe {
            ffi::sqlite3_create_window_function(
                raw,
                name.as_ptr(),
                1,
                FLAGS,
                ptr::null_mut::<c_void>(),
                Some(step),
                Some(end),
                Some(value),
                Some(inverse),
                None,
            )
        })?;
    }
    Ok(())
}

/// The decimal arguments of a call. `None` if one of them is null or not a decimal: the result is
/// then null or an error.
fn decimals<const COUNT: usize>(call: &Call<'_>) -> Option<[Exact; COUNT]> {
    let mut found = [const { Exact::NaN }; COUNT];
    for (index, place) in found.iter_mut().enumerate() {
        if call.kind(index) == ffi::SQLITE_FLOAT {
            call.give_error(c"integer overflow");
            return None;
        }
        let text = std::str::from_utf8(call.bytes(index)?).ok();
        let Some(value) = text.and_then(|it| Exact::parse(it).ok()) else {
            call.give_error(c"a stored decimal is invalid");
            return None;
        };
        *place = value;
    }
    Some(found)
}

fn give(call: &Call<'_>, value: Option<Exact>) {
    let Some(value) = value else { return };
    match value.to_text() {
        Some(text) => call.give_text(text.as_bytes()),
        None => call.give_error(OVERFLOW),
    }
}

const OVERFLOW: &CStr = c"numeric field overflow: a decimal has too many digits";

macro_rules! calculation {
    ($name:ident, |$($operand:ident),+| $result:expr) => {
        unsafe extern "C" fn $name(
            context: *mut ffi::sqlite3_context,
            count: c_int,
            values: *mut *mut ffi::sqlite3_value,
        ) {
            // SAFETY: SQLite calls this.
            let call = unsafe { Call::new(context, count, values) };
            if let Some([$($operand),+]) = decimals(&call) {
                give(&call, $result);
            }
        }
    };
}

calculation!(abs, |value| Some(value.abs()));
calculation!(add, |one, other| Some(one.add(&other)));
calculation!(ceiling, |value| Some(value.ceiling()));
calculation!(divide, |one, other| one.divide(&other));
calculation!(floor, |value| Some(value.floor()));
calculation!(multiply, |one, other| Some(one.multiply(&other)));
calculation!(negate, |value| Some(value.negate()));
calculation!(subtract, |one, other| Some(one.add(&other.negate())));

/// An argument that is a number of digits.
fn digits(call: &Call<'_>, index: usize) -> Option<usize> {
    usize::try_from(call.integer(index)).ok().filter(|it| *it <= MOST_DIGITS)
}

/// Rounds the first argument to as many digits after the point as the second says.
unsafe extern "C" fn round(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let Some(scale) = digits(&call, 1) else {
        return call.give_error(c"ferro_round takes digits after the point");
    };
    if let Some([value]) = decimals(&call) {
        give(&call, Some(value.round(scale)));
    }
}

/// Fits the first argument to a column of `numeric(second, third)`. Values that are not decimals
/// stay unchanged.
unsafe extern "C" fn sized(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let (Some(precision), Some(scale)) = (digits(&call, 1), digits(&call, 2)) else {
        return call.give_error(c"ferro_sized takes digits in all, and after the point");
    };
    let Some(bytes) = call.bytes(0) else { return };
    match std::str::from_utf8(bytes).map(|it| exact::sized(it, precision, scale)) {
        Ok(Ok(Some(text))) => call.give_text(text.as_bytes()),
        Ok(Ok(None)) => call.give_error(OVERFLOW),
        _ => call.give_text(bytes),
    }
}

/// The running sum of an aggregate, to which SQLite keeps a pointer; with `make`, a new one if
/// there is none.
///
/// # Safety
///
/// Must be called in a function of an aggregate, with its context; the result must not outlive the
/// call.
unsafe fn sum<'a>(context: *mut ffi::sqlite3_context, make: bool) -> Option<&'a mut Sum> {
    let size = if make { size_of::<*mut Sum>() } else { 0 };
    // SAFETY: as the caller promises. SQLite's memory is zeroed, aligned for a pointer, and used by
    // this aggregate only; only this module writes to it, and only pointers from `Box`.
    unsafe {
        let place = ffi::sqlite3_aggregate_context(context, c_int::try_from(size).unwrap_or(0));
        let place = place.cast::<*mut Sum>();
        if place.is_null() {
            return None;
        }
        if (*place).is_null() && make {
            *place = Box::into_raw(Box::default());
        }
        (*place).as_mut()
    }
}

unsafe extern "C" fn step(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let Some([value]) = decimals(&call) else { return };
    // SAFETY: in a function of an aggregate.
    match unsafe { sum(context, true) } {
        Some(sum) => sum.add(&value),
        None => call.give_no_memory(),
    }
}

unsafe extern "C" fn inverse(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite calls this.
    let call = unsafe { Call::new(context, count, values) };
    let Some([value]) = decimals(&call) else { return };
    // SAFETY: in a function of an aggregate.
    if let Some(sum) = unsafe { sum(context, false) } {
        sum.take(&value);
    }
}

unsafe extern "C" fn total(context: *mut ffi::sqlite3_context) {
    // SAFETY: in a function of an aggregate, which has no arguments.
    unsafe { give(&Call::bare(context), sum(context, false).and_then(|it| it.total())) }
}

unsafe extern "C" fn average(context: *mut ffi::sqlite3_context) {
    // SAFETY: in a function of an aggregate, which has no arguments.
    unsafe { give(&Call::bare(context), sum(context, false).and_then(|it| it.average())) }
}

unsafe extern "C" fn total_at_end(context: *mut ffi::sqlite3_context) {
    // SAFETY: SQLite calls this, once, at the end.
    unsafe {
        total(context);
        forget(context);
    }
}

unsafe extern "C" fn average_at_end(context: *mut ffi::sqlite3_context) {
    // SAFETY: SQLite calls this, once, at the end.
    unsafe {
        average(context);
        forget(context);
    }
}

/// Frees the sum of an aggregate. SQLite calls the end of each aggregate that has begun, even if
/// its statement was interrupted.
///
/// # Safety
///
/// Must be called at the end of an aggregate, with its context.
unsafe fn forget(context: *mut ffi::sqlite3_context) {
    // SAFETY: the pointer came from a `Box`, and nothing uses it after this.
    unsafe {
        if let Some(sum) = sum(context, false) {
            drop(Box::from_raw(ptr::from_mut(sum)));
        }
    }
}
