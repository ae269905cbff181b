//! Registered clients: what they may do, and the registry every replica holds in memory.
//!
//! The registry is rebuilt when the `clients` generation in the database rises; looking a client up costs no statement.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use url::Url;

use crate::protocol::client_metadata::{ApplicationType, ClientMetadata, GrantType, SubjectType};
use crate::protocol::scope::Scope;
use crate::secret;

/// A client with what is derived from its metadata.
#[derive(Clone, Debug)]
pub struct Client {
    pub metadata: ClientMetadata,
    pub scope: Scope,
    /// Clients of one sector share their subjects.
    pub sector: String,
    /// base64url(SHA-256) of the client secret; absent for public clients.
    pub secret_hash: Option<String>,
}

impl Client {
    /// From metadata whose form is already checked.
    pub fn new(metadata: ClientMetadata, secret_hash: Option<String>) -> Self {
        let scope = Scope::parse(&metadata.scope);
        let sector = metadata.sector.clone().unwrap_or_else(|| default_sector(&metadata));
        Self { metadata, scope, sector, secret_hash }
    }

    /// The client ID.
    pub fn id(&self) -> &str {
        &self.metadata.client_id
    }

    /// The name customers see.
    pub fn name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(&self.metadata.client_id)
    }

    /// Whether the client may use the grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant)
    }

    /// OpenID Connect Core §3.1.2.1: simple string comparison. RFC 8252 §7.3: a native client's loopback IP redirect
    /// URI may come with any port.
    pub fn owns_redirect_uri(&self, candidate: &str) -> bool {
        self.metadata.redirect_uris.iter().any(|registered| {
            registered == candidate
                || (self.metadata.application_type == ApplicationType::Native
                    && without_loopback_port(registered).is_some_and(|r| Some(r) == without_loopback_port(candidate)))
        })
    }

    /// The one redirect URI that may be left out of a request.
    pub fn only_redirect_uri(&self) -> Option<&str> {
        match self.metadata.redirect_uris.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// RP-Initiated Logout §3: exact match.
    pub fn owns_post_logout_redirect_uri(&self, candidate: &str) -> bool {
        self.metadata.post_logout_redirect_uris.iter().any(|registered| registered == candidate)
    }

    /// Where a customer finds the app: its registered home page.
    pub fn home(&self) -> Option<&str> {
        self.metadata.client_uri.as_deref()
    }

    /// Whether subjects are pairwise.
    pub fn is_pairwise(&self) -> bool {
        self.metadata.subject_type == SubjectType::Pairwise
    }
}

fn default_sector(metadata: &ClientMetadata) -> String {
    let first = metadata.redirect_uris.first().and_then(|uri| Url::parse(uri).ok());
    first.and_then(|uri| uri.host_str().map(str::to_owned)).unwrap_or_else(|| metadata.client_id.clone())
}

/// The text before and after the port of an `http` loopback IP URI. Textual, so that only the port may differ.
fn without_loopback_port(uri: &str) -> Option<(&'static str, &str)> {
    for host in ["http://127.0.0.1", "http://[::1]"] {
        let Some(rest) = uri.strip_prefix(host) else { continue };
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (port, path) = rest.split_at(path_at);
        let digits = port.strip_prefix(':').unwrap_or(port);
        if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() || !digits.is_empty()) {
            return Some((host, path));
        }
    }
    None
}

/// Every client of the installation: those of the configuration first, then those of the database.
#[derive(Clone, Debug, Default)]
pub struct ClientRegistry(Arc<RwLock<Arc<Clients>>>);

type Clients = HashMap<String, Arc<Client>>;

impl ClientRegistry {
    /// Replaces all clients. One of the configuration wins over one of the database with the same ID.
    pub fn replace(&self, configured: impl IntoIterator<Item = Client>, stored: impl IntoIterator<Item = Client>) {
        let clients = stored.into_iter().chain(configured).map(|c| (c.metadata.client_id.clone(), Arc::new(c)));
        let clients = Arc::new(clients.collect());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = clients;
    }

    /// The client of this ID.
    pub fn find(&self, client_id: &str) -> Option<Arc<Client>> {
        self.snapshot().get(client_id).cloned()
    }

    /// Clients that customers can go to, by name.
    pub fn with_home(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.snapshot().values().filter(|c| c.home().is_some()).cloned().collect();
        clients.sort_by(|a, b| a.name().cmp(b.name()));
        clients
    }

    /// Programs that administer customers, by name.
    pub fn with_admin_role(&self) -> Vec<Arc<Client>> {
        let administers = |client: &&Arc<Client>| client.metadata.admin_role.is_some();
        let mut clients: Vec<_> = self.snapshot().values().filter(administers).cloned().collect();
        clients.sort_by(|a, b| a.name().cmp(b.name()));
        clients
    }

    /// The clients that share this sector's subjects, by name.
    pub fn of_sector(&self, sector: &str) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.snapshot().values().filter(|c| c.sector == sector).cloned().collect();
        clients.sort_by(|a, b| a.name().cmp(b.name()));
        clients
    }

    /// Origins of registered redirect URIs: the browser apps that may read our answers (CORS).
    pub fn owns_origin(&self, origin: &str) -> bool {
        self.snapshot().values().flat_map(|c| &c.metadata.redirect_uris).any(|uri| {
            Url::parse(uri).is_ok_and(|uri| uri.origin().is_tuple() && uri.origin().ascii_serialization() == origin)
        })
    }

    fn snapshot(&self) -> Arc<Clients> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The form in which a client secret is stored. Client secrets are random, so a fast hash is right.
pub fn hash_client_secret(client_secret: &str) -> String {
    secret::token_hash(client_secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(application_type: ApplicationType, redirect_uri: &str) -> Client {
        let metadata = serde_json::json!({ "client_id": "app", "redirect_uris": [redirect_uri] });
        let mut metadata: ClientMetadata = serde_json::from_value(metadata).unwrap();
        metadata.application_type = application_type;
        Client::new(metadata, None)
    }

    #[test]
    fn a_redirect_uri_matches_only_exactly() {
        let client = client(ApplicationType::Web, "https://shop.example/cb");
        assert!(client.owns_redirect_uri("https://shop.example/cb"));
        for other in [
            "https://evil.example/cb",
            "https://a.shop.example/cb",
            "https://shop.example/cb/more",
            "https://shop.example/c",
            "https://shop.example/x/../cb",
            "https://shop.example/cb?a=b",
            "https://shop.example/cb#f",
            "https://user@shop.example/cb",
            "https://shop.example:443/cb",
            "https://shop.example:8443/cb",
            "https://SHOP.example/cb",
            "https://shop.example/CB",
            "https://shop.example/%63b",
            "https://shop.example%2Fcb",
            "https://shop.example./cb",
            "http://shop.example/cb",
            "https://shop.example/cb/",
            "",
        ] {
            assert!(!client.owns_redirect_uri(other), "{other} must not match");
        }
    }

    #[test]
    fn only_a_native_clients_loopback_ip_may_change_its_port() {
        let native = client(ApplicationType::Native, "http://127.0.0.1/cb");
        assert!(native.owns_redirect_uri("http://127.0.0.1:49152/cb"));
        for other in [
            "http://127.0.0.1:49152/other",
            "http://localhost:49152/cb",
            "https://127.0.0.1:49152/cb",
            "http://127.0.0.1:4915200/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:/cb",
            "http://[::1]:49152/cb",
        ] {
            assert!(!native.owns_redirect_uri(other), "{other} must not match");
        }
        assert!(!client(ApplicationType::Web, "http://127.0.0.1/cb").owns_redirect_uri("http://127.0.0.1:1/cb"));
        assert!(!client(ApplicationType::Native, "http://localhost/cb").owns_redirect_uri("http://localhost:49152/cb"));
    }
}
