//! The shape of the source, held by a test: which module may name what, how long a file may be, and that the two
//! databases have the same migrations.
//!
//! It reads files, not types: comments and string literals are blanked first (`source`), then paths are searched in
//! what is left. The rules are those of src/ARCHITECTURE.md.

mod connectors;
mod schema;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;

use source::{Source, files_below};

/// All that is to be seen at the top of the repository.
const TOP_LEVEL: &[&str] =
    &["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "config", "docker-compose.yml", "migrations", "src", "tests"];

/// An outside crate and the places that may name it; everywhere else goes through what they offer.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("axum", &["src/http/", "src/serve.rs", "src/demo"]),
    ("axum_extra", &["src/http/", "src/serve.rs", "src/demo"]),
    ("tower", &["src/http/", "src/serve.rs", "src/demo"]),
    ("tower_http", &["src/http/", "src/serve.rs", "src/demo"]),
    ("hyper", &["src/http/", "src/serve.rs", "src/demo"]),
    ("hyper_util", &["src/http/", "src/serve.rs", "src/demo"]),
    ("tower_sessions", &["src/http/"]),
    ("sqlx", &["src/store/"]),
    ("redis", &["src/kv/redis.rs"]),
    ("openidconnect", &["src/connector/"]),
    ("reqwest", &["src/outbound.rs"]),
    ("jsonwebtoken", &["src/keys/"]),
    ("argon2", &["src/credential/password"]),
    ("webauthn_rs", &["src/credential/passkey"]),
    ("lettre", &["src/mail/"]),
];

/// Reading the clock or the random source, and who may: clock.rs, and keys/ for making key pairs.
const AMBIENT: &[(&str, &[&str])] = &[
    ("SystemTime::now", &["src/clock.rs"]),
    ("now_utc", &["src/clock.rs"]),
    ("now_local", &["src/clock.rs"]),
    ("Utc::now", &["src/clock.rs"]),
    ("now_v7", &["src/clock.rs"]),
    ("new_v4", &["src/clock.rs"]),
    ("rand::fill", &["src/clock.rs"]),
    ("getrandom", &["src/clock.rs"]),
    ("thread_rng", &["src/clock.rs"]),
    ("OsRng", &["src/clock.rs"]),
    ("SystemRandom", &["src/clock.rs", "src/keys/"]),
];

/// What `protocol` may be made of: it is the words of the specifications, and knows nothing that runs.
const PROTOCOL_MAY_USE: &[&str] = &["std", "core", "serde", "serde_json", "url", "time", "self", "super", "crate"];

/// The modules every other may use and that use none but each other.
const PURE: &[&str] = &["protocol", "ids", "clock", "secret"];

/// The surface. Nothing below may know it.
const SURFACE: &[&str] = &["http", "serve", "app", "cli", "demo"];

/// Everything below the surface.
const BELOW: &[&str] = &[
    "oidc",
    "identity",
    "credential",
    "session",
    "handoff",
    "board",
    "events",
    "store",
    "kv",
    "keys",
    "connector",
    "mail",
    "config",
    "outbound",
    "protocol",
    "ids",
    "clock",
    "secret",
];

/// No file is longer.
const LINES: usize = 600;

/// Stand-ins whose slowness is what a test is about.
const SLOW_ON_PURPOSE: &[&str] = &["tests/it/harness/upstream/faults.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<Source> {
    let sources: Vec<Source> =
        files_below(&root(), folder, &["rs"]).iter().map(|path| Source::read(&root(), path)).collect();
    assert!(!sources.is_empty(), "{folder} has no Rust files");
    sources
}

fn fail_on(faults: &[String]) {
    assert!(faults.is_empty(), "{} fault(s):\n{}", faults.len(), faults.join("\n"));
}

fn is_below(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// The top-level module a file belongs to: `src/store/links.rs` and `src/store.rs` are both `store`.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    let found = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // What git ignores may lie there, and what begins with a dot is not seen.
    let seen = found.filter(|name| !name.starts_with('.') && !["target", "samesake-data"].contains(&name.as_str()));
    assert_eq!(seen.collect::<BTreeSet<_>>(), TOP_LEVEL.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn protocol_is_pure() {
    let mut faults = Vec::new();
    for source in rust_files("src").iter().filter(|source| source.path.starts_with("src/protocol/")) {
        for (line, used) in source.use_roots() {
            if !PROTOCOL_MAY_USE.contains(&used.as_str()) {
                faults.push(format!("{}:{line}: protocol may not use {used}", source.path));
            }
        }
        for name in ["axum", "sqlx", "tokio", "redis", "reqwest", "tracing"] {
            faults
                .extend(source.lines_naming(name).map(|line| format!("{}:{line}: protocol names {name}", source.path)));
        }
    }
    for source in rust_files("src").iter().filter(|source| PURE.contains(&module_of(&source.path))) {
        for (line, module) in source.crate_modules() {
            if !PURE.contains(&module.as_str()) {
                faults.push(format!("{}:{line}: a pure module knows crate::{module}", source.path));
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn nothing_below_knows_the_surface() {
    let mut faults = Vec::new();
    for source in rust_files("src").iter().filter(|source| BELOW.contains(&module_of(&source.path))) {
        for (line, module) in source.crate_modules() {
            if SURFACE.contains(&module.as_str()) {
                faults.push(format!("{}:{line}: knows crate::{module}", source.path));
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn each_outside_crate_is_named_in_one_place() {
    let mut faults = Vec::new();
    for source in rust_files("src") {
        for (name, places) in KEPT_TO.iter().filter(|(_, places)| !is_below(&source.path, places)) {
            let lines = source.lines_naming(name);
            faults.extend(lines.map(|line| format!("{}:{line}: {name} is kept to {}", source.path, places.join(", "))));
        }
    }
    fail_on(&faults);
}

#[test]
fn time_and_randomness_come_from_the_clock() {
    let mut faults = Vec::new();
    for source in rust_files("src") {
        for (name, places) in AMBIENT.iter().filter(|(_, places)| !is_below(&source.path, places)) {
            let lines = source.lines_with(name);
            faults.extend(
                lines.map(|line| format!("{}:{line}: {name} is read in {} only", source.path, places.join(", "))),
            );
        }
    }
    fail_on(&faults);
}

#[test]
fn no_file_is_too_long() {
    let mut faults = Vec::new();
    for folder in ["src", "tests"] {
        for path in files_below(&root(), folder, &["rs", "html", "css", "js", "mjs", "py"]) {
            let lines = std::fs::read_to_string(root().join(&path)).unwrap().lines().count();
            if lines > LINES {
                faults.push(format!("{path}: {lines} lines, {LINES} are the limit"));
            }
        }
    }
    fail_on(&faults);
}

#[test]
fn every_file_says_what_it_is() {
    let mut faults = Vec::new();
    for source in rust_files("src").into_iter().chain(rust_files("tests")) {
        // The crate's documentation is the architecture, a file of its own.
        if !source.text.starts_with("//! ") && !source.text.starts_with("#![doc = include_str!") {
            faults.push(format!("{}: does not begin with a module doc", source.path));
        }
    }
    fail_on(&faults);
}

#[test]
fn nothing_is_silenced_or_unfinished() {
    let mut faults = Vec::new();
    for source in rust_files("src").into_iter().chain(rust_files("tests")) {
        for words in ["#[allow", "#![allow", "#[ignore", "todo!", "unimplemented!", "dbg!"] {
            faults.extend(source.lines_with(words).map(|line| format!("{}:{line}: {words}", source.path)));
        }
    }
    fail_on(&faults);
}

/// A test waits for what it needs to see; time is moved by the clock.
#[test]
fn no_test_sleeps() {
    let mut faults = Vec::new();
    let unit_tests = rust_files("src").into_iter().filter(|source| source.path.ends_with("tests.rs"));
    let all = rust_files("tests").into_iter().chain(unit_tests);
    for source in all.filter(|source| !SLOW_ON_PURPOSE.contains(&source.path.as_str())) {
        faults.extend(source.lines_with("sleep(").map(|line| format!("{}:{line}: sleeps", source.path)));
    }
    fail_on(&faults);
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |folder: &str| -> BTreeSet<String> {
        let files = files_below(&root(), folder, &["sql"]);
        files.iter().map(|path| path.trim_start_matches(folder).to_owned()).collect()
    };
    let (postgres, sqlite) = (names("migrations/postgres"), names("migrations/sqlite"));
    assert!(!postgres.is_empty(), "no migrations found");
    assert_eq!(postgres, sqlite);
}

/// `| identity 7 | the rule in our own words | test_function |`: a row whose test is gone is a promise nobody keeps.
#[test]
fn every_listed_rule_has_its_test() {
    let listed = std::fs::read_to_string(root().join("tests/RULES.md")).unwrap();
    let mut sources: Vec<Source> = rust_files("tests").into_iter().chain(rust_files("src")).collect();
    sources.retain(|source| !source.path.starts_with("tests/it/harness/"));
    let tests: BTreeSet<&str> = sources.iter().flat_map(Source::functions).collect();
    let mut faults = Vec::new();
    let mut rows = 0;
    for (number, row) in listed.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [rule, words, named] = cells.as_slice() else {
            faults.push(format!("tests/RULES.md:{}: not three columns", number + 1));
            continue;
        };
        if *rule == "Rule" || rule.chars().all(|mark| mark == '-' || mark == ':') {
            continue;
        }
        rows += 1;
        if words.is_empty() || named.is_empty() {
            faults.push(format!("tests/RULES.md:{}: rule {rule} says too little", number + 1));
        }
        for test in named.split(',').map(|name| name.trim().trim_matches('`')) {
            let function = test.rsplit("::").next().unwrap_or(test);
            if !tests.contains(function) {
                faults.push(format!("tests/RULES.md:{}: rule {rule} names {test}, which is no test", number + 1));
            }
        }
    }
    assert!(rows > 0, "tests/RULES.md lists no rules");
    fail_on(&faults);
}

/// The checks above read text; this shows that they see what they are for and nothing else.
#[test]
fn a_path_is_found_where_it_is_named_and_nowhere_else() {
    let source = Source::new(
        "src/x.rs",
        "//! axum::Router\n\
         use axum::Router;\n\
         use crate::kv::redis::Backend;\n\
         let text = \"sqlx::query\"; let c = '\"'; let r = r#\"sqlx::query \" \"#;\n\
         fn f<'a>(x: &'a sqlx::Row) {} // redis::Client\n\
         /* redis::a /* nested */ redis::b */ let hyperspace = my_redis::x;\n\
         use {reqwest, url::Url};\n",
    );
    assert_eq!(source.lines_naming("axum").collect::<Vec<_>>(), [2]);
    assert_eq!(source.lines_naming("sqlx").collect::<Vec<_>>(), [5]);
    assert_eq!(source.lines_naming("redis").count(), 0);
    assert_eq!(source.lines_naming("hyper").count(), 0);
    assert_eq!(source.lines_naming("reqwest").collect::<Vec<_>>(), [7]);
    assert_eq!(source.crate_modules().collect::<Vec<_>>(), [(3, "kv".to_owned())]);
    assert_eq!(source.functions().collect::<Vec<_>>(), ["f"]);

    let own_module = Source::new("src/kv/mod.rs", "mod redis;\nlet b = redis::Backend;\nuse ::redis::Client;\n");
    assert_eq!(own_module.lines_naming("redis").collect::<Vec<_>>(), [3]);
}
