//! `[[clients]]`: OAuth clients registered by configuration, in the words of RFC 7591.
//!
//! The same checks serve the `client put` command. The hash of the secret is made where clients are registered.

use std::collections::BTreeSet;
use std::path::PathBuf;

use url::Url;

use super::forms;
use super::problem::Problems;
use super::secret_file::SecretFiles;
use crate::ids::is_subject_like;
use crate::protocol::client_metadata::{
    ApplicationType, ClientMetadata, GrantType, SubjectType, TokenEndpointAuthMethod,
};
use crate::secret::Secret;

const REDIRECT_FORM: &str = "an absolute URI without fragment: https, http on loopback, or a private-use scheme such as \
                             com.example.app:/callback (native clients)";

/// One `[[clients]]` table: the metadata, and the secret beside it.
#[derive(Clone, Debug)]
pub struct ConfiguredClient {
    pub metadata: ClientMetadata,
    /// After loading it also holds what `client_secret_file` said.
    pub client_secret: Option<Secret<String>>,
    pub client_secret_file: Option<PathBuf>,
}

impl ConfiguredClient {
    pub(super) fn resolve(&mut self, key: &str, files: &SecretFiles, problems: &mut Problems) {
        let key = format!("{key}.client_secret");
        let path = self.client_secret_file.as_deref();
        self.client_secret = files.fill(&key, self.client_secret.take(), path, problems);
    }

    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        check_metadata(&self.metadata, key, problems);
        let public = self.metadata.token_endpoint_auth_method == TokenEndpointAuthMethod::None;
        let key = format!("{key}.client_secret");
        match &self.client_secret {
            Some(_) if public => {
                let expected = "no secret, or another token_endpoint_auth_method";
                problems.add(key, "is set, but token_endpoint_auth_method is \"none\"", expected);
            }
            Some(secret) if secret.expose().is_empty() => {
                problems.add(key, "is empty", "a long random text, made by: openssl rand -base64 32");
            }
            None if !public => {
                let expected = "client_secret, client_secret_file, or token_endpoint_auth_method = \"none\"";
                problems.add(key, "is missing", expected);
            }
            _ => {}
        }
    }
}

/// Reports everything wrong with one client; `key` is what stands before the name of the member.
pub fn check_metadata(client: &ClientMetadata, key: &str, problems: &mut Problems) {
    let at = |member: &str| format!("{key}.{member}");
    // RFC 6749 Appendix A.1 allows all of VSCHAR; a space would break HTTP Basic in practice.
    if client.client_id.is_empty()
        || client.client_id.len() > 255
        || !client.client_id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        problems.add(at("client_id"), "is no client ID", "1 to 255 printable ASCII characters without spaces");
    }
    if is_subject_like(&client.client_id) {
        let problem = "looks like a customer's subject, which it would be taken for in the client's own tokens";
        problems.add(at("client_id"), problem, "another text, such as the app's name");
    }
    check_redirects(client, key, problems);
    check_grants(client, key, problems);
    for token in client.scope.split(' ').filter(|token| !token.is_empty()) {
        // RFC 6749 §3.3: scope-token.
        if !token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            problems.add(at("scope"), format!("`{token}` is no scope"), "scopes separated by spaces");
        }
    }
    for (member, uri) in [
        ("logo_uri", &client.logo_uri),
        ("policy_uri", &client.policy_uri),
        ("tos_uri", &client.tos_uri),
        ("client_uri", &client.client_uri),
    ] {
        if let Some(uri) = uri
            && !Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        {
            problems.add(at(member), format!("`{uri}` is no web address"), "an https URL");
        }
    }
    for (index, resource) in client.resources.iter().enumerate() {
        // RFC 8707 §2: an absolute URI without fragment.
        if !Url::parse(resource).is_ok_and(|url| url.fragment().is_none()) {
            let expected = "an absolute URI without fragment, such as https://api.example.com";
            problems.add(at(&format!("resources[{index}]")), format!("`{resource}` is no resource"), expected);
        }
    }
}

fn check_redirects(client: &ClientMetadata, key: &str, problems: &mut Problems) {
    for (member, uris) in
        [("redirect_uris", &client.redirect_uris), ("post_logout_redirect_uris", &client.post_logout_redirect_uris)]
    {
        for (index, uri) in uris.iter().enumerate() {
            if let Err(problem) = redirect_problem(uri, client.application_type) {
                problems.add(format!("{key}.{member}[{index}]"), format!("`{uri}` {problem}"), REDIRECT_FORM);
            }
        }
    }
    let by_code = client.grant_types.contains(&GrantType::AuthorizationCode);
    if by_code && client.redirect_uris.is_empty() {
        let problem = "is missing, and grant_types holds authorization_code";
        problems.add(format!("{key}.redirect_uris"), problem, "at least one redirect URI");
    }
    // OpenID Connect Core §8.1: hosts that differ need a declared sector.
    let hosts: BTreeSet<_> =
        client.redirect_uris.iter().filter_map(|uri| Some(Url::parse(uri).ok()?.host_str()?.to_owned())).collect();
    if client.subject_type == SubjectType::Pairwise && client.sector.is_none() && hosts.len() > 1 {
        let problem = "is missing, and the redirect URIs of this pairwise client have several hosts";
        problems.add(format!("{key}.sector"), problem, "the name shared by the clients of one sector");
    }
}

fn check_grants(client: &ClientMetadata, key: &str, problems: &mut Problems) {
    let public = client.token_endpoint_auth_method == TokenEndpointAuthMethod::None;
    if client.grant_types.is_empty() {
        problems.add(
            format!("{key}.grant_types"),
            "is empty",
            "at least one of authorization_code, client_credentials",
        );
    }
    // RFC 6749 §4.4: only confidential clients.
    if public && client.grant_types.contains(&GrantType::ClientCredentials) {
        let expected = "authorization_code, refresh_token, or a client with a secret";
        problems.add(format!("{key}.grant_types"), "client_credentials needs a client secret", expected);
    }
    if client.grant_types.contains(&GrantType::RefreshToken)
        && !client.grant_types.contains(&GrantType::AuthorizationCode)
        && !client.grant_types.contains(&GrantType::TokenExchange)
    {
        let problem = "refresh_token without authorization_code leads nowhere";
        problems.add(format!("{key}.grant_types"), problem, "authorization_code or token exchange beside it");
    }
    if !client.upstream_tokens.is_empty() && (public || !client.grant_types.contains(&GrantType::TokenExchange)) {
        let problem = "is for clients with a secret that may exchange tokens";
        let expected = format!("a secret, and grant_types with \"{}\"", GrantType::TokenExchange.as_str());
        problems.add(format!("{key}.upstream_tokens"), problem, expected);
    }
    if client.admin_role.is_some() && !client.grant_types.contains(&GrantType::ClientCredentials) {
        let problem = "is set for a client that never acts for itself";
        let expected = "grant_types with client_credentials, or no role: people have roles of their own";
        problems.add(format!("{key}.admin_role"), problem, expected);
    }
    // RFC 9700 §2.1.1: public clients must use PKCE.
    if public && !client.require_pkce {
        let problem = "is off for a public client";
        problems.add(format!("{key}.require_pkce"), problem, "true, or a client with a secret");
    }
}

/// RFC 9700 §2.1, RFC 8252 §7: what may be registered as a place to return to.
fn redirect_problem(uri: &str, application: ApplicationType) -> Result<(), &'static str> {
    if uri.contains('*') {
        return Err("holds a wildcard");
    }
    // The comparison is byte for byte, so nothing may be there that a parser would drop.
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) || uri.contains('\\') {
        return Err("holds a character that is not allowed");
    }
    let url = Url::parse(uri).map_err(|_| "is not an absolute URI")?;
    if uri.contains('#') {
        return Err("has a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if forms::is_loopback(&url) => Ok(()),
        "http" => Err("is http outside loopback"),
        // RFC 8252 §7.1: a scheme under a domain name the app's maker controls.
        scheme if application == ApplicationType::Native && scheme.contains('.') => Ok(()),
        _ => Err("has a scheme that is not allowed"),
    }
}
