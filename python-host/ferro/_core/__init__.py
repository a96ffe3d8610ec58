"""The core component in wasmtime-py, and its compiled code."""
