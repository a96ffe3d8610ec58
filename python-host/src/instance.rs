//! Instances of models, made and filled as Pydantic's own core does it: by CPython's interface.
//!
//! All unsafe code of this module is here. Each call is given objects that are alive and of the type
//! that it asks for, with the interpreter held, and its result is looked at.

#![expect(
    unsafe_code,
    reason = "`object.__new__` and `object.__setattr__` without a call for each"
)]

use std::ffi::c_int;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

/// Makes empty instances of a class: `object.__new__(class)`.
pub(crate) struct Maker {
    class: Py<PyType>,
    new: ffi::newfunc,
    nothing: Py<PyTuple>,
}

impl Maker {
    pub(crate) fn new(class: Bound<'_, PyType>) -> PyResult<Self> {
        let py = class.py();
        // SAFETY: `object` is a type, and what its slot `tp_new` holds is a `newfunc`, or nothing.
        let new = unsafe {
            let object = &raw mut ffi::PyBaseObject_Type;
            let slot = ffi::PyType_GetSlot(object, ffi::Py_tp_new);
            std::mem::transmute::<*mut std::ffi::c_void, Option<ffi::newfunc>>(slot)
        };
        let new = new.ok_or_else(|| PyTypeError::new_err("`object` cannot be made"))?;
        // A class over another built-in one than `object` has to be made by that one; this says so.
        py.import("builtins")?.getattr("object")?.call_method1("__new__", (&class,))?;
        Ok(Self { class: class.unbind(), new, nothing: PyTuple::empty(py).unbind() })
    }

    /// An instance without any attribute.
    pub(crate) fn make<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: the class is one that `object.__new__` takes, as `new` has tried; it takes a tuple
        // and no dict, and gives a new reference or null with an exception.
        unsafe {
            let made = (self.new)(class, self.nothing.as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, made)
        }
    }
}

/// `object.__setattr__(instance, name, value)`, whatever the class does when it is asked to.
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
        _ => Err(PyErr::fetch(instance.py())),
    }
}

/// What `object.__getattribute__(instance, name)` gives; none where it raises, as it does for a slot
/// that was never set. A class that computes missing attributes is not asked.
pub(crate) fn get<'py>(
    instance: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> Option<Bound<'py, PyAny>> {
    // SAFETY: two objects; the function gives a new reference, or null with an exception.
    let found = unsafe {
        let found = ffi::PyObject_GenericGetAttr(instance.as_ptr(), name.as_ptr());
        Bound::from_owned_ptr_or_opt(instance.py(), found)
    };
    if found.is_none() {
        drop(PyErr::take(instance.py()));
    }
    found
}

/// No garbage is looked for while this lives. Many new objects that nothing can have let go of yet
/// would have the collector look through all of them again and again.
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
