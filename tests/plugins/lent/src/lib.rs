//! A plugin that imports what an application lends, for the tests of hosts.

#[cfg(target_family = "wasm")]
mod plugin {
    use std::hint::black_box;
    use std::time::SystemTime;

    use ferro_wit::schema::Schema;

    #[allow(missing_docs, unsafe_code, clippy::all, clippy::cast_possible_truncation)]
    mod bindings {
        wit_bindgen::generate!({
            path: ["../../../wit", "wit"],
            world: "acme:crm/reminders",
            generate_all,
            with: {
                "ferro:orm/types@0.1.0": ferro_wit::types,
                "ferro:orm/query@0.1.0": ferro_wit::query,
                "ferro:orm/schema@0.1.0": ferro_wit::schema,
            },
        });
    }
    use bindings::acme::crm::mail;
    use bindings::exports::ferro::orm::models;

    /// Tests replace this text in the component's file.
    static WHILE_DESCRIBED: &str = "describe: quiet";

    struct Reminders;

    bindings::export!(Reminders with_types_in bindings);

    impl models::Guest for Reminders {
        fn describe() -> Schema {
            if black_box(WHILE_DESCRIBED) == "describe: sends" {
                let _ = mail::send("ann@example.org", "I was loaded");
            }
            Schema { models: vec![], enums: vec![] }
        }
    }

    impl bindings::Guest for Reminders {
        fn remind(to: String, text: String) -> Result<u64, String> {
            mail::send(&to, &text)
        }

        fn fill(bytes: u32) -> Result<u64, String> {
            mail::send("ann@example.org", &"x".repeat(bytes as usize))
        }

        fn wait() {
            mail::wait();
        }

        fn panic() {
            mail::panic();
        }

        fn hoard(bags: u32) {
            let bags: Vec<_> = (0..bags).map(|_| mail::Bag::new()).collect();
            black_box(&bags);
        }

        fn now() -> u64 {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.map_or(0, |since| since.as_secs())
        }
    }
}
