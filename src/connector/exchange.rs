//! The code for tokens: what every kind of connector does alike, and what providers make of RFC 6749 §5.
//!
//! The libraries hold providers to the letter of the RFC. Some answer refusals with status 200, or in a form of their
//! own; that is set right here, before the library reads it. Nothing of an answer but an error code ever leaves.

use std::future::Future;
use std::pin::Pin;

use oauth2::basic::BasicErrorResponse;
use oauth2::http::HeaderValue;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, RequestTokenError};
use serde_json::{Map, Value};
use url::Url;

use super::discovery::DOCUMENT_BYTES;
use super::{ConnectorError, PendingUpstream, UpstreamCallback};
use crate::outbound::{Outbound, OutboundError, OutboundRequest, StatusCode, header};

const MAX_CODE_BYTES: usize = 4096;

/// What providers call a customer who said no: RFC 6749 §4.1.2.1, then Apple and LinkedIn.
const DENIALS: [&str; 3] = ["access_denied", "user_cancelled_authorize", "user_cancelled_login"];

/// The code of a callback that belongs to this login.
pub(super) fn code_or_error(callback: &UpstreamCallback) -> Result<String, ConnectorError> {
    match (&callback.error, &callback.code) {
        (Some(error), _) => Err(match error.as_str() {
            denial if DENIALS.contains(&denial) => ConnectorError::Denied,
            "server_error" | "temporarily_unavailable" => ConnectorError::Unavailable { reason: error.clone() },
            code => ConnectorError::provider(code),
        }),
        (None, Some(code)) if !code.is_empty() && code.len() <= MAX_CODE_BYTES => Ok(code.clone()),
        _ => Err(ConnectorError::invalid("the callback has no code")),
    }
}

/// RFC 9700 §4.4: a login begun at one provider is not finished at another.
pub(super) fn check_begun_here(pending: &PendingUpstream, connector: &str) -> Result<(), ConnectorError> {
    if pending.connector == connector {
        return Ok(());
    }
    Err(ConnectorError::invalid("the login was begun at another provider"))
}

/// The library's error carries the whole answer, tokens included: nothing of it is passed on but an error code.
pub(super) fn refused_exchange(error: RequestTokenError<ExchangeError, BasicErrorResponse>) -> ConnectorError {
    match error {
        RequestTokenError::ServerResponse(answer) => ConnectorError::provider(answer.error().as_ref()),
        RequestTokenError::Request(ExchangeError::Outbound(error)) => error.into(),
        RequestTokenError::Request(ExchangeError::Status(status)) => {
            ConnectorError::Unavailable { reason: format!("the token endpoint answered with status {status}") }
        }
        _ => ConnectorError::invalid("the token endpoint's answer cannot be read"),
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("status {0}")]
    Status(u16),
}

/// The library's way to our HTTP client.
pub(super) struct TokenEndpoint<'a>(pub(super) &'a Outbound);

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = ExchangeError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ExchangeError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = Url::parse(&parts.uri.to_string()).map_err(|_| OutboundError::Refused {
                host: String::new(),
                reason: "the token endpoint is not a URL",
            })?;
            let request = OutboundRequest {
                method: parts.method,
                url,
                headers: parts.headers,
                body: body.into(),
                max_bytes: DOCUMENT_BYTES,
            };
            let response = self.0.send(request).await?;
            // Overload and failures are not answers of OAuth, whatever their body says.
            if response.status.is_server_error() || response.status == StatusCode::TOO_MANY_REQUESTS {
                return Err(ExchangeError::Status(response.status.as_u16()));
            }
            let mut headers = response.headers;
            let (status, body) = match set_right(response.status, &response.body) {
                Some((status, body)) => {
                    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    (status, body)
                }
                None => (response.status, response.body.into()),
            };
            let mut answer = HttpResponse::new(body);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }
}

/// The answer as RFC 6749 §5 words it, where the provider words it otherwise; `None` if there is nothing to mend.
fn set_right(status: StatusCode, body: &[u8]) -> Option<(StatusCode, Vec<u8>)> {
    let mut answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    if let Some(code) = answer.get("error").and_then(error_code) {
        // §5.2: a refusal is answered with 400. GitHub answers with 200, Facebook with an object.
        let status = if status == StatusCode::OK { StatusCode::BAD_REQUEST } else { status };
        return Some((status, Value::Object(Map::from_iter([("error".to_owned(), code.into())])).to_string().into()));
    }
    // §5.1 requires it; LinkedIn leaves it out.
    if status == StatusCode::OK && answer.contains_key("access_token") && !answer.contains_key("token_type") {
        answer.insert("token_type".to_owned(), "bearer".into());
        return Some((status, Value::Object(answer).to_string().into()));
    }
    None
}

/// The error code of an `error` member: text, or an object as Facebook's Graph API has it.
pub(super) fn error_code(error: &Value) -> Option<String> {
    match error {
        Value::String(code) => Some(code.clone()),
        Value::Object(error) => {
            let kind = error.get("type").and_then(Value::as_str).unwrap_or("error");
            let code = error.get("code").and_then(Value::as_i64);
            Some(code.map_or_else(|| kind.to_owned(), |code| format!("{kind}.{code}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn callback(code: Option<&str>, error: Option<&str>) -> UpstreamCallback {
        UpstreamCallback {
            code: code.map(str::to_owned),
            error: error.map(str::to_owned),
            ..UpstreamCallback::default()
        }
    }

    #[test]
    fn an_error_wins_over_a_code_and_only_plain_codes_are_repeated() {
        assert_eq!(code_or_error(&callback(Some("c"), None)), Ok("c".to_owned()));
        for denial in DENIALS {
            assert_eq!(code_or_error(&callback(Some("c"), Some(denial))), Err(ConnectorError::Denied));
        }
        let provider = |code: &str| Err(ConnectorError::Provider { code: code.to_owned() });
        assert_eq!(code_or_error(&callback(None, Some("login_required"))), provider("login_required"));
        assert_eq!(code_or_error(&callback(None, Some("<script>"))), provider("unreadable"));
        assert_eq!(code_or_error(&callback(None, Some(""))), provider("unreadable"));
        let unavailable = ConnectorError::Unavailable { reason: "temporarily_unavailable".to_owned() };
        assert_eq!(code_or_error(&callback(None, Some("temporarily_unavailable"))), Err(unavailable));
        for code in [None, Some(""), Some("c".repeat(MAX_CODE_BYTES + 1).as_str())] {
            assert!(matches!(code_or_error(&callback(code, None)), Err(ConnectorError::Invalid { .. })));
        }
    }

    #[test]
    fn refusals_in_another_form_are_refusals() {
        let mended = |status: StatusCode, body: Value| {
            let (status, body) = set_right(status, body.to_string().as_bytes())?;
            Some((status.as_u16(), serde_json::from_slice::<Value>(&body).unwrap()))
        };
        let github = json!({"error": "bad_verification_code", "error_description": "…", "error_uri": "…"});
        assert_eq!(mended(StatusCode::OK, github), Some((400, json!({"error": "bad_verification_code"}))));
        let facebook = json!({"error": {"message": "…", "type": "OAuthException", "code": 100, "fbtrace_id": "…"}});
        let told = Some((400, json!({"error": "OAuthException.100"})));
        assert_eq!(mended(StatusCode::BAD_REQUEST, facebook), told);
        let refused = json!({"error": "invalid_client"});
        assert_eq!(mended(StatusCode::UNAUTHORIZED, refused.clone()), Some((401, refused)));
        assert_eq!(mended(StatusCode::OK, json!({"access_token": "a", "token_type": "Bearer"})), None);
        let linkedin = json!({"access_token": "a", "expires_in": 5});
        let told = json!({"access_token": "a", "expires_in": 5, "token_type": "bearer"});
        assert_eq!(mended(StatusCode::OK, linkedin), Some((200, told)));
        assert_eq!(set_right(StatusCode::OK, b"<html>"), None);
    }
}
