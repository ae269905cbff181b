//! The return from a provider that posts its answer from its own page (response_mode=form_post, as Apple does).
//!
//! Browsers keep `SameSite=Lax` cookies back when another site posts a form, so the POST cannot tell which browser it
//! comes from. It decides nothing: its fields are kept, sealed, under a random key, and the browser is sent on to the
//! ordinary callback by a GET of our own, which brings the cookies. So no transaction cookie needs `SameSite=None`,
//! which http on loopback does not have and browsers treat ever more strictly. OAuth 2.0 Form Post Response Mode §2.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::connector::{Connector, ResponseMode};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::kv;
use crate::protocol::params::Params;
use crate::secret;

/// Long enough for a reload of the page that follows; `state` sees to it that the answer counts once.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// A code, a state and a name are far shorter.
const MAX_BYTES: usize = 16 * 1024;
/// The parameter that names what was posted.
const POSTED: &str = "posted";

/// The provider's form.
pub async fn post(
    State(app): State<App>,
    context: Context,
    Path(connector): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let connector = app.connectors.get(&connector).filter(|connector| posts(connector.as_ref()));
    let Some(connector) = connector.filter(|_| body.len() <= MAX_BYTES) else {
        return Ok(error::expired_page(&app, &context));
    };
    let id = secret::random_token();
    let sealed = app.secrets.posted.seal(connector.id().as_bytes(), &body);
    app.kv().set(&key(&id), sealed, LIFETIME).await?;
    Ok(Redirect::to(&format!("/callback/{}?{POSTED}={id}", connector.id())).into_response())
}

/// The provider's answer, from the address or from what was posted; empty if that is gone.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn answer(app: &App, connector: &dyn Connector, query: &[u8]) -> Result<Params, kv::Error> {
    let params = Params::parse(query);
    let Some(id) = params.get(POSTED).filter(|_| posts(connector)) else { return Ok(params) };
    let sealed = app.kv().get(&key(id)).await?;
    let body = sealed.and_then(|sealed| app.secrets.posted.open(connector.id().as_bytes(), &sealed));
    Ok(body.map(|body| Params::parse(&body)).unwrap_or_default())
}

fn posts(connector: &dyn Connector) -> bool {
    connector.response_mode() == ResponseMode::FormPost
}

fn key(id: &str) -> String {
    format!("posted:{}", secret::token_hash(id))
}
