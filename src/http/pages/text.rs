//! Every word a customer reads on our pages, in one place, so that other languages are other values of [`Text`].
//!
//! Owns the wording and its direction; knows nothing of markup. What an app, a provider or the customer is called is
//! never part of a text: it goes into the gap of a [`Phrase`], where the template isolates its writing direction.

use std::borrow::Cow;

use crate::config::Importable;

/// A sentence with one gap, written `{}`. A language puts the gap where its grammar wants it.
#[derive(Clone, Copy, Debug)]
pub struct Phrase(pub &'static str);

impl Phrase {
    /// What comes before the gap.
    pub fn before(&self) -> &'static str {
        self.0.split_once("{}").map_or(self.0, |(before, _)| before)
    }

    /// What comes after the gap.
    pub fn after(&self) -> &'static str {
        self.0.split_once("{}").map_or("", |(_, after)| after)
    }

    /// The whole as plain text.
    pub fn with(&self, value: &str) -> String {
        format!("{}{value}{}", self.before(), self.after())
    }
}

/// What happened, told to the customer above a form and tied to the field it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Address and password do not go together; the same words for known and unknown addresses.
    WrongCredentials,
    /// Signing in again must be as the same customer.
    AnotherCustomer,
    /// Not an e-mail address.
    EmailInvalid,
    /// The address cannot be used here, such as a role mailbox.
    EmailRefused,
    /// Longer than a name can be.
    NameTooLong,
    /// Nothing was typed.
    PasswordMissing,
    /// Fewer characters than the least allowed.
    PasswordTooShort {
        /// The least number of characters.
        minimum: usize,
    },
    /// More than 1,024 bytes.
    PasswordTooLong,
    /// On the list of the commonest passwords.
    PasswordTooCommon,
    /// Not six digits.
    CodeMalformed,
    /// Six digits, but others.
    CodeWrong {
        /// Tries that are left for this code.
        tries_left: u32,
    },
    /// No device shows this code, or not any more.
    UserCodeUnknown,
    /// Its time or its tries are used up.
    CodeUsedUp,
    /// This flow has had as many codes as it can have.
    TooManyCodes,
    /// Not an error: a new code is on its way.
    CodeSent,
    /// The customer has to wait.
    TooManyTries {
        /// For how long.
        seconds: u64,
    },
    /// The customer turned back at the provider.
    ConnectorCancelled {
        /// The provider as customers know it.
        name: String,
    },
    /// The provider's answer could not be used.
    ConnectorFailed {
        /// The provider as customers know it.
        name: String,
    },
    /// The provider did not answer lately and is not asked for a while.
    ConnectorUnavailable {
        /// The provider as customers know it.
        name: String,
    },
    /// The provider did not say what the company must know.
    ClaimsMissing {
        /// The provider as customers know it.
        name: String,
        /// What it did not say.
        claims: Vec<Importable>,
    },
    /// The provider says something else than the customer did, and the company allows no two answers.
    ClaimDiffers {
        /// The provider as customers know it.
        name: String,
        /// What it is about.
        claim: Importable,
    },
    /// The provider vouches for an address that already belongs to an account here, but not reliably enough to join it.
    EmailTaken,
    /// The company has closed this account.
    AccountBlocked,
    /// The provider spoke against the account there.
    ConnectorAccountDisabled {
        /// The provider as customers know it.
        name: String,
    },
    /// Mail cannot be sent at the moment.
    MailUnavailable,
    /// Not an error: whoever signs in now connects an account at a provider with theirs.
    SignInToConnect {
        /// The provider as customers know it.
        name: String,
    },
    /// More work than we can take at the moment.
    Busy,
}

impl Message {
    /// Whether it is good news, shown calmly.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::CodeSent | Self::SignInToConnect { .. })
    }

    /// The ID of the form field to correct, if there is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::EmailInvalid | Self::EmailRefused => Some("email"),
            Self::NameTooLong => Some("name"),
            Self::WrongCredentials
            | Self::PasswordMissing
            | Self::PasswordTooShort { .. }
            | Self::PasswordTooLong
            | Self::PasswordTooCommon => Some("password"),
            Self::UserCodeUnknown => Some("user_code"),
            Self::CodeMalformed | Self::CodeWrong { .. } | Self::CodeUsedUp => Some("code"),
            _ => None,
        }
    }

    /// The words.
    pub fn text(&self, text: &Text) -> Cow<'static, str> {
        let words = match self {
            Self::WrongCredentials => text.wrong_credentials,
            Self::AnotherCustomer => text.another_customer,
            Self::EmailInvalid => text.email_invalid,
            Self::EmailRefused => text.email_refused,
            Self::NameTooLong => text.name_too_long,
            Self::PasswordMissing => text.password_missing,
            Self::PasswordTooShort { minimum } => return text.password_too_short.with(&minimum.to_string()).into(),
            Self::PasswordTooLong => text.password_too_long,
            Self::PasswordTooCommon => text.password_too_common,
            Self::CodeMalformed => text.code_pattern,
            Self::CodeWrong { tries_left: 1 } => text.code_wrong_last,
            Self::CodeWrong { tries_left } => return text.code_wrong.with(&tries_left.to_string()).into(),
            Self::UserCodeUnknown => text.user_code_unknown,
            Self::CodeUsedUp => text.code_used_up,
            Self::TooManyCodes => text.too_many_codes,
            Self::CodeSent => text.code_sent_again,
            Self::TooManyTries { seconds } => return text.wait(*seconds).into(),
            Self::ConnectorCancelled { name } => return text.connector_cancelled.with(name).into(),
            Self::ConnectorFailed { name } => return text.connector_failed.with(name).into(),
            Self::ConnectorUnavailable { name } => return text.connector_unavailable.with(name).into(),
            Self::ClaimsMissing { name, claims } => {
                let claims: Vec<&str> = claims.iter().map(|claim| text.claim(*claim)).collect();
                return format!("{} {}.", text.claims_missing.with(name), claims.join(", ")).into();
            }
            Self::ClaimDiffers { name, claim } => {
                return format!("{} {}.", text.claim_differs.with(name), text.claim(*claim)).into();
            }
            Self::SignInToConnect { name } => return text.sign_in_to_connect.with(name).into(),
            Self::EmailTaken => text.email_taken,
            Self::AccountBlocked => text.account_blocked,
            Self::ConnectorAccountDisabled { name } => return text.connector_account_disabled.with(name).into(),
            Self::MailUnavailable => text.mail_unavailable,
            Self::Busy => text.busy,
        };
        Cow::Borrowed(words)
    }
}

/// What the mailed code is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// To finish creating an account.
    SignUp,
    /// To prove the address of a customer who came by a provider.
    ProveEmail,
    /// To add an address.
    AddEmail,
    /// To prove the rest of an account.
    ProveWhole,
}

impl CodePurpose {
    /// The page's heading.
    pub fn title(self, text: &Text) -> &'static str {
        match self {
            Self::SignUp => text.code_title_sign_up,
            Self::ProveEmail | Self::AddEmail | Self::ProveWhole => text.code_title_prove,
        }
    }

    /// Where the code is posted to; its form holds the flow.
    pub const fn action(self) -> &'static str {
        match self {
            Self::SignUp => "/sign-up/code",
            Self::ProveEmail => "/link/code",
            Self::AddEmail => "/address/code",
            Self::ProveWhole => "/whole/code",
        }
    }

    /// Where another code is asked for.
    pub const fn resend(self) -> &'static str {
        match self {
            Self::SignUp => "/sign-up/resend",
            Self::ProveEmail => "/link/resend",
            Self::AddEmail => "/address/resend",
            Self::ProveWhole => "/whole/resend",
        }
    }

    /// What entering the code does.
    pub fn text(self, text: &Text) -> &'static str {
        match self {
            Self::SignUp => text.code_text_sign_up,
            Self::ProveEmail | Self::AddEmail => text.code_text_prove,
            Self::ProveWhole => text.code_text_whole,
        }
    }
}

impl Text {
    /// What customers call a claim, at the end of a sentence.
    fn claim(&self, claim: Importable) -> &'static str {
        match claim {
            Importable::Name => self.claim_name,
            Importable::GivenName => self.claim_given_name,
            Importable::FamilyName => self.claim_family_name,
            Importable::PreferredUsername => self.claim_username,
            Importable::Picture => self.claim_picture,
            Importable::Locale => self.claim_locale,
            Importable::Birthdate => self.claim_birthdate,
        }
    }

    fn wait(&self, seconds: u64) -> String {
        match seconds {
            0..=1 => self.wait_moment.to_owned(),
            2..=90 => self.wait_seconds.with(&seconds.to_string()),
            _ => self.wait_minutes.with(&seconds.div_ceil(60).to_string()),
        }
    }
}

macro_rules! catalogue {
    ($($field:ident: $kind:tt = $english:literal;)*) => {
        /// One language's words for every page.
        #[derive(Clone, Debug)]
        pub struct Text {
            $(#[doc = $english] pub $field: catalogue!(@type $kind),)*
        }

        /// English.
        pub static ENGLISH: Text = Text { $($field: catalogue!(@value $kind $english),)* };
    };
    (@type text) => { &'static str };
    (@type gap) => { Phrase };
    (@value text $english:literal) => { $english };
    (@value gap $english:literal) => { Phrase($english) };
}

catalogue! {
    lang: text = "en";
    dir: text = "ltr";
    problem_prefix: text = "Problem:";

    // Words used on several pages
    sign_in: text = "Sign in";
    sign_out: text = "Sign out";
    continue_: text = "Continue";
    cancel: text = "Cancel";
    back_to: gap = "Back to {}";
    or: text = "or";
    email: text = "Email address";
    password: text = "Password";
    to_continue_to: gap = "to continue to {}";
    signed_in_as: text = "Signed in as";
    help: text = "Help";
    privacy: text = "Privacy";
    terms: text = "Terms";

    // Sign in
    reauthenticate_title: text = "Confirm it’s you";
    reauthenticate_for: gap = "Sign in again to continue to {}";
    continue_with: gap = "Continue with {}";
    new_here: text = "New here?";
    create_account: text = "Create account";
    no_way_in: text = "Signing in is not available at the moment. Please try again later.";

    // Sign up
    sign_up_title: text = "Create your account";
    name: text = "Name";
    optional: text = "optional";
    email_hint: text = "We’ll send a code to check that it’s yours.";
    new_password: text = "Choose a password";
    password_hint: gap = "At least {} characters. A few unrelated words work well.";
    have_account: text = "Already have an account?";

    // Mailed code
    code_title_sign_up: text = "Check your email";
    code_title_prove: text = "Confirm your email";
    code_sent: gap = "We sent a six-digit code to {}.";
    code_text_sign_up: text = "Enter it to finish creating your account.";
    code_text_prove: text = "Enter it to confirm that the address is yours.";
    code: text = "Six-digit code";
    code_pattern: text = "Enter the six digits from the email.";
    resend: text = "Send a new code";
    resend_wait: text = "No email yet? Look in your spam folder. You can ask for a new code in a minute.";
    wrong_address: text = "Wrong address?";
    change_address: text = "Change it";

    // An account at a provider that brings a known address
    exists_title: text = "You already have an account";
    exists_with: gap = "There’s an account here with {}.";
    exists_connect: gap = "Show that it’s yours, and from then on you can also sign in with {}.";
    exists_code: text = "Email me a code";
    exists_sign_in: text = "Sign in to that account";
    other_way: text = "Can’t get the code?";
    back: text = "Choose another way";

    // Account page
    account_title: text = "Your account";
    account_ways: text = "How you sign in";
    account_used: gap = "Last used on {}.";
    account_disconnect: gap = "Disconnect {}";
    account_connect: gap = "Connect {}";
    account_add_address: text = "Add an email address";
    account_confirm: text = "Confirm it";
    account_apart: text = "Of an account that was joined with yours. Connect it once more, and you can disconnect it.";
    account_more: text = "Add another way";
    came_on: gap = ", {}.";
    came_first: text = "Your first sign-in";
    came_sign_up: text = "Added when you signed up";
    came_connected: text = "Connected by you";
    came_added: text = "Added and confirmed by you";
    came_confirmed: text = "Confirmed by you";
    came_from: gap = "Confirmed by {}";
    came_brought: text = "Brought along from before";
    came_unproved: text = "Not confirmed";
    stopped_consent: gap = "Doesn’t sign you in: you took back at {} what you had allowed. Sign in with it again to use it.";
    stopped_gone: gap = "Doesn’t sign you in: {} says that this account is gone. Disconnect it and add another way.";
    stopped_doubt: gap = "Doesn’t sign you in: {} closed this account or sees it at risk. Put it right there, and sign in another way until then.";

    // A part of an account
    part_title: text = "This is a part of your account";
    part_lead: text = "It was joined with another one. To see everything, show that the rest is yours as well.";
    part_code: gap = "Email a code to {}";
    part_other: text = "Or connect below what you use to sign in to the rest.";
    code_text_whole: text = "Enter it to show that the rest of the account is yours.";

    // Adding an address
    address_title: text = "Add an email address";
    address_title_newcomer: text = "What’s your email address?";
    address_lead: text = "We’ll send a code to check that it’s yours.";
    address_lead_newcomer: text = "We’ll send a code to check that it’s yours. If you’ve been here before with that address, you’ll find everything as you left it.";
    address_send: text = "Email me a code";
    address_skip: text = "Skip for now";
    address_other: text = "Been here before?";
    address_sign_in: text = "Sign in another way";

    // Two accounts of one person
    both_title: text = "That account is already in use";
    both_lead_provider: gap = "Your {} account is connected to another account here, so it was not connected to this one.";
    both_lead_address: gap = "{} belongs to another account here, so it was not added to this one.";
    both_question: text = "Are both accounts yours? Then they can become one. We’ll show you first what that does.";
    both_yes: text = "Both accounts are mine";
    both_back: text = "Back to your account";
    both_done_title: text = "We’ve noted your request";
    both_done_lead: text = "Your two accounts are to become one, but somebody has to look at it first.";
    both_why_births: text = "The two say different things about when you were born.";
    both_why_numbers: text = "Each holds something that one person has only one of, such as a customer card.";
    both_why_brands: text = "They belong to different brands, whose accounts are kept apart.";
    both_why_other: text = "One of them can’t be joined without us.";
    both_done_now: text = "Until then nothing changes: both accounts work as they do now.";
    both_done_mail: text = "We’ve written to the confirmed addresses of both accounts, so that nobody joins them behind your back.";
    both_done_after: text = "Afterwards you can sign in with everything you use today, and find the same account.";

    // Joining them
    join_title: text = "Make them one account?";
    join_lead: gap = "You stay signed in as {}. The other account becomes part of this one:";
    join_ways: text = "These sign you in here, too";
    join_values: text = "Your profile will say";
    join_phone: text = "Phone";
    join_birthdate: text = "Date of birth";
    join_username: text = "Username";
    join_locale: text = "Language";
    join_app_this: gap = "{} sees no change.";
    join_app_other: gap = "{} keeps what it knows of the other account and now finds you here.";
    join_app_both: gap = "{} knew you as two people and is told that you are one.";
    join_and: text = "And";
    join_password: text = "The other account’s password stops working. The one of this account stays.";
    join_signs_out: text = "Wherever the other account is signed in, you’ll be asked to sign in again.";
    join_mail: text = "We write to the confirmed addresses of both accounts.";
    join_undo: gap = "If it turns out to be wrong, we can undo it within {} days: contact us.";
    join_yes: text = "Join the accounts";
    join_no: text = "Leave them as they are";
    joined_title: text = "Your accounts are one now";
    joined_lead: text = "Whatever you signed in with before, from now on it brings you here.";
    joined_mail: text = "We’ve written to the confirmed addresses of both accounts.";

    // Connecting a device
    device_title: text = "Connect a device";
    device_lead: text = "Enter the code that your device shows.";
    device_code: text = "Code";
    device_confirm_title: gap = "Sign in to {} on your device?";
    device_warning: text = "Only go on if you started this yourself and your device shows this code:";
    device_place: gap = "It was asked for from the network address {}.";
    device_done_title: text = "Your device is connected";
    device_done_text: text = "Go on there. You can close this page.";
    device_denied_title: text = "Your device is not connected";
    device_denied_text: text = "Nothing was shared with it. You can close this page.";

    // Consent and account choice
    consent_title: gap = "Allow {} to use your account?";
    consent_list: text = "What it asks for";
    allow: text = "Allow";
    deny: text = "Don’t allow";
    you_return_to: gap = "You’ll return to {}";
    client_policy: text = "Their privacy policy";
    client_terms: text = "Their terms of service";
    select_title: text = "Choose an account";
    continue_as: text = "Continue as";
    other_account: text = "Use another account";

    // Start page and sign out
    signed_in_title: text = "You’re signed in";
    in_this_browser: text = "In this browser as";
    signed_out_home: text = "You’re not signed in";
    signed_out_home_text: text = "Sign in here, or open an app and sign in there. Once is enough for all of them.";
    apps: text = "Apps";
    logout_title: text = "Sign out?";
    logout_asked_by: gap = "{} asks to sign you out.";
    logout_text: text = "This signs you out in this browser, from every app that uses this account.";
    stay_signed_in: text = "Stay signed in";
    logged_out_title: text = "You’re signed out";
    logged_out_text: text = "On a shared computer, close the browser window as well.";

    // On the way back to the app
    form_post_title: text = "One moment…";
    form_post_text: text = "We’re taking you back to the app. If nothing happens, press Continue.";

    // Failures
    request_id: text = "Request ID";
    for_developers: text = "Details for developers";
    error_code: text = "Error";
    error_description: text = "Description";
    expired_title: text = "This page has expired";
    expired_text: text = "For your safety a sign-in is only kept open for a short time. Nothing is lost: just start again.";
    expired_hint: text = "If this keeps happening, check that your browser accepts cookies from this site.";
    start_again_at: gap = "Start again at {}";
    start_page: text = "Go to the start page";

    // Messages above a form
    wrong_credentials: text = "That email address and password don’t match an account. Check both and try again.";
    another_customer: text = "That’s a different account. Please sign in with the one you were using.";
    email_invalid: text = "Enter an email address, like name@example.com.";
    email_refused: text = "This address belongs to a shared mailbox. Please use your own.";
    name_too_long: text = "That name is too long. Please use at most 200 characters.";
    password_missing: text = "Enter your password.";
    password_too_short: gap = "Use at least {} characters for your password.";
    password_too_long: text = "That password is too long. Please use at most 1,024 characters.";
    password_too_common: text = "Too many people use that password, so it’s easy to guess. Please choose another.";
    user_code_unknown: text = "We don’t know that code, or its time is up. Check it, or have your device show a new one.";
    code_wrong: gap = "That’s not the code we sent. You have {} more tries.";
    code_wrong_last: text = "That’s not the code we sent. You have one more try.";
    code_used_up: text = "That code no longer works. Ask for a new one below.";
    too_many_codes: text = "That’s as many codes as we can send for this. Choose another way, or start again later.";
    code_sent_again: text = "A new code is on its way. The old one no longer works.";
    wait_moment: text = "That was a little fast. Please try again in a moment.";
    wait_seconds: gap = "Too many tries. Please wait {} seconds, then try again.";
    wait_minutes: gap = "Too many tries. Please wait {} minutes, then try again.";
    connector_cancelled: gap = "You turned back at {}. You can try again or choose another way.";
    connector_failed: gap = "Signing in with {} didn’t work this time. Try again or choose another way.";
    connector_unavailable: gap = "{} isn’t available right now. Please choose another way, or try again in a few minutes.";
    claims_missing: gap = "We need something that {} didn’t tell us, so nothing was changed. Add it there, or allow it to be shared, and try again, or choose another way. Missing:";
    claim_differs: gap = "What {} says about you isn’t what you told us, so nothing was changed. Correct it there and try again, or choose another way. It’s about:";
    claim_name: text = "your name";
    claim_given_name: text = "your first name";
    claim_family_name: text = "your last name";
    claim_username: text = "your username";
    claim_picture: text = "your picture";
    claim_locale: text = "your language";
    claim_birthdate: text = "your date of birth";
    sign_in_to_connect: gap = "Sign in the way you usually do. {} is then connected to your account.";
    email_taken: text = "There is already an account with this email address. Sign in to it the way you usually do.";
    account_blocked: text = "This account can’t be used at the moment. Please contact us.";
    connector_account_disabled: gap = "{} told us that this account is closed or may be in other hands, so it can’t be used here. Secure it there first, sign in another way, or contact us.";
    mail_unavailable: text = "We can’t send email at the moment. Please try again in a few minutes.";
    busy: text = "A lot of people are signing in right now. Please try again in a few seconds.";
}
