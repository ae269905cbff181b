//! An OpenID Provider is configuration only, and an OAuth 2.0 server that does things its own way is a small file: what
//! is the same for all stays where it is written once.

use super::{fail_on, rust_files};

/// The longest file of one provider, with its tests.
const LINES: usize = 150;

/// What every connector of a protocol does.
const WHOLE_PROTOCOLS: &[&str] = &["src/connector/oidc.rs", "src/connector/oauth2.rs"];

#[test]
fn a_provider_of_its_own_kind_is_a_small_file() {
    let mut faults = Vec::new();
    let mut providers = 0;
    for source in rust_files("src/connector").iter().filter(|source| !WHOLE_PROTOCOLS.contains(&source.path.as_str())) {
        let is_provider = ["impl OAuth2Provider for", "impl OidcProvider for"]
            .iter()
            .any(|words| source.lines_with(words).next().is_some());
        let lines = source.text.lines().count();
        providers += usize::from(is_provider);
        if is_provider && lines > LINES {
            faults.push(format!("{}: {lines} lines, {LINES} are the limit for one provider", source.path));
        }
    }
    assert!(providers >= 8, "{providers} files of providers were found");
    fail_on(&faults);
}

/// Only the kinds that need a file have one: an OpenID Provider that keeps to the specification is built from its
/// configuration alone.
#[test]
fn a_plain_openid_provider_has_no_file() {
    let oidc = rust_files("src/connector").into_iter().find(|source| source.path == WHOLE_PROTOCOLS[0]).unwrap();
    let own_way: Vec<&str> = oidc.text.lines().filter(|line| line.starts_with("impl OidcProvider for")).collect();
    assert_eq!(own_way, ["impl OidcProvider for Standard {}"], "the defaults of the trait are the specification");
}
