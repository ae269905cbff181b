//! What browsers, apps and admins do, one thing after the other.

use std::net::Ipv4Addr;

use reqwest::{Method, StatusCode};
use samesake::identity::merge::{self, MergeKind, Outcome, Terms};
use samesake::store::Error;
use serde_json::json;
use url::Url;

use super::book::Sighting;
use super::world::{APPS, FAMILIES, KNOWN, Kept, World, id_in, of_family};
use crate::harness::app::PASSWORD;
use crate::harness::invariants::Graph;
use crate::harness::relying_party::{Authorization, Tokens};
use crate::harness::{Browser, Page};
use crate::identity::merge::by_customer;
use crate::identity::races::Dice;

/// Somebody who does things.
pub struct Walker {
    dice: Dice,
    number: usize,
    browsers: u32,
}

impl Walker {
    pub fn new(number: usize) -> Walker {
        Walker { dice: Dice(0x50a6 + number as u64), number, browsers: 0 }
    }

    pub async fn step(&mut self, world: &World<'_>) {
        let family = self.dice.roll(FAMILIES);
        match self.dice.roll(100) {
            0..19 => self.log_in(world, family).await,
            19..32 => self.refresh(world).await,
            32..38 => self.ask_userinfo(world).await,
            38..49 => self.connect(world, family).await,
            49..59 => self.disconnect(world, family).await,
            59..74 => self.merge(world, family).await,
            74..81 => self.merge_fully(world, family).await,
            81..92 => self.undo(world).await,
            92..97 => self.sign_in_as_both(world, family).await,
            _ => self.erase(world, family).await,
        }
    }

    /// A browser of its own, behind a load balancer, in a household of its own.
    fn browser(&mut self, world: &World<'_>) -> Browser {
        self.browsers += 1;
        let [_, _, high, low] = self.browsers.to_be_bytes();
        let address = Ipv4Addr::new(10, u8::try_from(self.number).unwrap(), high, low);
        let browser = Browser::new().with_header("x-forwarded-for", &address.to_string());
        browser.via(&world.issuer, world.replica(&mut self.dice))
    }

    /// An account that somebody of the family signs in with.
    fn known(&mut self, family: usize) -> usize {
        of_family(family).start + self.dice.roll(KNOWN)
    }

    /// Any account of the family.
    fn any(&mut self, family: usize) -> usize {
        let all = of_family(family);
        all.start + self.dice.roll(all.len())
    }

    async fn log_in(&mut self, world: &World<'_>, family: usize) {
        let account = self.known(family);
        let (app, browser) = (self.dice.roll(APPS.len()), self.browser(world));
        if self.log_in_as(world, account, app, &browser).await.is_some() {
            world.count("login");
        }
    }

    /// A login with what follows from it: tokens, and what is to be known of their customer. `None` if somebody took the
    /// ground away meanwhile.
    pub async fn log_in_as(
        &mut self,
        world: &World<'_>,
        account: usize,
        app: usize,
        browser: &Browser,
    ) -> Option<(Tokens, String)> {
        let from = world.env.clock.now();
        let rp = world.app(app, &mut self.dice);
        let authorization = rp.authorization_with(&[("prompt", "login")]);
        let page = browser.get(&authorization.url).await;
        let callback = prove(world, browser, &page, account).await?;
        let tokens = self.tokens(world, app, &authorization, &callback).await?;
        let sub = tokens.claims["sub"].as_str().unwrap().to_owned();
        world.see(Sighting { sector: world.sector(app), sub: sub.clone(), account, from, to: world.env.clock.now() });
        let (access, refresh) = (tokens.access_token.clone(), tokens.refresh_token.clone().unwrap());
        let kept = Kept { app, account, sub, access, refresh };
        let name = self.userinfo(world, &kept).await?;
        world.kept.lock().unwrap().push(kept);
        Some((tokens, name))
    }

    /// What a callback comes to. Its code is void if the session was ended in between.
    async fn tokens(
        &mut self,
        world: &World<'_>,
        app: usize,
        authorization: &Authorization,
        callback: &Page,
    ) -> Option<Tokens> {
        assert!(callback.status.as_u16() < 500, "{}: {}", callback.url, callback.text());
        if !callback.stopped {
            world.count("turned away");
            return None;
        }
        let rp = world.app(app, &mut self.dice);
        let code = rp.code(authorization, callback);
        let answer = rp.redeem(authorization, &code).await;
        if answer.status == StatusCode::BAD_REQUEST {
            assert_eq!(answer.error(), "invalid_grant");
            world.count("void code");
            return None;
        }
        Some(rp.tokens(authorization, answer).await)
    }

    /// The name that is shown for a token, which is one of the family; `None` if the token is void by now.
    async fn userinfo(&mut self, world: &World<'_>, kept: &Kept) -> Option<String> {
        let answer = world.app(kept.app, &mut self.dice).userinfo(&kept.access).await;
        if answer.status == StatusCode::UNAUTHORIZED {
            return None;
        }
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.body["sub"], kept.sub, "OpenID Connect Core §5.3.2");
        let name = answer.body["name"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
        let family = world.accounts[kept.account].family;
        let theirs = of_family(family).any(|account| world.accounts[account].id == name);
        assert!(theirs, "rule 46: {kept:?} sees {name}");
        Some(name)
    }

    fn take_kept(&mut self, world: &World<'_>) -> Option<Kept> {
        let mut kept = world.kept.lock().unwrap();
        let most = kept.len().checked_sub(1)?;
        Some(kept.swap_remove(self.dice.roll(most + 1)))
    }

    async fn ask_userinfo(&mut self, world: &World<'_>) {
        let Some(kept) = self.take_kept(world) else { return };
        if self.userinfo(world, &kept).await.is_some() {
            world.count("userinfo");
        }
        world.kept.lock().unwrap().push(kept);
    }

    /// Now and then twice at once, as two tabs do it.
    async fn refresh(&mut self, world: &World<'_>) {
        let Some(kept) = self.take_kept(world) else { return };
        let from = world.env.clock.now();
        let (one, other) = (world.app(kept.app, &mut self.dice), world.app(kept.app, &mut self.dice));
        let again = async |twice: bool| if twice { Some(other.refresh(&kept.refresh).await) } else { None };
        let twice = self.dice.roll(4) == 0;
        let (answer, again) = futures::join!(one.refresh(&kept.refresh), again(twice));
        if answer.status == StatusCode::BAD_REQUEST {
            assert_eq!(answer.error(), "invalid_grant");
            world.count("ended family");
            return;
        }
        let tokens = one.token_response(answer).await;
        let to = world.env.clock.now();
        assert_eq!(tokens.claims["sub"], kept.sub, "OpenID Connect Core §12.2: {kept:?}");
        world.see(Sighting { sector: world.sector(kept.app), sub: kept.sub.clone(), account: kept.account, from, to });
        let refresh = tokens.refresh_token.clone().unwrap();
        if let Some(again) = again.filter(|again| again.status.is_success()) {
            assert_eq!(again.body["refresh_token"], refresh, "protocol rule 17: no fork");
        }
        world.count("refresh");
        world.kept.lock().unwrap().push(Kept { access: tokens.access_token, refresh, ..kept });
    }

    async fn connect(&mut self, world: &World<'_>, family: usize) {
        let (account, browser) = (self.known(family), self.browser(world));
        let mut other = self.any(family);
        while world.accounts[other].connector.is_none() {
            other = self.any(family);
        }
        let Some(page) = account_page(world, &browser, account).await else { return };
        let Some(page) = through(world, &browser, &page, "/account/connect", other).await else { return };
        assert!(page.status.as_u16() < 500, "{}: {}", page.url, page.text());
        world.count(match (page.status, page.url.path()) {
            (StatusCode::OK, "/account") => "link",
            _ => "no link",
        });
    }

    async fn disconnect(&mut self, world: &World<'_>, family: usize) {
        let (account, browser) = (self.known(family), self.browser(world));
        let Some(page) = account_page(world, &browser, account).await else { return };
        let forms = page.forms();
        let fields = forms.iter().filter(|form| form.action == "/account/disconnect").flat_map(|form| &form.fields);
        let links: Vec<String> = fields.filter(|field| field.name == "link").map(|field| field.value.clone()).collect();
        if links.is_empty() {
            return;
        }
        let link = &links[self.dice.roll(links.len())];
        let page = browser.submit(&page, "/account/disconnect", &[("link", link)]).await;
        assert!(page.status.as_u16() < 500, "{}: {}", page.url, page.text());
        world.count(match page.status {
            StatusCode::OK => "unlink",
            _ => "no unlink",
        });
    }

    /// By an admin: planned, then made as planned.
    async fn merge(&mut self, world: &World<'_>, family: usize) {
        let (one, other) = (self.any(family), self.any(family));
        for _ in 0..5 {
            let ids = (world.whose(one, &mut self.dice).await, world.whose(other, &mut self.dice).await);
            let (Some(survivor), Some(absorbed)) = ids else { return };
            if survivor == absorbed {
                return world.count("one already");
            }
            let wanted = json!({ "survivor": survivor, "absorbed": absorbed });
            let plan = world.ask(Method::POST, "/merges/plan", Some(&wanted), &mut self.dice).await;
            if plan.status != StatusCode::OK || plan.body["refusals"] != json!([]) {
                return world.count("no merge");
            }
            let agreed = json!({
                "survivor": survivor, "absorbed": absorbed, "plan_hash": plan.body["hash"], "reason": "soak",
            });
            let made = world.change("/merges", &agreed, &mut self.dice).await;
            if made.status == StatusCode::OK {
                world.merges.lock().unwrap().push(id_in(&made, "merge").parse().unwrap());
                return world.count("merge");
            }
            // Planned again if something came between.
            assert_eq!(made.status, StatusCode::CONFLICT, "{}", made.text);
        }
        world.count("no merge");
    }

    /// As the customer, who has proved both.
    async fn merge_fully(&mut self, world: &World<'_>, family: usize) {
        let (one, other) = (self.any(family), self.any(family));
        let ids = (world.whose(one, &mut self.dice).await, world.whose(other, &mut self.dice).await);
        let (Some(survivor), Some(absorbed)) = ids else { return };
        let now = world.env.clock.now();
        let request = by_customer(survivor, absorbed, now);
        match merge::execute(&world.store, &world.config, &request, Terms::default(), now).await {
            Ok(Outcome::Done(made)) if !made.repeated && made.kind == MergeKind::Full => {
                world.merges.lock().unwrap().push(made.merge);
                world.count("full merge");
            }
            Ok(_) | Err(Error::Contention) => world.count("no full merge"),
            Err(error) => panic!("{error}"),
        }
    }

    async fn undo(&mut self, world: &World<'_>) {
        let merge = {
            let mut merges = world.merges.lock().unwrap();
            let Some(most) = merges.len().checked_sub(1) else { return };
            // Now and then somebody else undoes it at the same time.
            let at = self.dice.roll(most + 1);
            if self.dice.roll(4) == 0 { merges[at] } else { merges.swap_remove(at) }
        };
        let plan =
            world.ask(Method::POST, &format!("/merges/{merge}/undo/plan"), Some(&json!({})), &mut self.dice).await;
        if plan.status != StatusCode::OK || plan.body["refusals"] != json!([]) {
            return world.count("no undo");
        }
        let agreed = json!({ "reason": "soak", "plan_hash": plan.body["hash"] });
        let undone = world.change(&format!("/merges/{merge}/undo"), &agreed, &mut self.dice).await;
        if undone.status != StatusCode::OK {
            assert_eq!(undone.status, StatusCode::CONFLICT, "{}", undone.text);
            return world.count("no undo");
        }
        world.book.lock().unwrap().undone(merge, world.env.clock.now());
        // So that they may be merged again.
        let pair = json!({ "a": undone.body["from"], "b": undone.body["restored"] });
        world.change("/not-same/lift", &pair, &mut self.dice).await;
        world.count(if undone.body["repeated"] == true { "undone already" } else { "undo" });
    }

    /// Two logins in one browser: if they are two sides of one customer, their ways in are one from then on.
    async fn sign_in_as_both(&mut self, world: &World<'_>, family: usize) {
        let (one, other, browser) = (self.known(family), self.known(family), self.browser(world));
        let app = self.dice.roll(APPS.len());
        for account in [one, other] {
            if self.log_in_as(world, account, app, &browser).await.is_some() {
                world.count("login");
            }
        }
    }

    async fn erase(&mut self, world: &World<'_>, family: usize) {
        let account = self.any(family);
        let Some(customer) = world.whose(account, &mut self.dice).await else { return };
        let path = format!("/customers/{customer}/erase");
        let answer = world.change(&path, &json!({ "reason": "soak" }), &mut self.dice).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        world.book.lock().unwrap().erased.push((family, customer));
        world.count("erase");
    }
}

/// Proves to be who has this account, on a page that asks to sign in; answers where that leads.
async fn prove(world: &World<'_>, browser: &Browser, page: &Page, account: usize) -> Option<Page> {
    if world.accounts[account].connector.is_some() {
        return through(world, browser, page, "/login/social", account).await;
    }
    let email = &world.accounts[account].id;
    Some(browser.submit(page, "/login/password", &[("email", email), ("password", PASSWORD)]).await)
}

/// Goes through the provider as somebody. `None` if the gateway asks for something else first.
async fn through(world: &World<'_>, browser: &Browser, page: &Page, form: &str, account: usize) -> Option<Page> {
    let account = &world.accounts[account];
    let begun = browser.submit_one(page, form, &[("connector", account.connector.unwrap())]).await;
    assert!(begun.status.as_u16() < 500, "{}: {}", begun.url, begun.text());
    let mut there: Url = begun.redirect()?;
    if there.origin() != world.upstream.issuer().origin() {
        return None;
    }
    there.query_pairs_mut().append_pair("person", &account.id);
    let back = browser.get_one(&there).await.redirect().unwrap();
    Some(browser.get(&back).await)
}

/// The account page after a login; `None` if it does not lead there.
async fn account_page(world: &World<'_>, browser: &Browser, account: usize) -> Option<Page> {
    let login = browser.get(world.issuer.join("/account").unwrap()).await;
    let page = prove(world, browser, &login, account).await?;
    assert!(page.status.as_u16() < 500, "{}: {}", page.url, page.text());
    (page.url.path() == "/account" && page.status == StatusCode::OK).then_some(page)
}

/// When nothing else happens, everybody who has a way in gets in, and sees their own side of things and no more.
pub async fn everybody_once_more(world: &World<'_>, before: &Graph) {
    let mut walker = Walker::new(200);
    for account in 0..world.accounts.len() {
        let (namespace, id) = world.accounts[account].key();
        let Some(link) = before.live(&namespace, &id).first().copied() else { continue };
        if namespace == "email" && !has_password(before, &link.root) {
            continue;
        }
        let browser = walker.browser(world);
        let login = walker.log_in_as(world, account, account % APPS.len(), &browser).await;
        let (_, name) = login.unwrap_or_else(|| panic!("{link:?} is shut out"));
        let side = seen_by(before, &link.customer);
        let names: Vec<&str> =
            side.iter().filter_map(|id| before.customers[*id].profile["name"]["value"].as_str()).collect();
        assert!(names.contains(&name.as_str()), "rule 46: {link:?} sees {name}, and not one of {names:?}");
    }
}

fn has_password(graph: &Graph, root: &str) -> bool {
    graph.credentials.iter().any(|row| row[2] == root && row[4] == "live")
}

/// The rows whose values a login by this row may see: those below the topmost row that its keys open.
fn seen_by<'g>(graph: &'g Graph, row: &'g str) -> Vec<&'g str> {
    let mut top = row;
    while let Some(customer) = graph.customers.get(top)
        && customer.keys_joined
    {
        top = &customer.absorbed_by;
    }
    let is_below = |id: &str| {
        let mut at = id;
        while at != top && !graph.customers[at].absorbed_by.is_empty() {
            at = &graph.customers[at].absorbed_by;
        }
        at == top
    };
    graph.customers.keys().map(String::as_str).filter(|id| is_below(id)).collect()
}
