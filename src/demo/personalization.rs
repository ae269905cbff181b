//! The personalization page and the proxy in front of it, in one.
//!
//! As proxy it asks the gateway's forward-auth about each request and passes `/.samesake/` on to the gateway; as page
//! it believes nothing but the signed identity that comes back, verified with the gateway's published keys
//! (spec/handoff.md rules 10 and 11).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use super::issuer::{Issuer, MAX_BYTES, Problem};
use super::pages::{PersonalizationPage, Recommendation, Statement};
use super::relying_party::Claims;
use super::{Urls, web};
use crate::http::context::Peer;
use crate::outbound::{Outbound, OutboundRequest, OutboundResponse};
use crate::secret;

/// The order in which a person wants to read the claims.
const CLAIMS: [&str; 12] =
    ["iss", "aud", "sub", "level", "acr", "amr", "auth_time", "sid", "version", "iat", "exp", "jti"];

/// The destination's name at the gateway.
pub(super) const AUDIENCE: &str = "personalization";

struct Personalization {
    issuer: Issuer,
    urls: Urls,
    outbound: Outbound,
}

/// The page's routes and the proxy's.
pub(super) fn router(issuer: Issuer, urls: &Urls, outbound: Outbound) -> Router {
    let state = Arc::new(Personalization { issuer, urls: urls.clone(), outbound });
    Router::new()
        .route("/", get(home))
        .route("/.samesake/{*path}", get(pass_on))
        .with_state(state)
        .merge(web::style_sheet())
}

async fn home(State(service): State<Arc<Personalization>>, request: Parts) -> Result<Response, Problem> {
    let identity = service.forward_auth(&request).await?;
    let (level, statement, problem) = match identity {
        None => (None, None, None),
        Some(jwt) => match service.issuer.verify::<Claims>(&jwt, "identity+jwt", AUDIENCE).await {
            Ok(claims) => (level(&claims), Some(service.statement(jwt, &claims)), None),
            Err(problem) => (None, None, Some(format!("The signed identity is not believed: {problem}."))),
        },
    };
    // Without a statement that can be believed, everybody is a stranger.
    let level = level.unwrap_or_else(|| "anonymous".to_owned());
    Ok(web::page(&service.page(level, statement, problem)))
}

/// The proxy's part of the app's domain.
async fn pass_on(State(service): State<Arc<Personalization>>, request: Parts) -> Result<Response, Problem> {
    let answer = service.ask(&request, wanted(&request)).await?;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    for hop_by_hop in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        response.headers_mut().remove(hop_by_hop);
    }
    Ok(response)
}

impl Personalization {
    /// The signed identity of a request's browser.
    async fn forward_auth(&self, request: &Parts) -> Result<Option<String>, Problem> {
        let answer = self.ask(request, &format!("/forward-auth/{AUDIENCE}")).await?;
        if !answer.status.is_success() {
            return Err(Problem::Status { what: "forward-auth", status: answer.status });
        }
        let identity = answer.headers.get("samesake-identity").and_then(|value| value.to_str().ok());
        Ok(identity.map(str::to_owned))
    }

    /// Asks the gateway in the browser's name: its cookies, and where it wanted to go.
    async fn ask(&self, request: &Parts, path: &str) -> Result<OutboundResponse, Problem> {
        let url = Url::parse(&format!("{}{path}", self.urls.gateway));
        let url = url.map_err(|_| Problem::Unreadable("the path"))?;
        let mut headers = HeaderMap::new();
        for name in [COOKIE, HOST] {
            let forwarded = if name == HOST { HeaderName::from_static("x-forwarded-host") } else { name.clone() };
            headers.extend(request.headers.get_all(&name).iter().map(|value| (forwarded.clone(), value.clone())));
        }
        headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
        let peer = request.extensions.get::<Peer>().map(|peer| peer.0.ip().to_string()).unwrap_or_default();
        for (name, value) in [("x-forwarded-uri", wanted(request)), ("x-forwarded-for", peer.as_str())] {
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (HeaderName::from_static(name), value)));
        }
        let body = axum::body::Bytes::new();
        let request = OutboundRequest { method: Method::GET, url, headers, body, max_bytes: MAX_BYTES };
        Ok(self.outbound.send(request).await?)
    }

    fn statement(&self, jwt: String, claims: &Claims) -> Statement {
        let number = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
        let left = number("exp").saturating_sub(self.issuer.now().seconds());
        let lifetime = number("exp").saturating_sub(number("iat"));
        Statement {
            header: header(&jwt).map(|header| indented(&header, &["typ", "alg", "kid"])).unwrap_or_default(),
            claims: indented(claims, &CLAIMS),
            seconds_left: u64::try_from(left).unwrap_or(0),
            lifetime: u64::try_from(lifetime).unwrap_or(0),
            jwt,
        }
    }

    fn page(&self, level: String, statement: Option<Statement>, problem: Option<String>) -> PersonalizationPage {
        let here = format!("{}/", self.urls.personalization);
        let start = Url::parse_with_params(&format!("{here}.samesake/{AUDIENCE}/start"), [("rd", &here)]);
        let known = level != "anonymous";
        PersonalizationPage {
            nav: web::nav(&self.urls, "Personalization"),
            greeting: if known { "Welcome back" } else { "Hello, whoever you are" }.to_owned(),
            sign_in: start.ok().filter(|_| !known).map(String::from),
            recommendations: recommendations(known),
            refreshed_at: time_of_day(self.issuer.now().seconds()),
            level,
            statement,
            problem,
        }
    }
}

/// The path and query that the browser asked for.
fn wanted(request: &Parts) -> &str {
    request.uri.path_and_query().map_or("/", |path| path.as_str())
}

fn level(claims: &Claims) -> Option<String> {
    claims.get("level").and_then(Value::as_str).map(str::to_owned)
}

/// The protected header of a verified JWT, for the page to show.
fn header(jwt: &str) -> Option<Claims> {
    serde_json::from_slice(&secret::from_base64url(jwt.split('.').next()?)?).ok()
}

/// JSON for people: one member on each line, those named in `order` first and in that order.
fn indented(members: &Claims, order: &[&str]) -> String {
    let mut names: Vec<&String> = members.keys().collect();
    names.sort_by_key(|name| order.iter().position(|known| known == name).unwrap_or(order.len()));
    let lines: Vec<String> = names
        .into_iter()
        .filter_map(|name| Some(format!("  {}: {}", Value::from(name.as_str()), members.get(name)?)))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

fn recommendations(known: bool) -> Vec<Recommendation> {
    let picks = if known {
        [
            ("Gaiters for the Grat boot", "goes with your last order"),
            ("Hut map, eastern ridge", "you read: Eleven days on foot"),
            ("Stube lantern", "still in your basket"),
        ]
    } else {
        [
            ("Kiefer 2 tent", "popular this week"),
            ("Stube lantern", "popular this week"),
            ("Almweg 38 pack", "new in autumn"),
        ]
    };
    picks.map(|(title, reason)| Recommendation { title: title.to_owned(), reason: reason.to_owned() }).into()
}

fn time_of_day(seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = date.and_then(|date| date.format(format_description!("[hour]:[minute]:[second] UTC")).ok());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_shown_in_the_order_people_read_them() {
        let Value::Object(claims) = serde_json::json!({ "amr": ["pwd"], "x": 1, "sub": "s", "iss": "i" }) else {
            panic!("not an object");
        };
        let shown = indented(&claims, &CLAIMS);
        assert_eq!(shown, "{\n  \"iss\": \"i\",\n  \"sub\": \"s\",\n  \"amr\": [\"pwd\"],\n  \"x\": 1\n}");
    }
}
