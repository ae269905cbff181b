//! Files that pages refer to: compiled in, and addressed by a name that holds a hash of the content.
//!
//! A changed file has another address, so a browser may keep each for ever. What depends on configuration (the style
//! sheet with the brand's colours, the logo) belongs to [`super::Brand`].

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::secret;

/// The path under which assets are served.
pub const ASSETS: &str = "/assets/";

pub(super) const STYLE_SHEET: &str = include_str!("../assets/samesake.css");
pub(super) const FORM_POST: &str = "form-post.js";
pub(super) const ICON: &str = "logo.svg";
/// The style sheet of the desk, beside the one of all pages.
pub(in crate::http) const DESK: &str = "desk.css";

static FILES: LazyLock<Vec<(&str, Asset)>> = LazyLock::new(|| {
    vec![
        (FORM_POST, Asset::named("form-post", "js", include_bytes!("../assets/form-post.js").as_slice().into())),
        (DESK, Asset::named("desk", "css", include_bytes!("../assets/desk.css").as_slice().into())),
        (ICON, Asset::named("logo", "svg", include_bytes!("../assets/logo.svg").as_slice().into())),
    ]
});

/// One file as it is served.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The last part of its path, with the hash in it.
    pub name: String,
    /// The content.
    pub bytes: Bytes,
    /// Its media type.
    pub content_type: &'static str,
    /// A strong entity tag, with its quotes.
    pub etag: String,
}

impl Asset {
    /// A file whose served name is `stem-<hash>.extension`.
    pub(super) fn named(stem: &str, extension: &'static str, bytes: Bytes) -> Self {
        let hash: String = secret::base64url(&secret::sha256(&[bytes.as_ref()])).chars().take(12).collect();
        Self {
            name: format!("{stem}-{hash}.{extension}"),
            bytes,
            content_type: content_type(extension),
            etag: format!("\"{hash}\""),
        }
    }

    /// Where it is served.
    pub fn url(&self) -> String {
        format!("{ASSETS}{}", self.name)
    }

    /// The answer to a GET request: the file, or 304 if the browser's copy (`If-None-Match`) is this one.
    pub fn respond(&self, if_none_match: Option<&str>) -> Response {
        let fresh = if_none_match
            .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag));
        let mut response = match fresh {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.bytes.clone().into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // A logo may be an SVG document, which would run its scripts if somebody opened it by itself.
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        );
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(ETAG, etag);
        }
        response
    }
}

/// The compiled-in file with this served name, hash and all.
pub fn asset(name: &str) -> Option<Asset> {
    FILES.iter().map(|(_, asset)| asset).find(|asset| asset.name == name).cloned()
}

/// The address of a compiled-in file, by the name it has in the source.
pub(in crate::http) fn asset_url(file: &str) -> String {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, asset)| asset.url()).unwrap_or_default()
}

/// The media type by extension; only what a browser shows as an image, a style or a script.
pub(super) fn content_type(extension: &str) -> &'static str {
    match extension {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}
