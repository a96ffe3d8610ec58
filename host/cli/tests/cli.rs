//! The real command, on real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use ferro_build::Target;

fn probe() -> &'static str {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path =
        PATH.get_or_init(|| ferro_build::component("ferro-test-probe", Target::Wasip2).unwrap());
    path.to_str().unwrap()
}

fn raw() -> &'static str {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path =
        PATH.get_or_init(|| ferro_build::component("ferro-test-raw", Target::Wasip2).unwrap());
    path.to_str().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ferro-cli-cache");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferro"));
    command.args(arguments).arg("--cache").arg(cache);
    command.env("FERRO_TEST_NOWHERE", "postgres://user:secret@127.0.0.1:1/nowhere");
    command
}

fn ferro(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What the command prints when it goes well.
fn result(arguments: &[&str]) -> String {
    let output = ferro(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

/// The one line of an error, and the exit code.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = ferro(arguments);
    let line = text(&output.stderr).trim_end();
    assert!(line.starts_with("error: ") && line.lines().count() == 1, "{arguments:?}: {line}");
    (output.status.code().unwrap(), line.to_owned())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn database(&self) -> String {
        format!("app=sqlite:{}?mode=rwc", self.path("app.db"))
    }
}

#[test]
fn migrate_prints_what_it_would_do_and_does_it_when_told() {
    let folder = Folder::new();
    let app = folder.database();
    let migrate = ["migrate", probe(), &app];
    let script = result(&migrate);
    assert!(script.starts_with(".bail on\nBEGIN IMMEDIATE;\n-- create table "), "{script}");
    assert!(script.contains("CREATE TABLE ") && script.ends_with("COMMIT;"), "{script}");
    let apply = |risk| result(&[&migrate[..], &["--apply", risk]].concat());
    assert!(apply("safe").starts_with("-- applied: create table "));
    let nothing = "-- nothing to do: the database matches the models";
    assert_eq!((result(&migrate), apply("destructive")), (nothing.into(), nothing.into()));
    assert_eq!(failure(&["migrate", probe(), "app=sqlite:/nowhere/app.db"]).0, 4);
    assert_eq!(failure(&[&migrate[..], &["--apply", "all"]].concat()).0, 2);
}

#[test]
fn run_creates_tables_calls_and_prints_wave() {
    let folder = Folder::new();
    let app = folder.database();
    let connect = ["run", probe(), "--connect", &app];
    let call = |more: &[&str]| result(&[&connect, more].concat());
    assert_eq!(call(&["--create-tables", "app"]), "");
    let add = r#"notes#add("app", "héllo", commit)"#;
    assert_eq!(call(&["--grant", "app=read-write", add]), "ok(1)");
    assert_eq!(call(&[r#"notes#bodies("app")"#]), r#"ok(["héllo"])"#);
    assert_eq!(result(&["run", probe(), "mirror({x: 1, y: 2}, some(3))"]), "{x: 6, y: 3}");
}

#[test]
fn run_reads_tenants_from_files() {
    let folder = Folder::new();
    let app = folder.database();
    let toml = r#"
        [writer.grants.app]
        access = "read-write"
        tables.note = { insert = true, filters.body = "x" }

        [reader]
        name = "the reader"
        grants.app = {}
        limits.deadline = 20

        [frugal.limits]
        fuel = 20_000_000
    "#;
    std::fs::write(folder.path("tenants.toml"), toml).unwrap();
    let json = r#"{"only": {"name": "only", "grants": {"app": {"access": "read-write"}}}}"#;
    std::fs::write(folder.path("tenants.json"), json).unwrap();
    let file = folder.path("tenants.toml");
    let writer = format!("{file}#writer");
    let reader = format!("{file}#reader");
    let only = folder.path("tenants.json");
    let add = r#"notes#add("app", "x", commit)"#;
    let run = |tenant: &str| {
        ferro(&[
            "run",
            probe(),
            "--connect",
            &app,
            "--create-tables",
            "app",
            "--tenant",
            tenant,
            add,
        ])
    };
    assert_eq!(text(&run(&writer).stdout), "ok(1)\n");
    assert_eq!(text(&run(&only).stdout), "ok(1)\n");
    let refused = run(&reader);
    assert!(text(&refused.stdout).starts_with("err({kind: read-only"), "{refused:?}");
    assert_eq!(refused.status.code(), Some(5));

    let (code, line) = failure(&["run", probe(), "--tenant", &file, "calls()"]);
    assert_eq!(code, 2);
    assert!(line.contains("`frugal`, `reader`, `writer`"), "{line}");
}

#[test]
fn run_warns_of_columns_that_the_plugin_does_not_have() {
    let folder = Folder::new();
    let file = folder.path("tenants.toml");
    let grant = "[acme.grants.app.tables.note]\nread = { except = [\"bodyy\"] }\n";
    std::fs::write(&file, grant).unwrap();
    let output = ferro(&["run", probe(), "--tenant", &file, "calls()"]);
    assert_eq!(text(&output.stdout), "1\n", "{output:?}");
    let warning = text(&output.stderr);
    assert!(warning.starts_with("warning: ") && warning.contains("`bodyy`"), "{output:?}");
}

#[test]
fn run_meters_fuel_for_a_tenant_that_has_little() {
    let folder = Folder::new();
    let file = folder.path("tenants.toml");
    std::fs::write(&file, "[frugal.limits]\nfuel = 20_000_000\n").unwrap();
    let tenant = format!("{file}#frugal");
    let output = ferro(&["run", probe(), "--tenant", &tenant, "--usage", "calls()"]);
    assert_eq!(text(&output.stdout), "1\n", "{output:?}");
    assert!(text(&output.stderr).contains("units of fuel"), "{output:?}");
    let (code, line) = failure(&["run", probe(), "--tenant", &tenant, "spin()"]);
    assert_eq!(code, 6, "{line}");
    assert!(line.contains("`fuel`: 20000000 units"), "{line}");
}

#[test]
fn nobody_has_to_read_standard_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut run = command(&["run", probe(), "--usage", r#"print("a", "b")"#]);
    assert_eq!(run.stderr(writer).output().unwrap().status.code(), Some(0));
}

#[test]
fn inspect_shows_imports_exports_models_and_a_grant() {
    let shown = result(&["inspect", probe()]);
    for expected in [
        "plugin ferro-test-probe",
        "  ferro:orm/database@0.1.0",
        "  greet: func(name: string) -> string",
        "  ferro:test/notes#add: func(label: string, body: string, end: ending) -> result<u64, error>",
        "  ending: enum { commit, rollback, forget, trap, spin, hoard }",
        "  note, in table note",
        "    id    integer  key, generated",
        "    body  text",
        "  [TENANT.grants.LABEL.tables.note]\n  insert = true\n",
    ] {
        assert!(shown.contains(expected), "`{expected}` in\n{shown}");
    }
}

#[test]
fn the_tenant_that_inspect_shows_is_a_valid_one() {
    let folder = Folder::new();
    let shown = result(&["inspect", probe()]);
    let (_, tenant) = shown.split_once("if the plugin opens LABEL\n").unwrap();
    let file = folder.path("tenants.toml");
    std::fs::write(&file, tenant.replace("LABEL", "app")).unwrap();
    let app = folder.database();
    let connect = ["run", probe(), "--connect", &app, "--create-tables", "app", "--tenant", &file];
    let add = r#"notes#add("app", "x", commit)"#;
    assert_eq!(result(&[&connect[..], &[add]].concat()), "ok(1)");
}

#[test]
fn check_times_a_round_trip() {
    let folder = Folder::new();
    let shown = result(&["check", &folder.database()]);
    assert!(shown.starts_with("app: sqlite answers in ") && shown.ends_with(" ms"), "{shown}");
}

#[test]
fn errors_are_one_line_with_an_exit_code_of_their_own() {
    let folder = Folder::new();
    let app = folder.database();
    let core_module = folder.path("module.wasm");
    std::fs::write(&core_module, b"\0asm\x01\0\0\0").unwrap();
    let missing = format!("app=sqlite:{}?mode=rw", folder.path("missing.db"));
    let cases: [(&[&str], i32, &str); 20] = [
        (&[], 2, "requires a subcommand"),
        (&["walk"], 2, "'walk'"),
        (&["chekc"], 2, "similar subcommand exists: 'check'"),
        (&["run", probe()], 2, "<CALL>"),
        (&["run", probe(), "grete()"], 2, "`grete`"),
        (&["run", probe(), "greet(1)"], 2, "`greet(name: string)`: invalid value type, at `1`"),
        (
            &["run", probe(), "mirror({x: 1, y: 2, z: 3})"],
            2,
            "no field `z`; the fields are `x`, `y`",
        ),
        (&["run", probe(), "--create-tables", "a"], 2, "--connect a=URL"),
        (&["run", probe(), "--connect", "nonsense", "calls()"], 2, "LABEL=URL"),
        (&["check", "a=sqlite::memory:", "a=sqlite::memory:"], 2, "`a` is given twice"),
        (&["migrate", "a", "b=c", "--apply", "x"], 2, "destructive]; see `--help`"),
        (&["run", probe(), "--connect", "a=env:FERRO_TEST_NO", "calls()"], 2, "FERRO_TEST_NO"),
        (&["run", probe(), "--grant", "a=read-only", "calls()"], 2, "--connect a=URL"),
        (&["inspect", "missing.wasm"], 3, "`missing.wasm`"),
        (&["inspect", &core_module], 3, "core module"),
        (&["run", raw(), r#"rows("app", "select 1")"#], 3, "ferro:orm/raw-sql"),
        (&["check", &missing], 4, "`app`: there is no file"),
        (&["check", "app=mysql://localhost/x"], 4, "mysql"),
        (&["run", probe(), r#"panic("why")"#, "--log", "off"], 5, "trapped"),
        (&["run", probe(), "--connect", &app, "spin()"], 6, "`deadline`"),
    ];
    for (arguments, code, part) in cases {
        let (found, line) = failure(arguments);
        assert_eq!(found, code, "{arguments:?}: {line}");
        assert!(line.contains(part), "{arguments:?}: {line}");
    }
}

#[test]
fn k1_no_password_is_shown() {
    let shown = [
        ferro(&["check", "app=postgres://user:secret@127.0.0.1:1/nowhere"]),
        ferro(&["check", "app=env:FERRO_TEST_NOWHERE"]),
        ferro(&["check", "postgres://user:secret@127.0.0.1:1/nowhere"]),
        ferro(&["run", probe(), "--connect", "a b=postgres://user:secret@127.0.0.1/x", "calls()"]),
    ];
    for output in shown {
        assert!(!output.status.success());
        assert!(!text(&output.stderr).contains("secret"), "{}", text(&output.stderr));
    }
}
