"""The core component in wasmtime-py, and the code compiled for it."""
