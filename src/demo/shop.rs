//! The shop, Fernweh Outfitters: signs in at the gateway and calls its back end with the customer's access token.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use serde_json::Value;
use url::Url;

use super::client_app::{self, ClientApp, Customer, Visitor};
use super::issuer::{MAX_BYTES, Problem};
use super::pages::{BackEndAnswer, ShopPage};
use super::relying_party::sensitive;
use super::{Urls, web};
use crate::outbound::{Outbound, OutboundRequest, header};
use crate::protocol::params::Params;

struct Shop {
    client: Arc<ClientApp>,
    urls: Urls,
    outbound: Outbound,
}

/// The shop's routes.
pub(super) fn router(client: Arc<ClientApp>, urls: &Urls, outbound: Outbound) -> Router {
    let shop = Arc::new(Shop { client: Arc::clone(&client), urls: urls.clone(), outbound });
    Router::new()
        .route("/", get(home))
        .route("/call-back-end", post(call_back_end))
        .with_state(shop)
        .merge(client_app::routes().with_state(client))
        .merge(web::style_sheet())
}

async fn home(State(shop): State<Arc<Shop>>, jar: CookieJar, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let notice = client_app::notice(&params);
    Ok(match shop.client.visitor(&jar, &params).await? {
        Visitor::SignedIn(customer) => shop.page(Some(&customer), None, None),
        Visitor::Nobody => shop.page(None, None, notice),
        Visitor::Asked(response) => response,
    })
}

/// What a shop's server does all day: a call on behalf of the customer.
async fn call_back_end(State(shop): State<Arc<Shop>>, jar: CookieJar) -> Result<Response, Problem> {
    Ok(match shop.client.visitor(&jar, &Params::default()).await? {
        Visitor::SignedIn(customer) => {
            let answer = shop.ask_back_end(customer.access_token()).await?;
            shop.page(Some(&customer), Some(answer), None)
        }
        Visitor::Nobody => web::see_other("/"),
        Visitor::Asked(response) => response,
    })
}

impl Shop {
    fn page(&self, customer: Option<&Customer>, back_end: Option<BackEndAnswer>, notice: Option<String>) -> Response {
        let customer = customer.map(|customer| customer.shown(&self.client));
        web::page(&ShopPage { nav: web::nav(&self.urls, "Shop"), customer, back_end, notice })
    }

    async fn ask_back_end(&self, access_token: &str) -> Result<BackEndAnswer, Problem> {
        let url = Url::parse(&format!("{}/orders", self.urls.back_end));
        let url = url.map_err(|_| Problem::Unreadable("the back end's URL"))?;
        let mut request = OutboundRequest::get_json(url, MAX_BYTES);
        request.headers.insert(header::AUTHORIZATION, sensitive(format!("Bearer {access_token}"))?);
        let response = self.outbound.send(request).await?;
        let json: Option<Value> = serde_json::from_slice(&response.body).ok();
        let indented = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
        Ok(BackEndAnswer {
            accepted: response.status.is_success(),
            status: response.status.to_string(),
            body: indented.unwrap_or_else(|| String::from_utf8_lossy(&response.body).into_owned()),
        })
    }
}
