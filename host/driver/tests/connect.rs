//! Connecting: each way to fail is its own error and says what to do.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use ferro_driver::{ConnectOptions, Database, Databases};
use ferro_test_support::postgres;
use ferro_wit::types::{Error, ErrorKind, Value};

use support::{connect, name_of, one, options, refused, run, with_user};

#[track_caller]
fn assert_error(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind, kind, "{error}");
    for part in parts {
        assert!(error.message.contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn an_unknown_scheme_says_which_there_are() {
    let error = refused("mysql://root@localhost/app").await;
    assert_error(&error, ErrorKind::InvalidConfiguration, &["`mysql:`", "`sqlite:`", "`postgres"]);
}

#[tokio::test]
async fn a_missing_file_under_rw_says_how_to_have_it_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let path = path.display();
    for url in [format!("sqlite:{path}?mode=rw"), format!("sqlite://{path}?mode=ro")] {
        assert_error(&refused(&url).await, ErrorKind::DatabaseMissing, &["app.db", "`?mode=rwc`"]);
    }
    let url = format!("sqlite:{path}?mode=rwc");
    connect(&url).await.disconnect().await;
    connect(&format!("sqlite:{path}")).await.disconnect().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_a_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    let error = refused(&format!("sqlite:{root}")).await;
    assert_error(&error, ErrorKind::InvalidConfiguration, &["folder"]);
    let error = refused(&format!("sqlite:{root}/none/app.db?mode=rwc")).await;
    assert_error(&error, ErrorKind::DatabaseMissing, &["/none`", "create the folder"]);
    std::fs::write(folder.path().join("text"), "no database at all, but long enough".repeat(99))
        .unwrap();
    for mode in ["ro", "rw"] {
        let error = refused(&format!("sqlite:{root}/text?mode={mode}")).await;
        assert_error(&error, ErrorKind::InvalidConfiguration, &["/text`", "not a database"]);
        assert_eq!(error.code.as_deref(), Some("SQLITE_NOTADB"));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_repeated() {
    let url = with_user(&postgres::url(), "ferro:hunter2");
    let error = refused(&url).await;
    assert_error(&error, ErrorKind::AuthenticationFailed, &["`ferro`", "check user and password"]);
    assert_eq!(error.code.as_deref(), Some("28P01"));
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let error = refused(&with_user(&postgres::url(), "ferro")).await;
    assert_error(&error, ErrorKind::AuthenticationFailed, &["`ferro`"]);
}

#[tokio::test]
async fn a_missing_database_is_named() {
    let url = postgres::url();
    let error = refused(&url.replace(name_of(&url), "no_such_database")).await;
    assert_error(&error, ErrorKind::DatabaseMissing, &["`no_such_database`", "create it"]);
    assert_eq!(error.code.as_deref(), Some("3D000"));
}

#[tokio::test]
async fn a_role_that_may_not_connect_is_told_which_right_it_lacks() {
    let url = postgres::url();
    let (role, name) = ("ferro_kept_out", "ferro_closed");
    let owner = connect(&url).await;
    let clear = [format!("DROP DATABASE IF EXISTS {name}"), format!("DROP ROLE IF EXISTS {role}")];
    let make = [
        format!("CREATE ROLE {role} LOGIN PASSWORD 'kept-out'"),
        format!("CREATE DATABASE {name}"),
        format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"),
    ];
    let statements: Vec<&str> = clear.iter().chain(&make).map(String::as_str).collect();
    run(&owner, &statements).await;

    let guest = with_user(&url, &format!("{role}:kept-out"));
    let (server, _) = guest.rsplit_once('/').unwrap();
    let error = refused(&format!("{server}/{name}")).await;
    let parts = [&format!("`{role}`"), &format!("`{name}`"), "grant it `CONNECT`"];
    assert_error(&error, ErrorKind::AuthenticationFailed, &parts);
    assert_eq!(error.code.as_deref(), Some("42501"));

    let error = refused(&format!("{guest}?options=-c%20log_statement%3Dall")).await;
    let parts = ["`options`", "\"log_statement\"", &format!("`{role}`")];
    assert_error(&error, ErrorKind::InvalidConfiguration, &parts);

    run(&owner, &clear.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn settings_that_the_server_does_not_know_are_named() {
    let url = postgres::url();
    for (settings, name) in
        [("no_such_setting%3D1", "no_such_setting"), ("work_mem%3Dlots", "work_mem")]
    {
        let error = refused(&format!("{url}?options=-c%20{settings}")).await;
        let parts = ["`options`", &format!("\"{name}\""), "correct it"];
        assert_error(&error, ErrorKind::InvalidConfiguration, &parts);
    }
}

#[tokio::test]
async fn a_closed_port_is_known_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = Instant::now();
    let error = refused(&format!("postgres://u:hunter2@127.0.0.1:{port}/app")).await;
    assert_error(
        &error,
        ErrorKind::ConnectionFailed,
        &[&format!("`127.0.0.1:{port}`"), "check that it runs"],
    );
    assert!(error.retryable);
    assert!(!format!("{error:?}").contains("hunter2"));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_missing_socket_and_an_unknown_host_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&format!("postgres://u@/app?host={}", folder.path().display())).await;
    assert_error(&error, ErrorKind::ConnectionFailed, &[".s.PGSQL.5432`"]);
    let error = refused("postgres://u@no-such-host.invalid/app").await;
    assert_error(&error, ErrorKind::ConnectionFailed, &["`no-such-host.invalid:5432`"]);
}

/// Lets a guest in, and waits for what it wants.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// A server that says one thing to everybody, or nothing.
fn listen(answer: &'static [u8]) -> u16 {
    listen_twice(answer, b"")
}

/// A server that says one thing to everybody, or nothing, and another one to what follows.
fn listen_twice(first: &'static [u8], then: &'static [u8]) -> u16 {
    serve(move |_| (first, then))
}

/// A server that says to each guest, by its number, one thing or nothing, and another one to what
/// follows.
fn serve(answers: impl Fn(usize) -> (&'static [u8], &'static [u8]) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for number in 0.. {
            let Ok((mut guest, _)) = listener.accept() else { break };
            let (first, then) = answers(number);
            std::thread::spawn(move || {
                let _ = guest.read(&mut [0; 512]);
                let _ = guest.write_all(first);
                if first.is_empty() || !then.is_empty() {
                    let _ = guest.read(&mut [0; 512]);
                    let _ = guest.write_all(then);
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn n3_another_protocol_is_told_from_a_broken_server() {
    let port = listen(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    for mode in ["prefer", "disable"] {
        let error = refused(&format!("postgres://u:p@127.0.0.1:{port}/app?sslmode={mode}")).await;
        assert_error(&error, ErrorKind::ConnectionFailed, &[&port.to_string()]);
    }
}

/// Messages that are not as long as they say, or end before what is in them.
const LIES: [&[u8]; 9] = [
    b"R\0\0\0\0",
    b"R\0\0\0\x03",
    b"R\0\0\0\x04",
    b"R\0\0\0\x05\0",
    b"R\xff\xff\xff\xff",
    b"E\0\0\0\x05S",
    b"E\0\0\0\x08SERR",
    b"T\0\0\0\x06\xff\xff",
    b"D\0\0\0\x0a\0\x01\xff\xff\xff\x00",
];

#[tokio::test]
async fn n3_a_server_that_lies_about_sizes_costs_one_error() {
    let options = options(|it| {
        it.pool.connect_timeout = Duration::from_secs(2);
        it.pool.acquire_timeout = Duration::from_secs(2);
    });
    let url = |port| format!("postgres://u:p@127.0.0.1:{port}/app?sslmode=disable");
    for lie in LIES {
        let error = Database::connect(&url(listen(lie)), &options).await.unwrap_err();
        assert!(!error.message.is_empty(), "{lie:?}: {error}");
        // It lets us in, and lies then.
        let port = listen_twice(WELCOME, lie);
        let database = Database::connect(&url(port), &options).await.unwrap();
        for _ in 0..2 {
            let start = Instant::now();
            let error = database.check().await.unwrap_err();
            assert!(start.elapsed() < Duration::from_secs(5), "{lie:?}: {error}");
            assert_eq!(database.stats().acquired, 0, "{lie:?}: {error}");
        }
    }
}

#[tokio::test]
async fn n3_a_server_that_says_nothing_costs_the_connect_timeout() {
    let port = listen(b"");
    let options = options(|it| it.pool.connect_timeout = Duration::from_millis(200));
    let start = Instant::now();
    let url = format!("postgres://u:p@127.0.0.1:{port}/app");
    let error = Database::connect(&url, &options).await.unwrap_err();
    assert_error(&error, ErrorKind::ConnectionFailed, &["200ms", "`connect_timeout`"]);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_pool_opens_one_connection_and_keeps_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let guests = std::thread::spawn(move || {
        let (mut guest, _) = listener.accept().unwrap();
        let _ = guest.read(&mut [0; 512]);
        guest.write_all(WELCOME).unwrap();
        listener.set_nonblocking(true).unwrap();
        // The end of the pool closes the connection.
        while guest.read(&mut [0; 512]).is_ok_and(|it| it > 0) {}
        1 + std::iter::from_fn(|| listener.accept().ok()).count()
    });
    let url = format!("postgres://u:p@127.0.0.1:{port}/app?sslmode=disable");
    let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
    assert_eq!(database.stats().size, 1);
    drop(database);
    assert_eq!(tokio::task::spawn_blocking(|| guests.join().unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn p4_a_server_that_has_too_many_guests_is_waited_for_and_told() {
    let options = options(|it| it.pool.connect_timeout = Duration::from_millis(600));
    let full: &[u8] = b"E\0\0\0\x24SFATAL\0C53300\0Mtoo many guests\0\0";
    let port = listen(full);
    let url = format!("postgres://u:p@127.0.0.1:{port}/app?sslmode=disable");
    let start = Instant::now();
    let error = Database::connect(&url, &options).await.unwrap_err();
    assert_error(&error, ErrorKind::Busy, &["too many guests"]);
    assert!(error.retryable);
    assert!(start.elapsed() >= Duration::from_millis(600), "{:?}", start.elapsed());

    let port = serve(|number| if number < 2 { (full, b"") } else { (WELCOME, b"") });
    let url = format!("postgres://u:p@127.0.0.1:{port}/app?sslmode=disable");
    drop(Database::connect(&url, &ConnectOptions::default()).await.unwrap());
}

/// A server that asks for the password in clear and repeats it in its refusal.
fn listen_for_passwords() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut guest, _)) = listener.accept() {
            let mut buffer = [0; 512];
            let _ = guest.read(&mut buffer);
            let _ = guest.write_all(b"R\0\0\0\x08\0\0\0\x03");
            let length = guest.read(&mut buffer).unwrap_or_default();
            let password = String::from_utf8_lossy(&buffer[5..length.max(6) - 1]).into_owned();
            let fields = format!("SFATAL\0C28P01\0Mno guest says {password}\0\0");
            let size = u32::try_from(fields.len()).unwrap() + 4;
            let _ = guest.write_all(b"E");
            let _ = guest.write_all(&size.to_be_bytes());
            let _ = guest.write_all(fields.as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn k1_a_server_that_repeats_the_password_is_not_quoted_with_it() {
    let port = listen_for_passwords();
    let url = format!("postgres://ann:hunt%20er2@127.0.0.1:{port}/app?sslmode=disable");
    let error = refused(&url).await;
    assert_error(&error, ErrorKind::AuthenticationFailed, &["no guest says ***"]);
    assert!(!format!("{error:?}").contains("er2"), "{error:?}");
}

#[tokio::test]
async fn unix_sockets_are_hosts_in_both_forms() {
    let url = postgres::url();
    let database = connect(&url).await;
    let Value::Text(folder) = one(&database, "SHOW unix_socket_directories").await else {
        panic!("not a text");
    };
    let Value::Text(port) = one(&database, "SHOW port").await else { panic!("not a text") };
    let user = &url[url.find("://").unwrap() + 3..url.rfind('@').unwrap()];
    let name = name_of(&url);
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgresql://{user}@/{name}?host={folder}&port={port}"),
        format!("postgresql://{user}@{encoded}:{port}/{name}"),
    ] {
        let database = connect(&url).await;
        let address = one(&database, "SELECT inet_client_addr()::text").await;
        assert_eq!(address, Value::Null, "{url}");
    }
}

#[tokio::test]
async fn parameters_of_the_url_reach_the_session() {
    let url = format!(
        "{}?application_name=bookshop&options=-c%20work_mem%3D8MB%20-c%20search_path%3Da%2Cb",
        postgres::url()
    );
    let database = connect(&url).await;
    for (name, value) in
        [("application_name", "bookshop"), ("work_mem", "8MB"), ("search_path", "a,b")]
    {
        assert_eq!(one(&database, &format!("SHOW {name}")).await, Value::Text(value.into()));
    }
}

#[tokio::test]
async fn the_session_does_not_depend_on_what_the_role_sets() {
    let url = postgres::url();
    let role = format!("role_of_{}", name_of(&url));
    postgres::execute(
        &url,
        &format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw'; ALTER ROLE {role} SET TimeZone = 'Asia/Tokyo'; \
             ALTER ROLE {role} SET DateStyle = 'German'"
        ),
    );
    let database = connect(&with_user(&url, &format!("{role}:pw"))).await;
    for (name, value) in
        [("TimeZone", "UTC"), ("DateStyle", "ISO, MDY"), ("client_encoding", "UTF8")]
    {
        assert_eq!(one(&database, &format!("SHOW {name}")).await, Value::Text(value.into()));
        // What a reset goes back to.
        let reset = format!("SELECT reset_val FROM pg_settings WHERE name = '{name}'");
        assert_eq!(one(&database, &reset).await, Value::Text(value.into()));
    }
}

#[tokio::test]
async fn without_a_statement_cache_nothing_stays_on_the_server() {
    for capacity in [0, 100] {
        let options = options(|it| {
            it.pool.statement_cache_capacity = Some(capacity);
            it.pool.max_connections = 1;
        });
        let database = Database::connect(&postgres::url(), &options).await.unwrap();
        for _ in 0..3 {
            assert_eq!(one(&database, "SELECT 'kept'").await, Value::Text("kept".into()));
        }
        let count = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%kept%'";
        let kept = one(&database, count).await;
        // The statement that counts is one as well, once it is kept.
        assert_eq!(kept == Value::Integer(0), capacity == 0, "{capacity}: {kept:?}");
        let database = Database::connect("sqlite::memory:", &options).await.unwrap();
        for _ in 0..3 {
            assert_eq!(one(&database, "SELECT 'kept'").await, Value::Text("kept".into()));
        }
    }
}

#[tokio::test]
async fn labels_are_unique_and_the_first_is_the_default() {
    let databases = Databases::new();
    let options = ConnectOptions::default();
    assert_error(&databases.get(None).unwrap_err(), ErrorKind::NotFound, &["none is connected"]);
    databases.connect("app", "sqlite::memory:", &options).await.unwrap();
    databases.connect("archive", "sqlite::memory:", &options).await.unwrap();
    let error = databases.connect("app", "sqlite::memory:", &options).await.unwrap_err();
    assert_error(&error, ErrorKind::InvalidConfiguration, &["`app` is taken"]);
    let error = databases.connect("", "sqlite::memory:", &options).await.unwrap_err();
    assert_error(&error, ErrorKind::InvalidConfiguration, &["empty"]);
    let error = databases.get(Some("apps")).unwrap_err();
    assert_error(&error, ErrorKind::NotFound, &["`apps`", "`app`, `archive`"]);
    assert_eq!(databases.default_label().as_deref(), Some("app"));
    databases.disconnect("app").await.unwrap();
    assert_eq!(databases.default_label(), None);
    assert_error(&databases.get(None).unwrap_err(), ErrorKind::NotFound, &["`archive`"]);
    assert!(databases.disconnect("app").await.is_err());
    databases.set_default("archive").unwrap();
    assert!(databases.get(None).unwrap().check().await.is_ok());
}

#[tokio::test]
async fn a_label_that_two_connect_at_once_is_taken_once() {
    let databases = Databases::new();
    let options = ConnectOptions::default();
    let connect = || databases.connect("app", "sqlite::memory:", &options);
    let results = <[_; 3]>::from(tokio::join!(connect(), connect(), connect()));
    assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 1);
    assert_eq!(databases.labels(), ["app"]);
}

#[tokio::test]
async fn a_url_without_user_asks_for_the_account_of_the_process() {
    let url = postgres::url();
    let account = whoami::username().unwrap();
    let address = &url[url.rfind('@').unwrap() + 1..];
    let url = format!("postgresql://{address}?password=not%20it");
    // Our own server has no such role; another one may let everybody in.
    match Database::connect(&url, &options(|_| {})).await {
        Ok(database) => {
            assert_eq!(one(&database, "SELECT current_user").await, Value::Text(account));
        }
        Err(error) => {
            assert_error(&error, ErrorKind::AuthenticationFailed, &[&format!("`{account}`")]);
        }
    }
}

const URL_OF_CHILD: &str = "FERRO_TEST_URL_OF_CHILD";

/// Runs one ignored test of this program in a process with other variables.
fn run_child(test: &str, url: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(URL_OF_CHILD, url)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    (output.status.success() && text.contains("1 passed"), text)
}

#[tokio::test]
#[ignore = "runs in a process of its own, started by another test"]
async fn child_connects() {
    let database = connect(&std::env::var(URL_OF_CHILD).unwrap()).await;
    let name = one(&database, "SHOW application_name").await;
    assert_eq!(name, Value::Text("ferro".into()));
}

#[test]
fn k3_variables_of_the_environment_are_not_read() {
    let url = postgres::url();
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("pgpass");
    std::fs::write(&passwords, "*:*:*:*:other").unwrap();
    let variables = [
        ("PGHOST", "no-such-host.invalid"),
        ("PGHOSTADDR", "127.0.0.2"),
        ("PGPORT", "1"),
        ("PGUSER", "nobody"),
        ("PGPASSWORD", "other"),
        ("PGDATABASE", "other"),
        ("PGAPPNAME", "other"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "/no/such/file"),
        ("PGPASSFILE", passwords.to_str().unwrap()),
    ];
    let (passed, output) = run_child("child_connects", &url, &variables);
    assert!(passed, "{output}");
    // A password that only the environment knows is not used.
    let user_only = with_user(&url, "ferro");
    let password = [("PGPASSWORD", "s3cret/p@ss")];
    let (passed, output) = run_child("child_connects", &user_only, &password);
    assert!(!passed && output.contains("check user and password"), "{output}");
}

#[test]
fn k3_variables_that_cannot_be_ignored_are_refused_by_name() {
    let url = postgres::url();
    for variable in ["PGOPTIONS", "PGSSLCERT", "PGSSLKEY"] {
        let (passed, output) = run_child("child_connects", &url, &[(variable, "-c geqo=off")]);
        assert!(!passed && output.contains(&format!("`{variable}` is set")), "{output}");
    }
    let plain = format!("{url}?sslmode=disable");
    let (passed, output) = run_child("child_connects", &plain, &[("PGSSLCERT", "/no/such/file")]);
    assert!(passed, "{output}");
}
