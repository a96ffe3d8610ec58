//! Tests of the program that runs a command with a PostgreSQL server.

use std::process::Command;

fn with_postgres(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_with-postgres"));
    command.args(["sh", "-c", script]);
    command
}

#[test]
fn the_command_finds_a_server_and_its_exit_code_is_passed_on() {
    let mut command = with_postgres("case $FERRO_TEST_POSTGRES_URL in postgres*) exit 7;; esac");
    assert_eq!(command.status().unwrap().code(), Some(7));
}

#[test]
fn a_server_that_the_environment_names_is_left_as_it_is() {
    let mut command = with_postgres("test $FERRO_TEST_POSTGRES_URL = postgres://elsewhere");
    command.env("FERRO_TEST_POSTGRES_URL", "postgres://elsewhere");
    assert!(command.status().unwrap().success());
}
