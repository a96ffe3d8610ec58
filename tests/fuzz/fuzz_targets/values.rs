//! Values and batches sent by a plugin: valid ones can be read to the last cell.

#![no_main]

use ferro_wit::types::{Batch, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let _ = value.validate();
    }
    let Ok(batch) = serde_json::from_slice::<Batch>(data) else { return };
    if batch.validate().is_ok() {
        // Without columns, a batch may claim any number of rows.
        for row in (0..batch.rows as usize).take(100_000) {
            assert!(batch.columns.iter().all(|column| column.get(row).is_some()));
        }
    }
});
