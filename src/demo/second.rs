//! The second app, Fernweh Magazine: asks the gateway at the first visit, so that the shop's customer is signed in here
//! without being asked.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use axum_extra::extract::CookieJar;

use super::client_app::{self, ClientApp, Visitor};
use super::issuer::Problem;
use super::pages::SecondPage;
use super::{Urls, web};
use crate::protocol::params::Params;

struct Magazine {
    client: Arc<ClientApp>,
    urls: Urls,
}

/// The magazine's routes.
pub(super) fn router(client: Arc<ClientApp>, urls: &Urls) -> Router {
    let magazine = Arc::new(Magazine { client: Arc::clone(&client), urls: urls.clone() });
    Router::new()
        .route("/", get(home))
        .with_state(magazine)
        .merge(client_app::routes().with_state(client))
        .merge(web::style_sheet())
}

async fn home(
    State(magazine): State<Arc<Magazine>>,
    jar: CookieJar,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let nav = web::nav(&magazine.urls, "Magazine");
    Ok(match magazine.client.visitor(&jar, &params).await? {
        Visitor::SignedIn(customer) => {
            let known_already = customer.was_known_already();
            let customer = Some(customer.shown(&magazine.client));
            web::page(&SecondPage { nav, customer, known_already, notice: None })
        }
        Visitor::Nobody => {
            let notice = client_app::notice(&params);
            web::page(&SecondPage { nav, customer: None, known_already: false, notice })
        }
        Visitor::Asked(response) => response,
    })
}
