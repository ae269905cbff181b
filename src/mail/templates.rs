//! What we write to customers: each kind of mail as text and as HTML.
//!
//! Nothing that a visitor typed is repeated, so that nobody can send words of their own through us. Where an action
//! depends on whether the address has an account, both mails are here: the page says the same in both cases, and
//! only the owner of the mailbox learns which it was (spec/protocol.md rule 50). The code is not in the subject:
//! subjects are shown on locked screens and kept in servers' logs.

use askama::Template;

use super::Message;
use crate::config::BrandConfig;
use crate::credential::email_code::{CODE_LIFETIME, Code, Purpose};
use crate::identity::address::EmailAddress;

/// Whose paper it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letterhead {
    /// The company's or brand's name.
    pub brand: String,
    /// `#rrggbb`, for the line at the top.
    pub accent: String,
    /// Where customers find help.
    pub support_url: Option<String>,
}

impl From<&BrandConfig> for Letterhead {
    fn from(config: &BrandConfig) -> Self {
        Self {
            brand: config.name.clone(),
            accent: config.accent.clone(),
            support_url: config.support_url.as_ref().map(ToString::to_string),
        }
    }
}

#[derive(Template)]
#[template(path = "mail_code.txt", config = ".askama.toml")]
struct CodeText<'a> {
    letterhead: &'a Letterhead,
    action: &'a str,
    code: &'a str,
    minutes: u64,
}

#[derive(Template)]
#[template(path = "mail_code.html", config = ".askama.toml")]
struct CodeHtml<'a> {
    letterhead: &'a Letterhead,
    action: &'a str,
    code: &'a str,
    minutes: u64,
}

#[derive(Template)]
#[template(path = "mail_notice.txt", config = ".askama.toml")]
struct NoticeText<'a> {
    letterhead: &'a Letterhead,
    notice: &'a Notice<'a>,
}

#[derive(Template)]
#[template(path = "mail_notice.html", config = ".askama.toml")]
struct NoticeHtml<'a> {
    letterhead: &'a Letterhead,
    notice: &'a Notice<'a>,
}

/// A mail that says what happened and offers one way on.
struct Notice<'a> {
    what_happened: String,
    what_to_do: &'a str,
    link: &'a str,
    link_text: &'a str,
}

/// "Your code": what an owner of the address needs to go on.
pub fn code(letterhead: &Letterhead, to: &EmailAddress, purpose: Purpose, code: &Code) -> Message {
    let minutes = CODE_LIFETIME.as_secs() / 60;
    let (noun, action) = match purpose {
        Purpose::SignUp => ("sign-up", "finish creating your account"),
        Purpose::Login => ("sign-in", "sign in"),
        Purpose::Link => ("confirmation", "connect your accounts"),
        Purpose::Reset => ("password", "choose a new password"),
        Purpose::Change => ("confirmation", "use this address for your account"),
    };
    let code = code.expose();
    Message {
        to: to.clone(),
        subject: format!("Your {noun} code for {}", letterhead.brand),
        text: render(&CodeText { letterhead, action, code, minutes }),
        html: render(&CodeHtml { letterhead, action, code, minutes }),
    }
}

/// "You already have an account": instead of a sign-up code, to an address that has one.
pub fn account_exists(letterhead: &Letterhead, to: &EmailAddress, sign_in_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "Someone, probably you, wanted to create an account at {brand} with this e-mail address. \
             You already have one, so no new account was made."
        ),
        what_to_do: "Sign in to the account you have, the way you usually do: with your password, or through the provider \
                     that you used the first time.",
        link: sign_in_url,
        link_text: "Sign in",
    };
    notice_message(letterhead, to, format!("You already have an account at {brand}"), &notice)
}

/// "There is no account": instead of a sign-in or password code, to an address that has none.
pub fn no_account(letterhead: &Letterhead, to: &EmailAddress, sign_up_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "Someone, probably you, wanted to sign in at {brand} with this e-mail address. \
             There is no account with it."
        ),
        what_to_do: "Perhaps you used another address. If you are new, you can create an account.",
        link: sign_up_url,
        link_text: "Create an account",
    };
    notice_message(letterhead, to, format!("Signing in at {brand}"), &notice)
}

/// "You can now also sign in with …": after an account at a provider was connected.
pub fn account_connected(letterhead: &Letterhead, to: &EmailAddress, provider: &str, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!("{provider} was connected to your account at {brand}: you can sign in with it now."),
        what_to_do: "If it was you, there is nothing to do. If not, somebody else may have got into your account: look at \
                     it now, and tell us.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("{provider} was connected to your account"), &notice)
}

/// "You can no longer sign in with …": after an account at a provider was disconnected.
pub fn account_disconnected(letterhead: &Letterhead, to: &EmailAddress, provider: &str, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "{provider} was disconnected from your account at {brand}: you can no longer sign in with it."
        ),
        what_to_do: "If it was you, there is nothing to do. If not, somebody else may have got into your account: look at \
                     it now, and tell us.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("{provider} was disconnected from your account"), &notice)
}

/// "… is no longer a way in": its provider spoke against the account.
pub fn account_in_doubt(letterhead: &Letterhead, to: &EmailAddress, provider: &str, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "{provider} told us that the account you sign in with at {brand} was closed, may be in other hands, or no longer \
             wants to be used here. To protect you, we signed it out and it does not sign you in for now."
        ),
        what_to_do: "Secure your account at the provider first. You can sign in here another way that you have set up; look \
                     at your account, and if anything is not as you left it, tell us.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("{provider} no longer signs you in at {brand}"), &notice)
}

/// "We disconnected …": an admin removed an account at a provider, perhaps the last way in.
pub fn account_removed(letterhead: &Letterhead, to: &EmailAddress, provider: &str, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "We disconnected {provider} from your account at {brand}: you can no longer sign in with it, and what was signed \
             in with it was signed out."
        ),
        what_to_do: "Your account and everything in it are still there. To get back in, sign in another way that you have set \
                     up, or with a provider that knows you by this e-mail address: we then send a code here that proves \
                     that the account is yours. If neither works, or you did not expect this, contact us.",
        link: account_url,
        link_text: "Sign in",
    };
    notice_message(letterhead, to, format!("{provider} was disconnected from your account"), &notice)
}

/// "… was connected, and you were signed out everywhere": the owner of an address has proved it for the first time, on
/// an account that rested on a provider's word until then.
pub fn account_secured(letterhead: &Letterhead, to: &EmailAddress, provider: &str, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "{provider} was connected to your account at {brand}, after its e-mail address was confirmed by a code for the \
             first time. To be safe, everybody who was signed in to the account was signed out."
        ),
        what_to_do: "If it was you, sign in again where you need to. Look at the ways to sign in to your account, and \
                     disconnect what you don’t know. If it was not you, tell us.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("{provider} was connected to your account"), &notice)
}

/// "An address was added": after its owner has confirmed it. `shown` is it, mostly hidden.
pub fn address_added(letterhead: &Letterhead, to: &EmailAddress, shown: &str, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!("The e-mail address {shown} was confirmed for your account at {brand}."),
        what_to_do: "If it was you, there is nothing to do. If not, somebody else may have got into your account: look at \
                     it now, and tell us.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, "An e-mail address was confirmed for your account".to_owned(), &notice)
}

/// "Two accounts are to become one": after somebody has shown that both are theirs.
pub fn merge_requested(letterhead: &Letterhead, to: &EmailAddress, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "Somebody who signed in to your account at {brand}, and to another one there, asks that the two become one."
        ),
        what_to_do: "If it was you, there is nothing to do. If not, somebody else has got into your account: tell us now, \
                     before the accounts are joined.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("Your accounts at {brand} are to become one"), &notice)
}

/// "They stay two": what an admin decided when somebody had asked to make two accounts one.
pub fn merge_declined(letterhead: &Letterhead, to: &EmailAddress, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "You, or somebody who signed in to your account at {brand}, asked to make it one with another account there. We \
             looked at it and did not do so: both accounts stay as they are."
        ),
        what_to_do: "There is nothing to do: everything in your account is as it was. If you want to know why, or if it was \
                     not you who asked, contact us.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("Your accounts at {brand} stay two"), &notice)
}

/// "Your accounts are one now": after their customer has shown that both are theirs and said so.
pub fn accounts_joined(letterhead: &Letterhead, to: &EmailAddress, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "Two accounts at {brand} are one now: somebody signed in to both and joined them. This address stood with one \
             of the two."
        ),
        what_to_do: "If it was you, there is nothing to do: sign in with anything you used before. If not, somebody else \
                     has got into your account: tell us now, it can be undone.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("Your accounts at {brand} are one now"), &notice)
}

/// "All of your account is open to …": one side of two that were joined has proved the other.
pub fn account_opened(letterhead: &Letterhead, to: &EmailAddress, account_url: &str) -> Message {
    let brand = &letterhead.brand;
    let notice = Notice {
        what_happened: format!(
            "Two accounts at {brand} were joined before. Somebody who signed in to one of them has now shown that the \
             other is theirs, too: from now on, whatever signs in to either opens all of it."
        ),
        what_to_do: "If it was you, there is nothing to do. If not, somebody else has got into your account: tell us now, \
                     it can be undone.",
        link: account_url,
        link_text: "Look at your account",
    };
    notice_message(letterhead, to, format!("All of your account at {brand} is open to you"), &notice)
}

fn notice_message(letterhead: &Letterhead, to: &EmailAddress, subject: String, notice: &Notice<'_>) -> Message {
    Message {
        to: to.clone(),
        subject,
        text: render(&NoticeText { letterhead, notice }),
        html: render(&NoticeHtml { letterhead, notice }),
    }
}

fn render(template: &impl Template) -> String {
    // Writing text into a string does not fail; if it ever did, the other form of the mail still says everything.
    template.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a mail could not be rendered");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letterhead() -> Letterhead {
        Letterhead {
            brand: "Brown & Sons <b>".to_owned(),
            accent: "#2457d6".to_owned(),
            support_url: Some("https://help.example.com/?a=1&b=2".to_owned()),
        }
    }

    fn address() -> EmailAddress {
        EmailAddress::parse("alice@example.com").unwrap()
    }

    #[test]
    fn a_code_mail_says_who_writes_what_for_and_how_long() {
        let digits = Code::parse("012345").unwrap();
        for (purpose, words) in [
            (Purpose::SignUp, "finish creating your account"),
            (Purpose::Login, "sign in"),
            (Purpose::Link, "connect your accounts"),
            (Purpose::Reset, "choose a new password"),
            (Purpose::Change, "use this address for your account"),
        ] {
            let message = code(&letterhead(), &address(), purpose, &digits);
            assert!(!message.subject.contains("012345"), "{}", message.subject);
            for form in [&message.text, &message.html] {
                for expected in ["012345", words, "10 minutes", "never"] {
                    assert!(form.contains(expected), "{purpose:?}: {expected:?} is missing in {form}");
                }
            }
        }
    }

    #[test]
    fn text_is_written_plainly_and_html_is_escaped() {
        let message = code(&letterhead(), &address(), Purpose::Login, &Code::parse("012345").unwrap());
        assert!(message.text.contains("Brown & Sons <b>") && message.text.contains("?a=1&b=2"), "{}", message.text);
        assert!(
            !message.html.contains("<b>") && message.html.contains("Brown &#38; Sons &#60;b&#62;"),
            "{}",
            message.html
        );
    }

    #[test]
    fn the_mails_for_an_existing_and_a_missing_account_carry_a_way_on_and_no_code() {
        let url = "https://id.example.com/login?flow=1&x=2";
        for message in [account_exists(&letterhead(), &address(), url), no_account(&letterhead(), &address(), url)] {
            assert!(message.text.contains(url), "{}", message.text);
            assert!(message.html.contains("flow=1&#38;x=2"), "{}", message.html);
            assert!(!message.text.contains(" code"), "{}", message.text);
            assert!(!message.text.contains("\n\n\n") && message.text.ends_with('\n'), "{:?}", message.text);
        }
    }

    #[test]
    fn without_a_help_page_the_mail_does_not_offer_one() {
        let letterhead = Letterhead { support_url: None, ..letterhead() };
        let message = account_exists(&letterhead, &address(), "https://id.example.com/");
        assert!(!message.text.contains("Help") && !message.html.contains("Help"), "{}", message.text);
        assert!(message.text.ends_with("\n") && !message.text.ends_with("\n\n"), "{:?}", message.text);
    }
}
