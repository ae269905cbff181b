//! How a company looks here: name, logo, colour, links. Made once from configuration, lent to every page.
//!
//! The colour reaches the pages inside the one style sheet, under an address that holds its hash, so that the
//! Content-Security-Policy needs no inline styles.

use bytes::Bytes;
use url::Url;

use super::assets::{self, Asset};
use super::color::{self, Color};
use super::text::{ENGLISH, Text};
use super::{image_origin, web_link};
use crate::config::BrandConfig;

const DEFAULT_NAME: &str = "Samesake";

/// A logo as configured.
#[derive(Clone, Debug)]
pub enum Logo {
    /// Shown from where it is: an absolute http(s) URL, or a path on this origin.
    Url(String),
    /// Served by us.
    Image {
        /// `svg`, `png`, `jpg`, `jpeg` or `webp`.
        extension: String,
        /// The content.
        bytes: Bytes,
    },
}

/// What a company may configure.
#[derive(Clone, Debug, Default)]
pub struct BrandSettings {
    /// The name that customers know; `Samesake` if empty.
    pub name: String,
    /// `#rgb` or `#rrggbb`; anything else counts as not given.
    pub accent: Option<String>,
    /// Shown beside the name.
    pub logo: Option<Logo>,
    /// Where customers find help.
    pub support_url: Option<String>,
    /// The privacy policy.
    pub privacy_url: Option<String>,
    /// The terms of service.
    pub terms_url: Option<String>,
}

impl From<&BrandConfig> for BrandSettings {
    fn from(config: &BrandConfig) -> Self {
        let link = |url: &Option<Url>| url.as_ref().map(Url::to_string);
        Self {
            name: config.name.clone(),
            accent: Some(config.accent.clone()),
            logo: link(&config.logo).map(Logo::Url),
            support_url: link(&config.support_url),
            privacy_url: link(&config.privacy_url),
            terms_url: link(&config.terms_url),
        }
    }
}

/// A brand, ready for pages.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The name that customers know.
    pub name: String,
    /// What the logo's `src` is, if there is one.
    pub logo_url: Option<String>,
    /// The one style sheet.
    pub stylesheet_url: String,
    /// The browser tab's icon.
    pub icon_url: String,
    /// The language of the pages.
    pub text: &'static Text,
    links: Vec<(&'static str, String)>,
    files: Vec<Asset>,
}

impl Brand {
    /// Puts a brand together. What cannot be used (a colour that is none, a link that is no link) is left out.
    pub fn new(settings: BrandSettings) -> Self {
        let text = &ENGLISH;
        let accent = settings.accent.as_deref().and_then(Color::parse).unwrap_or(color::SAMESAKE);
        let css = format!("{}{}", color::properties(accent), assets::STYLE_SHEET);
        let stylesheet = Asset::named("brand", "css", css.into());
        let stylesheet_url = stylesheet.url();
        let mut files = vec![stylesheet];
        let logo_url = settings.logo.and_then(|logo| match logo {
            Logo::Url(url) => web_link(&url).map(str::to_owned),
            Logo::Image { extension, bytes } => logo_file(&extension, bytes).map(|file| {
                let url = file.url();
                files.push(file);
                url
            }),
        });
        let links =
            [(text.help, settings.support_url), (text.privacy, settings.privacy_url), (text.terms, settings.terms_url)];
        let links = links.into_iter().filter_map(|(label, url)| {
            let url = url?;
            let usable = web_link(&url).is_some() || url.starts_with("mailto:");
            usable.then_some((label, url))
        });
        Self {
            name: if settings.name.is_empty() { DEFAULT_NAME.to_owned() } else { settings.name },
            icon_url: logo_url.clone().unwrap_or_else(|| assets::asset_url(assets::ICON)),
            logo_url,
            stylesheet_url,
            text,
            links: links.collect(),
            files,
        }
    }

    /// The file with this name under `/assets/`, of this brand or compiled in.
    pub fn asset(&self, name: &str) -> Option<Asset> {
        self.files.iter().find(|file| file.name == name).cloned().or_else(|| assets::asset(name))
    }

    /// Where the logo comes from, if not from us.
    pub(super) fn image_origin(&self) -> Option<String> {
        self.logo_url.as_deref().and_then(image_origin)
    }

    pub(super) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    pub(super) fn links(&self) -> &[(&'static str, String)] {
        &self.links
    }
}

impl Default for Brand {
    fn default() -> Self {
        Self::new(BrandSettings::default())
    }
}

fn logo_file(extension: &str, bytes: Bytes) -> Option<Asset> {
    let extension =
        ["svg", "png", "jpg", "jpeg", "webp"].into_iter().find(|known| extension.eq_ignore_ascii_case(known))?;
    Some(Asset::named("brand-logo", extension, bytes))
}
