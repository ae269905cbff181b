//! Renders every page with calm and with hostile data; also writes them to `samesake-pages` in the temporary directory
//! so that a person can look at them.

use std::fs;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, IF_NONE_MATCH, REFERRER_POLICY};

use super::*;

const HOSTILE: &str = r#"<script>alert("1")</script>'"><img src=x onerror=alert(1)>{{7*7}}"#;
const LONG: &str =
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft & Sons of the Very Long Name";
const RTL: &str = "متجر الرحلات البعيدة";
const FLOW: &str = "0Tq9bXbPuG4V9uKq3yN1zg";

fn brand() -> Brand {
    Brand::new(BrandSettings {
        name: "Fernweh".into(),
        support_url: Some("https://help.example".into()),
        privacy_url: Some("https://example.com/privacy".into()),
        terms_url: Some("/terms".into()),
        ..BrandSettings::default()
    })
}

/// The words of one set of sample pages.
struct Sample {
    app: &'static str,
    account: &'static str,
    url: &'static str,
}

const CALM: Sample = Sample { app: "Fernweh Outfitters", account: "ronja@example.com", url: "https://shop.example/" };
const ATTACK: Sample = Sample { app: HOSTILE, account: HOSTILE, url: "javascript:alert(1)//https://" };
const ENDLESS: Sample = Sample { app: LONG, account: LONG, url: "https://shop.example/?a=1&b=%22" };
const ARABIC: Sample = Sample { app: RTL, account: RTL, url: "com.example.app:/callback" };

fn login<'a>(brand: &'a Brand, s: &Sample) -> LoginPage<'a> {
    let connector = |id: &str, name: &str| ConnectorButton { id: id.into(), name: name.into(), kind: "oidc".into() };
    LoginPage {
        brand,
        flow: FLOW.into(),
        client_name: s.app.into(),
        email: String::new(),
        error: None,
        connectors: vec![
            connector("chirp", "Chirp"),
            connector("harbor", if s.app == CALM.app { "Harbor ID" } else { s.app }),
        ],
        password_enabled: true,
        sign_up_enabled: true,
        reauthenticate: None,
    }
}

fn sign_up<'a>(brand: &'a Brand, s: &Sample, error: Option<Message>) -> SignUpPage<'a> {
    SignUpPage {
        brand,
        flow: FLOW.into(),
        client_name: s.app.into(),
        email: if error.is_some() { s.account.into() } else { String::new() },
        name: if error.is_some() { s.account.into() } else { String::new() },
        error,
        password_min_length: 10,
    }
}

fn consent<'a>(brand: &'a Brand, s: &Sample) -> ConsentPage<'a> {
    let line = |title: &str, text: &str| ScopeLine { title: title.into(), text: text.into() };
    ConsentPage {
        brand,
        flow: FLOW.into(),
        client_name: s.app.into(),
        logo_uri: Some(s.url.into()).filter(|_| s.app != CALM.app),
        policy_uri: Some(s.url.into()),
        tos_uri: Some(s.url.into()),
        client_host: "shop.example".into(),
        scopes: vec![
            line("Know who you are", "An identifier that only this app gets."),
            line("See your name and picture", "As they are in your profile."),
            line(if s.app == CALM.app { "See your email address" } else { s.app }, ""),
            line("Stay connected", "Also while you are not using the app."),
        ],
        account: s.account.into(),
        device: None,
    }
}

fn device(s: &Sample) -> DeviceLine {
    DeviceLine { user_code: "BCDF-GHJK".into(), place: if s.app == CALM.app { "198.51.100.7" } else { s.app }.into() }
}

fn account<'a>(brand: &'a Brand, s: &Sample) -> AccountPage<'a> {
    let line = |provider: &str, label: &str, came: Came| ConnectionLine {
        id: provider.into(),
        provider: provider.into(),
        label: label.into(),
        came,
        since: "2026-01-31".into(),
        last_used: None,
        stopped: None,
        is_apart: false,
        unlink: None,
        confirm: None,
    };
    let (unlink, last_used) = (Some(s.app.to_owned()), Some("2026-11-22".to_owned()));
    AccountPage {
        brand,
        account: s.account.into(),
        token: s.app.into(),
        part: Some(vec![ChannelLine { link: s.app.into(), masked: s.account.into() }]),
        connections: vec![
            line(s.account, "", Came::SignUp),
            ConnectionLine { unlink, last_used, ..line("Chirp", s.account, Came::Connected) },
            ConnectionLine { confirm: Some(s.account.into()), ..line(s.account, "", Came::Unproved) },
            line(s.account, s.app, Came::From(s.app.into())),
            ConnectionLine { stopped: Some(Stopped::InDoubt), ..line(s.app, s.account, Came::Connected) },
            ConnectionLine { is_apart: true, ..line(s.app, s.account, Came::FirstSignIn) },
        ],
        connectors: vec![ConnectorButton { id: "harbor".into(), name: s.app.into(), kind: "oidc".into() }],
        addresses_offered: true,
    }
}

fn address<'a>(brand: &'a Brand, s: &Sample, newcomer: bool, error: Option<Message>) -> AddressPage<'a> {
    let email = if error.is_some() { s.account.into() } else { String::new() };
    let client_name = s.app.into();
    AddressPage { brand, flow: FLOW.into(), client_name, email, error, newcomer, skip_offered: newcomer }
}

fn both<'a>(brand: &'a Brand, s: &Sample, waits: Option<Hindrance>) -> BothMinePage<'a> {
    BothMinePage { brand, flow: FLOW.into(), by: ProvedBy::Provider(s.app.into()), waits }
}

fn join<'a>(brand: &'a Brand, s: &Sample) -> JoinPage<'a> {
    let app = |name: &str, knew| AppLine { name: name.into(), knew };
    JoinPage {
        brand,
        flow: FLOW.into(),
        plan: s.app.into(),
        account: s.account.into(),
        ways: vec![WayLine { id: "chirp".into(), provider: s.app.into(), label: s.account.into() }],
        values: vec![ValueLine { of: ValueOf::Name, value: s.account.into() }],
        apps: vec![app(s.app, Knew::This), app("Shop", Knew::Other), app(s.app, Knew::Both)],
        password_rests: true,
        signs_out: true,
        undo_days: 90,
    }
}

fn exists<'a>(brand: &'a Brand, s: &Sample, code_offered: bool) -> AccountExistsPage<'a> {
    AccountExistsPage {
        brand,
        flow: FLOW.into(),
        client_name: s.app.into(),
        provider: if s.app == CALM.app { "Chirp".into() } else { s.app.into() },
        masked_email: if s.app == CALM.app { "r•••@example.com".into() } else { s.account.into() },
        code_offered,
        error: (!code_offered).then_some(Message::MailUnavailable),
    }
}

fn all(brand: &Brand, s: &Sample) -> Vec<(&'static str, Page)> {
    let link = || Some((s.app.to_owned(), s.url.to_owned()));
    let code = |error, resend_allowed| CodePage {
        brand,
        flow: FLOW.into(),
        masked_email: if s.app == CALM.app { "r•••a@example.com".into() } else { s.account.into() },
        purpose: CodePurpose::SignUp,
        error,
        resend_allowed,
    };
    let error = Some(Message::ConnectorFailed { name: s.app.into() });
    let wrong = LoginPage { email: s.account.into(), error: Some(Message::WrongCredentials), ..login(brand, s) };
    let again = LoginPage { reauthenticate: Some(s.account.into()), connectors: vec![], ..login(brand, s) };
    vec![
        ("login", login(brand, s).page()),
        ("login-wrong", wrong.page()),
        ("login-connector", LoginPage { error, ..login(brand, s) }.page()),
        ("login-social-only", LoginPage { password_enabled: false, ..login(brand, s) }.page()),
        ("login-again", again.page()),
        ("login-closed", LoginPage { password_enabled: false, connectors: vec![], ..login(brand, s) }.page()),
        ("sign-up", sign_up(brand, s, None).page()),
        ("sign-up-wrong", sign_up(brand, s, Some(Message::PasswordTooShort { minimum: 10 })).page()),
        ("code", code(None, false).page()),
        ("code-wrong", code(Some(Message::CodeWrong { tries_left: 3 }), true).page()),
        ("code-sent", code(Some(Message::CodeSent), true).page()),
        ("code-add", CodePage { purpose: CodePurpose::AddEmail, ..code(Some(Message::TooManyCodes), false) }.page()),
        ("code-prove", CodePage { purpose: CodePurpose::ProveEmail, ..code(None, true) }.page()),
        ("account", account(brand, s).page()),
        ("address", address(brand, s, false, None).page()),
        ("address-wrong", address(brand, s, false, Some(Message::EmailInvalid)).page()),
        ("address-newcomer", address(brand, s, true, None).page()),
        ("both-mine", both(brand, s, None).page()),
        ("both-mine-waits", both(brand, s, Some(Hindrance::Numbers)).page()),
        ("both-mine-join", join(brand, s).page()),
        ("both-mine-joined", JoinedPage { brand, mailed: true, undo_days: 90 }.page()),
        ("account-exists", exists(brand, s, true).page()),
        ("account-exists-without-mail", exists(brand, s, false).page()),
        ("consent", consent(brand, s).page()),
        ("device", DevicePage { brand, user_code: s.app.into(), error: None }.page()),
        ("device-wrong", DevicePage { brand, user_code: s.app.into(), error: Some(Message::UserCodeUnknown) }.page()),
        ("device-done", DeviceAnsweredPage { brand, connected: true }.page()),
        ("device-denied", DeviceAnsweredPage { brand, connected: false }.page()),
        ("device-confirm", ConsentPage { device: Some(device(s)), ..consent(brand, s) }.page()),
        (
            "select-account",
            SelectAccountPage { brand, flow: FLOW.into(), client_name: s.app.into(), account: s.account.into() }.page(),
        ),
        (
            "signed-in",
            SignedInPage {
                brand,
                account: Some(s.account.into()),
                apps: vec![link().unwrap(), ("Fernweh Magazine".into(), "/x".into())],
            }
            .page(),
        ),
        ("signed-out", SignedInPage { brand, account: None, apps: vec![] }.page()),
        ("logout", LogoutPage { brand, token: s.app.into(), client_name: Some(s.app.into()) }.page()),
        ("logged-out", LoggedOutPage { brand, return_to: link() }.page()),
        (
            "form-post",
            FormPostPage {
                brand,
                action: s.url.into(),
                fields: vec![("code".into(), s.app.into()), (s.app.into(), "x".into())],
            }
            .page(),
        ),
        ("error", error_page(brand, s).page()),
        ("expired", ExpiredPage { brand, start_again: link(), request_id: "01J9ZK7Q4N".into() }.page()),
    ]
}

fn error_page<'a>(brand: &'a Brand, s: &Sample) -> ErrorPage<'a> {
    ErrorPage {
        brand,
        title: if s.app == CALM.app { "This app sent you here with a wrong address".into() } else { s.app.into() },
        text: "You can’t sign in this way, because we would not know where to send you back to. Nothing has happened to your account.".into(),
        what_to_do: vec![
            Action { label: format!("Back to {}", s.app), href: s.url.into() },
            Action { label: "Get help".into(), href: "https://help.example".into() },
        ],
        request_id: "019aa5f2-7c1e-7d43-b0a4-6f3f5f0e2b11".into(),
        developer: Some(DeveloperDetail { code: "invalid_request".into(), description: format!("redirect_uri is not registered for {}", s.app) }),
    }
}

fn html(page: &Page) -> &str {
    std::str::from_utf8(&page.body).unwrap()
}

#[test]
fn hostile_text_never_becomes_markup() {
    let brand = Brand::new(BrandSettings {
        name: HOSTILE.into(),
        support_url: Some("javascript:alert(1)".into()),
        ..BrandSettings::default()
    });
    for (name, page) in all(&brand, &ATTACK) {
        let html = html(&page);
        assert!(!html.contains("<script>") && !html.contains("<img src=x"), "{name}: {html}");
        assert!(!html.contains("href=\"javascript:") && !html.contains("src=\"javascript:"), "{name}: {html}");
        assert!(html.contains("&#60;script&#62;alert(&#34;1&#34;)"), "{name}: {html}");
    }
}

#[test]
fn pages_bring_no_inline_script_or_style() {
    let brand = brand();
    for sample in [CALM, ATTACK, ENDLESS, ARABIC] {
        for (name, page) in all(&brand, &sample) {
            let html = html(&page);
            assert!(!html.contains("<style") && !html.contains(" style="), "{name}");
            assert_eq!(html.matches("<script").count(), html.matches("<script src=\"/assets/").count(), "{name}");
            assert_eq!(html.contains("<script"), name == "form-post", "{name}");
            let tags = html.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag);
            assert!(!tags.clone().any(|tag| tag.contains(" on") && tag.contains("=\"alert")), "{name}");
            assert_eq!(tags.filter(|tag| tag.contains("rel=\"stylesheet\"")).count(), 1, "{name}");
        }
    }
}

#[test]
fn a_page_with_everything_it_loads_weighs_less_than_30_kb() {
    let brand = brand();
    for (name, page) in all(&brand, &CALM) {
        let html = html(&page);
        let addresses = html.split('"').filter_map(|part| part.strip_prefix(ASSETS));
        let files: usize = addresses.map(|name| brand.asset(name).unwrap().bytes.len()).sum();
        assert!(files > 10_000, "{name} has lost its style sheet");
        assert!(html.len() + files < 30_000, "{name}: {} bytes", html.len() + files);
    }
}

#[test]
fn every_page_states_its_language_and_has_one_heading_and_one_main() {
    let brand = brand();
    for (name, page) in all(&brand, &CALM) {
        let html = html(&page);
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\" dir=\"ltr\">"), "{name}");
        assert_eq!((html.matches("<h1").count(), html.matches("<main").count()), (1, 1), "{name}");
        assert!(!html.contains("<title> ") && html.contains(" · Fernweh</title>"), "{name}");
        for open in ["div", "form", "ul", "li", "p", "span", "button", "a", "main", "dl", "svg", "bdi"] {
            let opened = html.matches(&format!("<{open}>")).count() + html.matches(&format!("<{open} ")).count();
            assert_eq!(opened, html.matches(&format!("</{open}>")).count(), "{name}: <{open}> is not balanced");
        }
    }
}

#[test]
fn every_field_has_a_label_and_every_form_its_flow() {
    let brand = brand();
    for (name, page) in all(&brand, &CALM) {
        for form in html(&page).split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            if name == "account" {
                // Not part of a login: tied to the session instead.
                assert!(form.contains("name=\"token\""), "{name}: {form}");
            } else if !["form-post", "logout", "device", "device-wrong"].contains(&name) {
                assert!(form.contains(&format!("name=\"flow\" value=\"{FLOW}\"")), "{name}: {form}");
            }
            for input in form.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap()) {
                let Some((_, id)) = input.split_once(" id=\"") else {
                    assert!(input.contains("type=\"hidden\""), "{name}: {input}");
                    continue;
                };
                let id = id.split('"').next().unwrap();
                assert!(form.contains(&format!("<label for=\"{id}\"")), "{name}: {id}");
                assert!(input.contains("autocomplete=\""), "{name}: {id}");
            }
        }
    }
}

#[test]
fn a_problem_is_announced_and_leads_to_its_field() {
    let brand = brand();
    let page = sign_up(&brand, &CALM, Some(Message::EmailInvalid)).page();
    let html = html(&page);
    assert!(html.contains("<title>Problem: Create your account · Fernweh</title>"));
    assert!(
        html.contains("role=\"alert\" id=\"problem\"") && html.contains("<a href=\"#email\">Enter an email address")
    );
    assert!(html.contains("aria-invalid=\"true\" aria-describedby=\"problem email-hint\""));
    assert_eq!(html.matches("aria-invalid").count(), 1);
}

#[test]
fn good_news_is_a_status_and_no_alert() {
    let brand = brand();
    let pages = all(&brand, &CALM);
    let (_, page) = pages.iter().find(|(name, _)| *name == "code-sent").unwrap();
    assert!(html(page).contains("role=\"status\"") && !html(page).contains("role=\"alert\""));
}

#[test]
fn headers_forbid_framing_storing_and_foreign_content() {
    let brand = brand();
    for (name, page) in all(&brand, &CALM) {
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; base-uri 'none'; frame-ancestors 'none'"), "{name}: {policy}");
        assert_eq!(policy.contains("script-src"), name == "form-post", "{name}: {policy}");
        assert_eq!(page.headers[CACHE_CONTROL], "no-store", "{name}");
        let referrer = if name == "form-post" { "strict-origin" } else { "same-origin" };
        assert_eq!(page.headers[REFERRER_POLICY], referrer, "{name}");
    }
}

#[test]
fn pictures_from_elsewhere_are_allowed_by_origin_and_cannot_change_the_policy() {
    let brand = brand();
    let with_logo = |uri: &str| ConsentPage { logo_uri: Some(uri.into()), ..consent(&brand, &CALM) }.page();
    let page = with_logo("https://cdn.example/logo.png?x=;script-src *");
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.ends_with("img-src 'self' https://cdn.example"), "{policy}");
    for uri in ["javascript:alert(1)", "data:image/svg+xml,<svg/>", "https://a;script-src.example/", "/local", "x"] {
        let page = with_logo(uri);
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with("img-src 'self'"), "{uri}: {policy}");
        assert!(!html(&page).contains(&format!("src=\"{uri}")), "{uri}");
    }
}

#[test]
fn links_lead_to_the_web_to_this_site_or_to_an_app_and_never_run_script() {
    for link in ["https://a.example/x", "http://127.0.0.1:8080", "/logout"] {
        assert_eq!(web_link(link), Some(link));
    }
    for link in [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "//evil.example",
        "/\\evil.example",
        "data:text/html,x",
        "",
        "x",
        "com.example.app:/cb",
    ] {
        assert_eq!(web_link(link), None, "{link}");
    }
    assert_eq!(app_link("com.example.app:/cb"), Some("com.example.app:/cb"));
    for link in ["javascript:alert(1)", " java\nscript:alert(1)", "vbscript:x", "data:text/html,x", "blob:https://a/b"]
    {
        assert_eq!(app_link(link), None, "{link}");
    }
}

#[test]
fn an_asset_has_a_new_address_when_it_changes_and_is_kept_for_ever() {
    let (one, two) =
        (brand(), Brand::new(BrandSettings { accent: Some("#0a7d5c".into()), ..BrandSettings::default() }));
    assert_ne!(one.stylesheet_url, two.stylesheet_url);
    let file = one.asset(one.stylesheet_url.strip_prefix(ASSETS).unwrap()).unwrap();
    let answer = file.respond(None);
    assert_eq!(
        (answer.status(), &answer.headers()[CACHE_CONTROL]),
        (StatusCode::OK, &HeaderValue::from_static("public, max-age=31536000, immutable"))
    );
    assert_eq!(
        file.respond(Some(&format!("\"x\", W/{}", file.etag))).status(),
        StatusCode::NOT_MODIFIED,
        "{IF_NONE_MATCH}"
    );
    assert!(two.asset(&file.name).is_none() && asset("logo.svg").is_none() && asset("../Cargo.toml").is_none());
}

#[test]
fn a_logo_file_is_served_by_us_and_a_foreign_one_is_allowed_by_the_policy() {
    let image = Logo::Image { extension: "SVG".into(), bytes: Bytes::from_static(b"<svg/>") };
    let own = Brand::new(BrandSettings { logo: Some(image), ..BrandSettings::default() });
    let url = own.logo_url.clone().unwrap();
    assert_eq!(own.asset(url.strip_prefix(ASSETS).unwrap()).unwrap().content_type, "image/svg+xml");
    let foreign = Brand::new(BrandSettings {
        logo: Some(Logo::Url("https://cdn.example/l.png".into())),
        ..BrandSettings::default()
    });
    let page = login(&foreign, &CALM).page();
    assert!(html(&page).contains("<img src=\"https://cdn.example/l.png\" alt=\"\">"));
    assert!(page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap().ends_with("img-src 'self' https://cdn.example"));
}

#[test]
fn monograms_come_from_letters_of_any_script() {
    assert_eq!(
        (initial("  @ronja"), initial(RTL), initial("ßeta"), initial("•••")),
        ("R".into(), "م".into(), "SS".into(), "·".into())
    );
    assert!((0..50).all(|n| tone(&n.to_string()) < 6));
}

#[test]
fn every_page_can_be_looked_at() {
    let folder = std::env::temp_dir().join("samesake-pages");
    fs::create_dir_all(folder.join("assets")).unwrap();
    let looks = [
        ("", brand()),
        (
            "sunny-",
            Brand::new(BrandSettings {
                name: "Sunny".into(),
                accent: Some("#ffd400".into()),
                ..BrandSettings::default()
            }),
        ),
    ];
    for (look, brand) in &looks {
        for (set, sample) in [("", CALM), ("hostile-", ATTACK), ("long-", ENDLESS), ("rtl-", ARABIC)] {
            for (name, page) in all(brand, &sample) {
                let mut html = html(&page).to_owned();
                for address in html.clone().split('"').filter_map(|part| part.strip_prefix(ASSETS)) {
                    fs::write(folder.join("assets").join(address), brand.asset(address).unwrap().bytes).unwrap();
                }
                html = html.replace("=\"/assets/", "=\"assets/").replace("<script src", "<script data-src");
                if set == "rtl-" {
                    html = html.replace("dir=\"ltr\">\n", "dir=\"rtl\">\n");
                }
                fs::write(folder.join(format!("{look}{set}{name}.html")), html).unwrap();
            }
        }
    }
}
