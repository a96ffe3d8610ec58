//! Sums every cell of rows that are passed to it, as columns or as a list of lists of values. The
//! benchmark does the same without a component in between.

#![cfg(target_family = "wasm")]

mod sum;

mod bindings {
    #![allow(missing_docs)]
    wit_bindgen::generate!({
        path: ["../../../wit", "wit"],
        world: "ferro:bench/lent",
        with: { "ferro:orm/types@0.1.0": ferro_wit::types },
    });
}

use bindings::ferro::bench::rows;

struct Plugin;

bindings::export!(Plugin with_types_in bindings);

impl bindings::Guest for Plugin {
    fn sum_variants(limit: u32) -> i64 {
        rows::variants(limit).iter().flatten().map(sum::cell).sum()
    }

    fn sum_columns(limit: u32) -> i64 {
        sum::batch(&rows::columns(limit))
    }
}
