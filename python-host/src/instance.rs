//! Instances of models, created and filled through CPython's C API, like Pydantic's own core does.
//!
//! All unsafe code of the native module is here. Each call gets live objects of the required type,
//! with the interpreter held, and its result is checked.

#![expect(
    unsafe_code,
    reason = "`object.__new__`, `object.__setattr__` and slots without a call for each"
)]

use std::ffi::{CStr, c_int};

use ferro_wit::types::{Error, ErrorKind};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::errors::exception;

/// Creates instances of a class, `object.__new__(class)`, with only some slots set.
pub(crate) struct Maker<const N: usize> {
    class: Py<PyType>,
    new: ffi::newfunc,
    nothing: Py<PyTuple>,
    /// The offsets of the slots, in bytes from the start of an instance.
    offsets: [ffi::Py_ssize_t; N],
}

impl<const N: usize> Maker<N> {
    pub(crate) fn new(class: Bound<'_, PyType>, slots: [&CStr; N]) -> PyResult<Self> {
        let py = class.py();
        // SAFETY: `object` is a type, and what its slot `tp_new` holds is a `newfunc`, or nothing.
        let new = unsafe {
            let object = &raw mut ffi::PyBaseObject_Type;
            let slot = ffi::PyType_GetSlot(object, ffi::Py_tp_new);
            std::mem::transmute::<*mut std::ffi::c_void, Option<ffi::newfunc>>(slot)
        };
        let new = new.ok_or_else(|| PyTypeError::new_err("`object` cannot be made"))?;
        // A class derived from a built-in one other than `object` must use its constructor; this
        // checks that.
        py.import("builtins")?.getattr("object")?.call_method1("__new__", (&class,))?;
        let mut offsets = [0; N];
        for (offset, name) in offsets.iter_mut().zip(slots) {
            *offset = Slot::of(&class, name)?.offset;
        }
        Ok(Self { class: class.unbind(), new, nothing: PyTuple::empty(py).unbind(), offsets })
    }

    /// Creates an instance with these values in its slots.
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        values: [Bound<'py, PyAny>; N],
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: the class is one that `object.__new__` takes, as `new` has tried; it takes a tuple
        // and no dict, and gives a new reference or null with an exception.
        let made = unsafe {
            let made = (self.new)(class, self.nothing.as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, made)
        }?;
        for (offset, value) in self.offsets.iter().zip(values) {
            // SAFETY: every instance of the class has a slot there, within itself, and a new one
            // holds null in it. It owns the reference that it is given.
            unsafe { *made.as_ptr().byte_offset(*offset).cast() = value.into_ptr() };
        }
        Ok(made)
    }
}

/// `object.__setattr__(instance, name, value)`, even if the class overrides it.
pub(crate) fn set(
    instance: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: three objects; the function takes no reference away.
    let status: c_int =
        unsafe { ffi::PyObject_GenericSetAttr(instance.as_ptr(), name.as_ptr(), value.as_ptr()) };
    match status {
        0 => Ok(()),
        _ => match PyErr::fetch(instance.py()) {
            // Pydantic's descriptor for a deprecated field cannot be set.
            error if error.is_instance_of::<PyAttributeError>(instance.py()) => {
                held_by(instance)?.set_item(name, value)
            }
            error => Err(error),
        },
    }
}

/// Appends an instance's values of some fields. Most instances have them in this order, set by
/// Pydantic: then one pass finds all of them, without lookups.
pub(crate) fn read_row<'a, 'py: 'a>(
    row: &Bound<'py, PyAny>,
    names: impl Iterator<Item = &'a Bound<'py, PyString>> + Clone,
    values: &mut Vec<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let held = held_by(row)?;
    if append_in_order(&held, names.clone(), values) {
        return Ok(());
    }
    for name in names {
        match held.get_item(name)? {
            Some(value) => values.push(value),
            None => return Err(lacking(name)),
        }
    }
    Ok(())
}

/// The error for a row without a field, which `model_construct` allows.
fn lacking(name: &Bound<'_, PyString>) -> PyErr {
    let message = format!(
        "a row has no value for its field `{name}`: set it, or create the row by calling the model"
    );
    exception(name.py(), &Error::new(ErrorKind::InvalidQuery, message))
}

/// `instance.__dict__`, even if the class overrides attribute access.
fn held_by<'py>(instance: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = instance.py();
    // SAFETY: an object, and no context; it gives a new reference, or null with an exception.
    let held = unsafe {
        let held = ffi::PyObject_GenericGetDict(instance.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, held)
    };
    Ok(held?.cast_into()?)
}

/// Appends the values of some names, if a dict has these names in this order, possibly among
/// others. Otherwise it appends nothing and returns false: they must be looked up.
fn append_in_order<'a, 'py: 'a>(
    dict: &Bound<'py, PyDict>,
    names: impl Iterator<Item = &'a Bound<'py, PyString>>,
    values: &mut Vec<Bound<'py, PyAny>>,
) -> bool {
    let before = values.len();
    let mut missing = names.peekable();
    let (mut position, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    while missing.peek().is_some() {
        // SAFETY: a dict, and places for what it lends. Nothing in this loop runs code that could
        // change it.
        let is_one = unsafe {
            ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut name, &raw mut value)
        };
        if is_one == 0 {
            break;
        }
        if missing.next_if(|it| it.as_ptr() == name).is_some() {
            // SAFETY: an object that the dict lends.
            values.push(unsafe { Bound::from_borrowed_ptr(dict.py(), value) });
        }
    }
    let are_met = missing.peek().is_none();
    if !are_met {
        values.truncate(before);
    }
    are_met
}

/// The slot of an attribute that a class names in `__slots__`. Reading one that was never set
/// raises no exception, which would take longer than everything else that is done for a row.
pub(crate) struct Slot {
    /// The class that defines it.
    owner: Py<PyType>,
    /// Its offset in bytes from the start of an instance.
    offset: ffi::Py_ssize_t,
}

impl Slot {
    /// The slot of a name that a class defines or inherits.
    pub(crate) fn of(class: &Bound<'_, PyType>, name: &CStr) -> PyResult<Self> {
        for owner in class.mro() {
            let owner = owner.cast_into::<PyType>()?;
            if let Some(offset) = offset(&owner, name) {
                return Ok(Self { owner: owner.unbind(), offset });
            }
        }
        let name = name.to_string_lossy();
        Err(PyTypeError::new_err(format!("`{}` has no slot `{name}`", class.name()?)))
    }

    /// Its value; `None` if it was never set, or the object is not an instance of the class.
    pub(crate) fn get<'py>(&self, instance: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let place = self.place(instance).ok()?;
        // SAFETY: `place` gives one that holds an object, or null.
        unsafe { Bound::from_borrowed_ptr_or_opt(instance.py(), *place) }
    }

    /// Replaces its value.
    pub(crate) fn set<'py>(
        &self,
        instance: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let place = self.place(instance)?;
        // SAFETY: `place` gives one that holds an object, or null, and owns a reference to it. That
        // goes last: code which runs then finds the new one.
        let former = unsafe {
            let former = place.replace(value.clone().into_ptr());
            Bound::from_owned_ptr_or_opt(instance.py(), former)
        };
        drop(former);
        Ok(())
    }

    fn place(&self, instance: &Bound<'_, PyAny>) -> PyResult<*mut *mut ffi::PyObject> {
        let owner = self.owner.bind(instance.py());
        let object = instance.as_ptr();
        // SAFETY: an object and a class.
        let fits = unsafe { ffi::PyObject_TypeCheck(object, owner.as_type_ptr()) } != 0;
        if !fits {
            let (class, given) = (owner.name()?, instance.get_type().name()?);
            return Err(PyTypeError::new_err(format!("takes `{class}`, not `{given}`")));
        }
        // SAFETY: every instance of the class has the slot there, within itself.
        Ok(unsafe { object.byte_offset(self.offset).cast() })
    }
}

/// The offset of a name in the class's own `__slots__`.
fn offset(class: &Bound<'_, PyType>, name: &CStr) -> Option<ffi::Py_ssize_t> {
    // SAFETY: a class. What its slot `tp_members` holds is null, or a list that ends with a member
    // without a name, and lives as long as the class.
    unsafe {
        let slot = ffi::PyType_GetSlot(class.as_type_ptr(), ffi::Py_tp_members);
        let mut member = slot.cast::<ffi::PyMemberDef>();
        while let Some(it) = member.as_ref().filter(|it| !it.name.is_null()) {
            if it.type_code == ffi::Py_T_OBJECT_EX && CStr::from_ptr(it.name) == name {
                return Some(it.offset);
            }
            member = member.add(1);
        }
    }
    None
}

/// Untracks a tuple from the garbage collector if its values hold no references, as the collector
/// itself would after visiting all of them.
pub(crate) fn untrack(tuple: &Bound<'_, PyTuple>) {
    // SAFETY: an object that the collector knows, or knows no longer. It stays alive by its count
    // alone, as tuples of such values do anyway.
    unsafe { ffi::PyObject_GC_UnTrack(tuple.as_ptr().cast()) };
}

/// Pauses the garbage collector while it exists. Many new objects, none of which can be garbage
/// yet, would make the collector scan all of them repeatedly.
pub(crate) struct NoCollection<'py> {
    was_enabled: bool,
    _interpreter: Python<'py>,
}

impl<'py> NoCollection<'py> {
    pub(crate) fn begin(py: Python<'py>) -> Self {
        // SAFETY: the interpreter is held, and no objects are involved.
        let was_enabled = unsafe { ffi::PyGC_Disable() } != 0;
        Self { was_enabled, _interpreter: py }
    }
}

impl Drop for NoCollection<'_> {
    fn drop(&mut self) {
        if self.was_enabled {
            // SAFETY: as in `begin`; this does not outlive the hold on the interpreter.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
