//! What does not fit a model does not compile, and the compiler says why: each file of `fail/` has
//! its messages beside it. `TRYBUILD=overwrite` writes them anew.

#[test]
fn what_does_not_fit_a_model_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
