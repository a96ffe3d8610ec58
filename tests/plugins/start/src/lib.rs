//! A plugin that loops while it is instantiated, for the tests of hosts.

#[cfg(target_family = "wasm")]
mod plugin {
    use ferro_wit::schema::Schema;

    #[allow(missing_docs, unsafe_code, clippy::all, clippy::cast_possible_truncation)]
    mod bindings {
        wit_bindgen::generate!({
            path: "../../../wit",
            world: "ferro:orm/plugin",
            generate_all,
            with: {
                "ferro:orm/types@0.1.0": ferro_wit::types,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/schema@0.1.0": ferro_wit::schema,
            },
        });
    }
    use bindings::exports::ferro::orm::models;

    struct Start;

    bindings::export!(Start with_types_in bindings);

    impl models::Guest for Start {
        fn describe() -> Schema {
            Schema { models: vec![], enums: vec![] }
        }
    }

    /// The start function calls the functions in this section.
    #[used]
    // SAFETY: the section contains addresses of functions without arguments, and this is one.
    #[unsafe(link_section = ".init_array")]
    static AT_START: extern "C" fn() = spin;

    extern "C" fn spin() {
        loop {
            std::hint::black_box(());
        }
    }
}
