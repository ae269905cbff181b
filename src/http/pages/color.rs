//! The brand's one colour, turned into the few that the pages need so that every text stays readable.
//!
//! Whatever colour a company brings, text and links made from it keep WCAG 2.2 AA contrast (4.5:1) on the light and on
//! the dark surface. Knows nothing of pages; the neutral surfaces are those of `samesake.css`.

use std::fmt;

const WHITE: Color = Color([1.0, 1.0, 1.0]);
const INK: Color = Color([0.055, 0.063, 0.082]);
const DARK_SURFACE: Color = Color([0.09, 0.098, 0.122]);
/// The colour of the product itself, `#2457d6`, as in `config/default.toml`.
pub(super) const SAMESAKE: Color = Color([0.1412, 0.3412, 0.8392]);
/// A little over 4.5:1, so that rounding to eight bits stays above it.
const READABLE: f32 = 4.7;

/// An sRGB colour, each channel from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Color([f32; 3]);

impl Color {
    /// From `#rgb` or `#rrggbb`; `None` if it is anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let values: Option<Vec<u8>> =
            digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let bytes = match values?.as_slice() {
            [r, g, b] => [r * 17, g * 17, b * 17],
            [r, r2, g, g2, b, b2] => [r * 16 + r2, g * 16 + g2, b * 16 + b2],
            _ => return None,
        };
        Some(Self(bytes.map(|byte| f32::from(byte) / 255.0)))
    }

    fn mix(self, other: Self, share: f32) -> Self {
        let [r, g, b] = self.0;
        let [r2, g2, b2] = other.0;
        Self([(r, r2), (g, g2), (b, b2)].map(|(from, to)| from + (to - from) * share))
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f32 {
        let linear = |c: f32| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let [r, g, b] = self.0;
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    /// Contrast ratio (WCAG 2.2), 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f32 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour, moved towards `pole` just as far as the contrast to `ground` asks for.
    fn readable_on(self, ground: Self, pole: Self, ratio: f32) -> Self {
        let steps = (0_u8..=40).map(|step| self.mix(pole, f32::from(step) / 40.0));
        let mut steps = steps.filter(|color| color.contrast(ground) >= ratio);
        steps.next().unwrap_or(pole)
    }

    /// White or near black, whichever reads better on this colour.
    fn text_on(self) -> Self {
        if self.contrast(WHITE) >= READABLE || self.contrast(WHITE) > self.contrast(INK) { WHITE } else { INK }
    }

    /// The neighbour on the colour circle, for the second half of the backdrop.
    fn neighbor(self) -> Self {
        let [r, g, b] = self.0;
        // A rotation of 40° about the grey axis of the RGB cube.
        let (sin, cos) = 40.0_f32.to_radians().sin_cos();
        let (a, c) = ((1.0 - cos) / 3.0, sin / 3.0_f32.sqrt());
        let turned = [
            r * (cos + a) + g * (a - c) + b * (a + c),
            r * (a + c) + g * (cos + a) + b * (a - c),
            r * (a - c) + g * (a + c) + b * (cos + a),
        ];
        Self(turned.map(|channel| channel.clamp(0.0, 1.0)))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("#")?;
        self.0.iter().try_for_each(|channel| write!(f, "{:02x}", (channel * 255.0).round() as u8))
    }
}

/// The custom properties for a brand colour, as CSS for both colour schemes.
pub(super) fn properties(accent: Color) -> String {
    let light = scheme(accent, WHITE, INK);
    // On the dark surface a dark brand colour would sink: it is lifted until a button stands out (3:1).
    let lifted = accent.readable_on(DARK_SURFACE, WHITE, 3.2);
    let dark = scheme(lifted, DARK_SURFACE, WHITE);
    format!(":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n")
}

fn scheme(accent: Color, surface: Color, pole: Color) -> String {
    let on_accent = accent.text_on();
    let accent = if on_accent == WHITE { accent.readable_on(WHITE, INK, READABLE) } else { accent };
    let wash = accent.mix(surface, if surface == WHITE { 0.9 } else { 0.8 });
    let ink = accent.readable_on(wash, pole, READABLE);
    // Hovering moves away from the text's colour, so that its contrast only grows.
    let away = if on_accent == WHITE { INK } else { WHITE };
    let hover = accent.mix(away, 0.12);
    let edge = accent.mix(pole, 0.18);
    let second = accent.neighbor();
    // A bright colour on the dark page would be mud or glare at the strength that suits a deep one.
    let glow = if surface == WHITE { 0.2 } else { (0.36 - 0.36 * accent.luminance()).max(0.12) };
    format!(
        "--accent:{accent};--on-accent:{on_accent};--accent-hover:{hover};--accent-edge:{edge};\
         --accent-ink:{ink};--accent-wash:{wash};--accent-2:{second};--glow:{glow:.2}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(css: &str, name: &str) -> Color {
        let from = css.find(&format!("{name}:")).unwrap() + name.len() + 1;
        Color::parse(&css[from..from + 7]).unwrap()
    }

    #[test]
    fn any_brand_color_stays_readable_in_both_schemes() {
        for brand in ["#2457d6", "#ffe600", "#000", "#ffffff", "#0f0", "#7f7f7f", "#ff6a00", "#c8102e", "#14161c"] {
            let css = properties(Color::parse(brand).unwrap());
            let (light, dark) = css.split_once("@media").unwrap();
            for (css, surface) in [(light, WHITE), (dark, DARK_SURFACE)] {
                let accent = property(css, "--accent");
                assert!(accent.contrast(property(css, "--on-accent")) >= 4.5, "button text, {brand}: {css}");
                assert!(
                    property(css, "--accent-hover").contrast(property(css, "--on-accent")) >= 4.5,
                    "{brand}: {css}"
                );
                let ink = property(css, "--accent-ink");
                assert!(ink.contrast(surface) >= 4.5, "links, {brand}: {css}");
                assert!(ink.contrast(property(css, "--accent-wash")) >= 4.5, "tinted surfaces, {brand}: {css}");
            }
        }
    }

    #[test]
    fn only_hexadecimal_colors_are_taken() {
        for text in ["red", "#12", "#12345", "#1234567", "#ggg", "", "#0;}body{x:y", "#äöü"] {
            assert_eq!(Color::parse(text), None, "{text}");
        }
        assert_eq!(Color::parse("#fff"), Color::parse("#FFFFFF"));
    }
}
