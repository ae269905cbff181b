//! From the claims of an ID token and of userinfo to an identity: sizes bounded, types checked, nothing believed.
//!
//! Pure. It must not know how the claims were proved, nor what an e-mail address is worth (spec/identity.md rules
//! 3 to 5 and 8). OpenID Connect Core §5.1.

use serde_json::{Map, Value, json};
use time::{Date, Month};

use super::{ConnectorError, UpstreamIdentity};
use crate::clock::Timestamp;
use crate::config::UNDERSTOOD_CLAIMS;

/// Claims as an ID token or userinfo carries them.
pub type Claims = Map<String, Value>;

/// OpenID Connect Core §2: `sub` has at most 255 characters.
const MAX_SUBJECT_BYTES: usize = 255;
const MAX_TEXT_BYTES: usize = 1024;
const MAX_RAW_BYTES: usize = 16 * 1024;
const MAX_METHODS: usize = 16;

/// Claims that speak about the token and the login, not about the customer.
const PROTOCOL_CLAIMS: [&str; 15] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "jti",
    "sid",
    "auth_time",
    "acr",
    "amr",
];

/// Claims that the provider says it has verified (OpenID Connect for Identity Assurance).
const VERIFIED_CLAIMS: &str = "verified_claims";

/// Checks a subject: the link key is made of it, byte by byte.
///
/// # Errors
/// If it is empty, longer than 255 bytes, or has control characters.
pub fn check_subject(subject: &str) -> Result<(), ConnectorError> {
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || subject.chars().any(char::is_control) {
        return Err(ConnectorError::invalid("the subject is empty, too long or not printable"));
    }
    Ok(())
}

/// Whether something that the scopes asked for is not in the ID token, so that userinfo is worth a request.
pub fn wants_userinfo(claims: &Claims, scopes: &[String]) -> bool {
    let asked = |scope: &str| scopes.iter().any(|asked| asked == scope);
    let names = ["name", "given_name", "family_name", "preferred_username"];
    (asked("email") && text(claims, "email").is_none())
        || (asked("profile") && names.iter().all(|name| text(claims, name).is_none()))
}

/// The identity. What the ID token says wins over userinfo, except that an address and whether it is verified
/// always come from the same answer.
///
/// # Errors
/// If the subject is unfit; everything else is left out where it is.
pub fn identity(id_token: Claims, userinfo: Option<Claims>) -> Result<UpstreamIdentity, ConnectorError> {
    let subject = id_token.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
    check_subject(&subject)?;
    let acr = text(&id_token, "acr");
    let amr = methods(&id_token);
    let sid = text(&id_token, "sid");
    let auth_time = id_token.get("auth_time").and_then(Value::as_f64).filter(|seconds| *seconds > 0.0);
    let claims = merged(id_token, userinfo);
    let email = text(&claims, "email");
    Ok(UpstreamIdentity {
        subject,
        email_verified: email.is_some() && is_true(claims.get("email_verified")),
        email,
        name: text(&claims, "name"),
        given_name: text(&claims, "given_name"),
        family_name: text(&claims, "family_name"),
        preferred_username: text(&claims, "preferred_username"),
        // Shown in our pages: no other scheme may get there.
        picture: text(&claims, "picture").filter(|picture| picture.starts_with("https://")),
        locale: text(&claims, "locale"),
        birthdate: claims.get("birthdate").and_then(day),
        assured_birthdate: assured_birthdate(&claims),
        acr,
        amr,
        auth_time: auth_time.map(|seconds| Timestamp::from_seconds(seconds as i64)),
        sid,
        raw: bounded(claims),
        other_names: vec![],
        tokens: None,
    })
}

fn merged(id_token: Claims, userinfo: Option<Claims>) -> Claims {
    let mut claims = userinfo.unwrap_or_default();
    if text(&id_token, "email").is_some() {
        claims.remove("email_verified");
    }
    let keeps_address = text(&id_token, "email").is_none() && text(&claims, "email").is_some();
    for (name, value) in id_token {
        if !(keeps_address && (name == "email" || name == "email_verified")) {
            claims.insert(name, value);
        }
    }
    claims.retain(|name, _| !PROTOCOL_CLAIMS.contains(&name.as_str()));
    claims
}

/// A text claim, without control characters and surrounding space; `None` if that leaves nothing, or too much.
fn text(claims: &Claims, name: &str) -> Option<String> {
    plain(claims.get(name)?)
}

fn plain(value: &Value) -> Option<String> {
    let value = value.as_str()?;
    if value.len() > MAX_TEXT_BYTES {
        return None;
    }
    let value: String = value.chars().filter(|character| !character.is_control()).collect();
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// A day of birth. OpenID Connect Core §5.1 also allows the year alone, and `0000` for a year that is kept back: neither is
/// a day that could be compared with another one.
fn day(value: &Value) -> Option<String> {
    let text = plain(value)?;
    let is_form = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    let mut parts = text.splitn(3, '-');
    let year: i32 = parts.next()?.parse().ok()?;
    let month = Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
    let is_day = Date::from_calendar_date(year, month, parts.next()?.parse().ok()?).is_ok();
    (is_form && is_day && year > 0).then_some(text)
}

/// The one day of birth among the claims that the provider says it has verified, under whatever trust framework it names.
fn assured_birthdate(claims: &Claims) -> Option<String> {
    let mut days = assurances(claims.get(VERIFIED_CLAIMS)?).filter_map(|assurance| {
        let framework = plain(assurance.pointer("/verification/trust_framework")?);
        framework.and_then(|_| day(assurance.pointer("/claims/birthdate")?))
    });
    let first = days.next()?;
    days.all(|day| day == first).then_some(first)
}

/// The `claims` parameter that asks for it (OpenID Connect Core §5.5): `null` says that any trust framework will do. It is
/// asked for where it will be looked for.
pub fn assured_birthdate_request(in_userinfo: bool) -> String {
    let wanted = json!({"verification": {"trust_framework": null}, "claims": {"birthdate": null}});
    let place = if in_userinfo { "userinfo" } else { "id_token" };
    json!({ place: { VERIFIED_CLAIMS: wanted } }).to_string()
}

/// `verified_claims` is one object, or several in an array.
fn assurances(verified: &Value) -> impl Iterator<Item = &Value> {
    let one = verified.is_object().then_some(verified);
    one.into_iter().chain(verified.as_array().into_iter().flatten())
}

/// Takes a claim out, wherever the provider says it.
pub fn forget(claims: &mut Claims, name: &str) {
    claims.remove(name);
    let verified = claims.get_mut(VERIFIED_CLAIMS);
    let several = match verified {
        Some(Value::Array(several)) => several.as_mut_slice(),
        Some(one) => std::slice::from_mut(one),
        None => &mut [],
    };
    for claims in several.iter_mut().filter_map(|assurance| assurance.get_mut("claims")?.as_object_mut()) {
        claims.remove(name);
    }
}

/// Apple and others send booleans as text.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(value)) => value == "true",
        _ => false,
    }
}

fn methods(claims: &Claims) -> Vec<String> {
    let methods = claims.get("amr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let methods = methods.iter().filter_map(Value::as_str).filter(|method| method.len() <= 64);
    methods.take(MAX_METHODS).map(str::to_owned).collect()
}

fn bounded(claims: Claims) -> Value {
    let whole = storable(Value::Object(claims));
    if whole.to_string().len() <= MAX_RAW_BYTES {
        return whole;
    }
    let Value::Object(mut claims) = whole else { return Value::Null };
    claims.retain(|name, value| {
        (name == "sub" || UNDERSTOOD_CLAIMS.contains(&name.as_str())) && value.to_string().len() <= MAX_TEXT_BYTES + 2
    });
    Value::Object(claims)
}

/// Postgres keeps no U+0000 in JSON.
fn storable(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "")),
        Value::Array(items) => Value::Array(items.into_iter().map(storable).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name.replace('\0', ""), storable(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_subject_is_taken_byte_by_byte() {
        for subject in ["ABC", "abc", " a ", "9007199254740993", "ü", &"x".repeat(255)] {
            assert_eq!(identity(claims(json!({"sub": subject})), None).unwrap().subject, subject);
        }
        for subject in [json!(""), json!("x".repeat(256)), json!("a\u{0}b"), json!("a\nb"), json!(7), json!(null)] {
            assert!(identity(claims(json!({"sub": subject})), None).is_err(), "{subject}");
        }
        assert!(identity(Claims::new(), None).is_err());
    }

    #[test]
    fn an_address_is_verified_only_by_a_plain_yes() {
        for (said, verified) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!("True "), false),
            (json!(1), false),
            (json!(null), false),
        ] {
            let identity = identity(claims(json!({"sub": "a", "email": "a@b.example", "email_verified": said})), None);
            assert_eq!(identity.unwrap().email_verified, verified, "{said}");
        }
        let absent = identity(claims(json!({"sub": "a", "email": "a@b.example"})), None).unwrap();
        assert!(!absent.email_verified);
        let nothing = identity(claims(json!({"sub": "a", "email_verified": true})), None).unwrap();
        assert!(!nothing.email_verified);
    }

    #[test]
    fn an_address_and_its_verification_come_from_one_answer() {
        let told = |id_token: Value, userinfo: Value| {
            let identity = identity(claims(id_token), Some(claims(userinfo))).unwrap();
            (identity.email.unwrap_or_default(), identity.email_verified)
        };
        let verified = json!({"sub": "a", "email": "u@b.example", "email_verified": true});
        assert_eq!(told(json!({"sub": "a", "email": "t@b.example"}), verified.clone()), ("t@b.example".into(), false));
        assert_eq!(told(json!({"sub": "a", "email_verified": false}), verified.clone()), ("u@b.example".into(), true));
        let unverified = json!({"sub": "a", "email": "u@b.example"});
        assert_eq!(told(json!({"sub": "a", "email_verified": true}), unverified), ("u@b.example".into(), false));
        assert_eq!(told(json!({"sub": "a", "email": 7}), verified), ("u@b.example".into(), true));
    }

    #[test]
    fn texts_are_cleaned_and_pictures_are_https() {
        let identity = identity(
            claims(json!({
                "sub": "a", "name": "  Ada\u{0}\r\n Byron ", "given_name": "x".repeat(2000), "family_name": "\t",
                "picture": "javascript:alert(1)", "locale": 4, "amr": ["pwd", 1, "mfa"], "acr": "gold",
                "auth_time": 1_800_000_000.5
            })),
            None,
        )
        .unwrap();
        assert_eq!(identity.name.as_deref(), Some("Ada Byron"));
        assert_eq!((identity.given_name, identity.family_name, identity.picture, identity.locale), Default::default());
        assert_eq!(identity.amr, ["pwd", "mfa"]);
        assert_eq!(identity.acr.as_deref(), Some("gold"));
        assert_eq!(identity.auth_time, Some(Timestamp::from_seconds(1_800_000_000)));
    }

    #[test]
    fn a_birth_date_is_a_day_and_nothing_less() {
        let said = |value: Value| identity(claims(json!({"sub": "a", "birthdate": value})), None).unwrap().birthdate;
        for day in ["1984-02-29", "0033-04-03", " 2001-12-31 "] {
            assert_eq!(said(json!(day)).as_deref(), Some(day.trim()));
        }
        for none in [
            "1984",
            "0000-02-28",
            "0000",
            "0000-00-00",
            "1985-02-29",
            "1984-13-01",
            "1984-00-10",
            "1984-2-9",
            "19840229",
            "29.02.1984",
            "1984-02-29T00:00:00Z",
            "1984-02-2a",
            "+984-02-20",
            "-984-02-20",
            "１９８４-02-29",
            "",
        ] {
            assert_eq!(said(json!(none)), None, "{none}");
        }
        assert_eq!((said(json!(19_840_229)), said(json!(null))), (None, None));
    }

    #[test]
    fn a_birth_date_is_assured_only_within_a_trust_framework_and_only_one() {
        let assured = |day: &str| json!({"verification": {"trust_framework": "de_aml"}, "claims": {"birthdate": day, "given_name": "Ada"}});
        let said = |verified: Value| {
            let said = json!({"sub": "a", "birthdate": "1990-01-01", "verified_claims": verified});
            let identity = identity(claims(said), None).unwrap();
            assert_eq!(identity.birthdate.as_deref(), Some("1990-01-01"), "that is another claim");
            identity.assured_birthdate
        };
        let day = "1815-12-10";
        for verified in [assured(day), json!([assured(day)]), json!([{}, assured(day), assured(day), 7])] {
            assert_eq!(said(verified).as_deref(), Some(day));
        }
        let unnamed = json!({"verification": {"trust_framework": ""}, "claims": {"birthdate": day}});
        for verified in [
            json!(null),
            json!([]),
            json!({}),
            json!("yes"),
            unnamed,
            json!({"claims": {"birthdate": day}}),
            assured("1815"),
            json!([assured(day), assured("1815-12-11")]),
        ] {
            assert_eq!(said(verified.clone()), None, "{verified}");
        }
        for verified in [assured(day), json!([assured(day)])] {
            let mut said = claims(json!({"birthdate": day, "verified_claims": verified, "name": "Ada"}));
            forget(&mut said, "birthdate");
            let left = Value::Object(said).to_string();
            assert!(!left.contains(day) && left.contains("given_name") && left.contains("de_aml"), "{left}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_storable() {
        let small = claims(json!({"sub": "a", "iss": "i", "nonce": "n", "x\u{0}": ["y\u{0}"], "hd": "b.example"}));
        assert_eq!(identity(small, None).unwrap().raw, json!({"sub": "a", "x": ["y"], "hd": "b.example"}));
        let large = claims(json!({"sub": "a", "name": "Ada", "email": "e".repeat(2000), "groups": vec!["g"; 9000]}));
        assert_eq!(identity(large, None).unwrap().raw, json!({"sub": "a", "name": "Ada"}));
    }

    #[test]
    fn userinfo_is_asked_only_for_what_is_missing() {
        let scopes = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let bare = claims(json!({"sub": "a"}));
        let address = claims(json!({"sub": "a", "email": "a@b.example"}));
        let both = claims(json!({"sub": "a", "email": "a@b.example", "given_name": "Ada"}));
        assert!(!wants_userinfo(&bare, &scopes("openid")));
        assert!(wants_userinfo(&bare, &scopes("openid email")));
        assert!(!wants_userinfo(&address, &scopes("openid email")));
        assert!(wants_userinfo(&address, &scopes("openid email profile")));
        assert!(!wants_userinfo(&both, &scopes("openid email profile")));
    }
}
