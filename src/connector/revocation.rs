//! Giving a token back to the provider that issued it (RFC 7009): at the revocation endpoint of its metadata.
//!
//! Apple asks for it when a customer's account is deleted, and whoever disconnects an account expects it. It must not
//! know whose token it is, nor where it was kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use url::{Url, form_urlencoded};

use super::ConnectorError;
use super::discovery::DOCUMENT_BYTES;
use crate::config::{ConnectorAuthMethod, ConnectorConfig};
use crate::outbound::{HeaderMap, Method, Outbound, OutboundRequest, header};
use crate::secret::Secret;

/// Revokes a refresh token. One that is revoked already is no error (§2.2).
///
/// # Errors
/// [`ConnectorError::Unavailable`] if it is worth another try.
pub(super) async fn revoke(
    outbound: &Outbound,
    endpoint: Url,
    config: &ConnectorConfig,
    client_secret: &Secret<String>,
    token: &Secret<String>,
) -> Result<(), ConnectorError> {
    let mut fields = vec![("token", token.expose().as_str()), ("token_type_hint", "refresh_token")];
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
    match config.auth_method() {
        ConnectorAuthMethod::ClientSecretPost => {
            fields
                .extend([("client_id", config.client_id.as_str()), ("client_secret", client_secret.expose().as_str())]);
        }
        ConnectorAuthMethod::ClientSecretBasic => {
            // RFC 6749 §2.3.1: both are form-encoded inside HTTP Basic.
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&config.client_id), encoded(client_secret.expose()));
            let basic = header::HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
            let mut basic = basic.map_err(|_| ConnectorError::invalid("the client secret is not a text"))?;
            basic.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, basic);
        }
    }
    let body = Bytes::from(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish());
    let request = OutboundRequest { method: Method::POST, url: endpoint, headers, body, max_bytes: DOCUMENT_BYTES };
    let status = outbound.send(request).await?.status;
    match status.as_u16() {
        200..=299 => Ok(()),
        429 | 500..=599 => Err(ConnectorError::Unavailable { reason: format!("status {}", status.as_u16()) }),
        _ => Err(ConnectorError::invalid("the provider refuses to revoke the token")),
    }
}
