//! The `claims` parameter (OpenID Connect Core §5.5), as far as it is read: which authentication level the ID token must
//! have (§5.5.1.1).
//!
//! What else it asks for is ignored, as the parameter is not announced. Pure.

use serde_json::{Map, Value};

/// The longest value of the parameter in bytes.
pub const MAX_BYTES: usize = 8192;
/// No app asks for more levels at once.
const MAX_LEVELS: usize = 20;

/// What is asked for of `acr`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedLevels {
    /// One of these, the earlier the better; empty if none is named.
    pub values: Vec<String>,
    /// Whether a login that reaches none of them has failed.
    pub essential: bool,
}

/// Reads the parameter.
///
/// # Errors
/// In words, if it is not what §5.5 describes.
pub fn requested_levels(text: &str) -> Result<RequestedLevels, &'static str> {
    if text.len() > MAX_BYTES {
        return Err("claims is too long");
    }
    let claims: Map<String, Value> = serde_json::from_str(text).map_err(|_| "claims is not a JSON object")?;
    let id_token = match claims.get("id_token") {
        None | Some(Value::Null) => return Ok(RequestedLevels::default()),
        Some(Value::Object(id_token)) => id_token,
        Some(_) => return Err("claims: id_token is not an object"),
    };
    let acr = match id_token.get("acr") {
        // §5.5.1: null asks for it without more.
        None | Some(Value::Null) => return Ok(RequestedLevels::default()),
        Some(Value::Object(acr)) => acr,
        Some(_) => return Err("claims: acr is neither null nor an object"),
    };
    let essential = match acr.get("essential") {
        None => false,
        Some(essential) => essential.as_bool().ok_or("claims: essential is neither true nor false")?,
    };
    let named = match (acr.get("value"), acr.get("values")) {
        (None, None) => Vec::new(),
        (Some(value), None) => vec![value.clone()],
        (None, Some(Value::Array(values))) if values.len() <= MAX_LEVELS => values.clone(),
        _ => return Err("claims: acr has a value or a list of values"),
    };
    let texts = named.iter().map(|value| value.as_str().map(str::to_owned));
    let values = texts.collect::<Option<Vec<String>>>().ok_or("claims: a level is a text")?;
    Ok(RequestedLevels { values, essential })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_all_else_is_ignored() {
        let read = |text: &str| requested_levels(text).map(|levels| (levels.values.join(" "), levels.essential));
        for (text, values, essential) in [
            ("{}", "", false),
            (r#"{"userinfo":{"acr":{"essential":true,"value":"gold"}},"x":1}"#, "", false),
            (r#"{"id_token":null}"#, "", false),
            (r#"{"id_token":{"acr":null,"email":{"essential":true}}}"#, "", false),
            (r#"{"id_token":{"acr":{"essential":true}}}"#, "", true),
            (r#"{"id_token":{"acr":{"value":"gold"}}}"#, "gold", false),
            (r#"{"id_token":{"acr":{"essential":true,"values":["gold","silver"],"new":1}}}"#, "gold silver", true),
        ] {
            assert_eq!(read(text), Ok((values.to_owned(), essential)), "{text}");
        }
        for text in [
            "",
            "x",
            "[]",
            "null",
            r#"{"id_token":[]}"#,
            r#"{"id_token":{"acr":"gold"}}"#,
            r#"{"id_token":{"acr":{"essential":"true"}}}"#,
            r#"{"id_token":{"acr":{"value":1}}}"#,
            r#"{"id_token":{"acr":{"values":"gold"}}}"#,
            r#"{"id_token":{"acr":{"value":"a","values":["b"]}}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_BYTES))).is_err());
    }
}
