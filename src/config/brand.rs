//! `[brand]`: what customers see of the company on pages and in mails.

use serde::Deserialize;
use url::Url;

use super::forms;
use super::problem::Problems;

/// The `[brand]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandConfig {
    /// The company's or brand's name.
    pub name: String,
    /// Address of a logo; its origin is admitted by the pages' content security policy.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub logo: Option<Url>,
    /// Color of buttons and links, `#rrggbb`.
    pub accent: String,
    /// Where customers find help.
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub support_url: Option<Url>,
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub privacy_url: Option<Url>,
    #[serde(default, deserialize_with = "forms::optional_url")]
    pub terms_url: Option<Url>,
}

impl BrandConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.name.trim().is_empty() || self.name.contains(char::is_control) {
            problems.add("brand.name", "is empty or holds control characters", "a name, such as \"Example\"");
        }
        let hex = self.accent.strip_prefix('#').unwrap_or_default();
        if hex.len() != 6 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            problems.add("brand.accent", format!("`{}` is no color", self.accent), "#rrggbb, such as \"#2457d6\"");
        }
        for (key, url) in [
            ("brand.logo", &self.logo),
            ("brand.support_url", &self.support_url),
            ("brand.privacy_url", &self.privacy_url),
            ("brand.terms_url", &self.terms_url),
        ] {
            if let Some(url) = url
                && !matches!(url.scheme(), "https" | "http")
                && !(key == "brand.support_url" && url.scheme() == "mailto")
            {
                problems.add(key, format!("scheme `{}` does not belong on a page", url.scheme()), "an https URL");
            }
        }
    }
}
