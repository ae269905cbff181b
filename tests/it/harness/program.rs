//! Running the programs of tests/interop: each talks to the gateway through somebody else's library.
//!
//! A program takes its input from the environment and prints one JSON object; anything but success fails the test with
//! all that it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::env::required;

/// Runs `tests/interop/NAME` with these variables and answers what it printed.
pub async fn run(name: &str, variables: &[(&str, &str)]) -> Value {
    printed(name, &execute(name, variables).await)
}

/// What a program printed that has to have succeeded.
pub fn printed(name: &str, output: &Output) -> Value {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{said}\n{complained}", output.status);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{name}: {error}: {said}"))
}

/// Runs it, however it ends.
pub async fn execute(name: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = if name.ends_with(".py") {
        let mut python = Command::new("/usr/bin/python3"); // Debian's, which has Debian's packages
        python.arg("-B").arg(scripts().join(name));
        python
    } else {
        let mut node = Command::new("node");
        node.arg(beside_its_packages(name));
        node
    };
    command.envs(variables.iter().copied());
    let program = name.to_owned();
    let run =
        move || command.output().unwrap_or_else(|error| panic!("{program} does not start ({error}): run tests/run"));
    // On a thread of its own: the gateway it talks to runs on this one.
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Runs schemathesis with these arguments, in a directory of the test's, judging as tests/interop says.
pub async fn schemathesis(directory: &Path, arguments: Vec<String>, variables: Vec<(&'static str, String)>) -> Output {
    let program = PathBuf::from(required("SAMESAKE_TEST_INTEROP")).join("python/bin/schemathesis");
    let mut command = Command::new(program);
    command.arg("--config-file").arg(scripts().join("schemathesis.toml")).args(arguments);
    command.current_dir(directory).envs(variables);
    let run =
        move || command.output().unwrap_or_else(|error| panic!("schemathesis does not start ({error}): run tests/run"));
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// Node looks for packages beside the script, and they are not in the repository but where tests/run put them.
pub fn beside_its_packages(name: &str) -> PathBuf {
    let packages = PathBuf::from(required("SAMESAKE_TEST_INTEROP"));
    for entry in std::fs::read_dir(scripts()).unwrap() {
        let script = entry.unwrap().path();
        if script.extension().is_some_and(|extension| extension == "mjs") {
            // Written aside and moved, because other tests and other runs do the same.
            let target = packages.join(script.file_name().unwrap());
            let aside = target.with_extension(format!("{}.new", samesake::secret::random_token()));
            std::fs::copy(&script, &aside).unwrap();
            std::fs::rename(&aside, &target).unwrap();
        }
    }
    packages.join(name)
}
