//! What URLs mean, and what is refused.

use super::*;

fn parse(url: &str) -> Target {
    Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn fault(url: &str) -> String {
    let error = Target::parse(url).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{url}: {error}");
    error.message
}

#[test]
fn both_schemes_of_postgres_and_all_places_of_a_part_mean_the_same() {
    let expected = parse("postgresql://ann:pa%40ss@db.example:5433/app");
    for url in [
        "postgres://ann:pa%40ss@db.example:5433/app",
        "postgresql://ann@db.example/app?port=5433&password=pa%40ss",
        "postgresql:///?host=db.example&port=5433&user=ann&password=pa%40ss&dbname=app",
        "postgresql://ann:p%61%40ss@db.example:5433/%61pp?sslmode=prefer&application_name=ferro",
    ] {
        assert_eq!(parse(url), expected, "{url}");
    }
}

#[test]
fn a_url_without_user_means_the_account_of_the_process() {
    let account = whoami::username().unwrap();
    for (url, same) in [
        ("postgresql://localhost/app", format!("postgresql://{account}@localhost/app")),
        ("postgresql:///app?host=/run", format!("postgresql://{account}@/app?host=/run")),
        // The database defaults to the name of the user.
        ("postgresql://", format!("postgresql://{account}@localhost/{account}")),
        ("postgresql://:secret@localhost", format!("postgresql://{account}:secret@localhost")),
    ] {
        assert_eq!(parse(url), parse(&same), "{url}");
    }
}

#[test]
fn a_url_of_a_hosted_pooler_is_read() {
    let url = "postgresql://postgres.abcdefgh:s3cr%23t@aws-0-eu-west-1.pooler.example.com:6543/\
               postgres?sslmode=require";
    let Target::Postgres(server) = parse(url) else { panic!("not a server") };
    assert_eq!(server.address(), "aws-0-eu-west-1.pooler.example.com:6543");
}

#[test]
fn the_ports_of_poolers_are_known() {
    for (url, expected) in [
        ("postgresql://u@h:6543/d", true),
        ("postgresql://u@h/d?port=6432", true),
        ("postgresql://u@h:5432/d", false),
        ("postgresql://u@h/d", false),
    ] {
        let Target::Postgres(server) = parse(url) else { panic!("not a server") };
        assert_eq!(server.is_pooler(), expected, "{url}");
    }
}

#[test]
fn sockets_and_addresses_of_six_bytes_are_hosts() {
    for (url, address) in [
        ("postgresql://ann@%2Fvar%2Frun/app", "/var/run/.s.PGSQL.5432"),
        ("postgresql://ann@/app?host=/var/run&port=6000", "/var/run/.s.PGSQL.6000"),
        ("postgresql://ann@[::1]:5433/app", "[::1]:5433"),
        ("postgresql://ann@/app", "localhost:5432"),
    ] {
        let Target::Postgres(server) = parse(url) else { panic!("{url} is not a server") };
        assert_eq!(server.address(), address, "{url}");
    }
}

#[test]
fn an_unknown_scheme_says_which_there_are() {
    let message = fault("mysql://root@localhost/app");
    assert!(message.contains("`mysql:`") && message.contains("`sqlite:`"), "{message}");
    assert!(message.contains("`postgresql://`"), "{message}");
    let message = fault("host=db user=ann password=hunter2:x");
    assert!(!message.contains("hunter2") && message.contains("`sqlite:`"), "{message}");
}

#[test]
fn n1_no_url_is_weaker_than_it_says() {
    let verified = parse("postgres://u@h/d?sslmode=verify-ca&sslrootcert=ca.pem");
    assert_eq!(parse("postgres://u@h/d?sslmode=require&sslrootcert=ca.pem"), verified);
    for (query, expected) in [
        ("sslmode=allow", "`prefer`"),
        ("sslmode=verify-ca", "`sslrootcert`"),
        ("sslrootcert=ca.pem", "`sslmode=prefer`"),
        ("sslmode=disable&sslrootcert=ca.pem", "`sslmode=disable`"),
        ("sslmode=disable&sslcert=c.pem&sslkey=k.pem", "`sslmode=disable`"),
        ("sslmode=require&sslcert=c.pem", "`sslkey`"),
        ("sslmode=REQUIRE", "`sslmode=REQUIRE` is unknown"),
    ] {
        let message = fault(&format!("postgres://u@h/d?{query}"));
        assert!(message.contains(expected), "{query}: {message}");
    }
    assert!(fault("postgres://u@/d?host=/run&sslmode=require").contains("socket"));
}

#[test]
fn n2_what_is_not_understood_is_refused_by_name() {
    for (url, expected) in [
        ("postgres://u@h/d?sslmod=require", "`sslmod`: known are `host`, `port`"),
        ("postgres://u@h/d?connect_timeout=3", "`connect_timeout`"),
        ("postgres://u@h/d?pgbouncer=true", "`statement_cache_capacity`"),
        ("postgres://u@h/d?sslmode=require&sslmode=disable", "`sslmode` more than once"),
        ("postgres://u@h/d?host=other", "`host` twice"),
        ("postgres://u:p@h/d?password=other", "`password` twice"),
        ("postgres://u@h/d?dbname=other", "`dbname` twice"),
        ("postgres://u@h,i/d", "several hosts"),
        ("postgres://u@h:0/d", "the port"),
        ("postgres://u@h:70000/d", "the port"),
        ("postgres://u@h/d/e", "`%2F`"),
        ("postgres:u@h/d", "`//`"),
        ("postgres://u@[::1/d", "the host"),
        ("postgres://u@h%20h/d", "the host"),
        ("postgres://u@h/d?options=-c%20TimeZone%3DUTC", "`timezone`"),
    ] {
        let message = fault(url);
        assert!(message.contains(expected), "{url}: {message}");
    }
}

#[test]
fn k1_no_fault_of_a_url_repeats_its_password() {
    for url in [
        "postgres://ann:hunter2/x@h/d",
        "postgres://ann:hunter2#x@h/d",
        "postgres://ann:hunter2?x@h/d",
        "postgres://ann:hunter2?x=1&y@h/d",
        "postgres://ann:1234?hunter2=5@h/d",
        "postgres://ann:1234/hunter2@h/d",
        "postgres://ann:hunter2%zz@h/d",
        "postgres://ann:hunter2",
        "postgres://ann:hunter2@h:port/d",
        "postgres://ann:hunter2@h/d?sslmode=x",
        "postgres://h/d?user=ann&password=first&hunter2",
        "postgres://h/d?user=ann&password=first&hunter2=",
        "postgres:ann:hunter2@h/d",
        "postgres//ann:hunter2@h/d",
    ] {
        let message = fault(url);
        assert!(!message.contains("hunter2"), "{url}: {message}");
    }
    let debug = format!("{:?}", parse("postgres://ann:hunter2@h/d"));
    assert!(!debug.contains("hunter2") && debug.contains("ann"), "{debug}");
}
