//! `urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4): what a person allowed elsewhere becomes a session of
//! the device's own, which is listed and ended like any other.

use super::{Granted, authorization_code, without_browser};
use crate::clock::Timestamp;
use crate::ids::GrantId;
use crate::oidc::client::Client;
use crate::oidc::code::CodeRecord;
use crate::oidc::{Provider, authorize, device};
use crate::protocol::params::Params;
use crate::protocol::{ErrorCode, OAuthError};
use crate::session;

/// Redeems the device code of a token request.
///
/// # Errors
/// Those of RFC 8628 §3.5, `invalid_grant`, and `invalid_target` for a resource that was not authorized.
pub async fn redeem(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    let device_code = params.required("device_code")?;
    let redeemed = device::redeem(provider, client, device_code, now).await?;
    let resources = authorize::narrowed_resources(params, client, &redeemed.request.resources)?;
    let session = without_browser(provider, redeemed.customer, redeemed.authentication, now).await?;
    let (sid, request) = (session.sid.clone(), redeemed.request);
    let record = CodeRecord::of_session(client, session, request.scope.clone(), request.resources.clone(), now);
    let granted =
        authorization_code::grant(provider, client, &record, &resources, GrantId::of_code(device_code), now).await;
    if granted.is_err() {
        session::end(&provider.kv, &sid).await?;
    }
    if granted.as_ref().is_err_and(|error| error.code == ErrorCode::TemporarilyUnavailable) {
        // Nobody got anything for it. If the grant was written all the same, the next try finds it and gives nothing.
        device::give_back(&provider.kv, &request, now).await?;
    }
    granted
}
