//! The core as a component: exports `ferro:orm/compiler` and `ferro:orm/compiler-text`, and imports
//! nothing but types.
//!
//! [`text`] is `compiler-text` in plain Rust; the module `exports`, which exists in WebAssembly
//! only, connects both interfaces to `ferro-core`.

#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

#[cfg(target_family = "wasm")]
mod exports;
pub mod text;
