//! What customers are told of what an admin did: mails queued in the transaction of the deed.

use crate::clock::Timestamp;
use crate::config::Config;
use crate::identity::address::EmailAddress;
use crate::mail::Message;
use crate::mail::queue;
use crate::mail::templates::Letterhead;
use crate::secret::DerivedKey;
use crate::store::{self, Tx};

/// What a mail to a customer needs of the installation.
pub struct Notices<'a> {
    letterhead: Letterhead,
    account_url: String,
    key: &'a DerivedKey,
}

impl<'a> Notices<'a> {
    /// Those of an installation; the key is that of queued mail.
    pub fn new(config: &Config, key: &'a DerivedKey) -> Self {
        Self { letterhead: Letterhead::from(&config.brand), account_url: config.server.endpoint("/account"), key }
    }

    /// Queues a mail to each address. `message` is given the letterhead, the address, and that of the account page.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tell(
        &self,
        tx: &mut Tx,
        addresses: &[EmailAddress],
        now: Timestamp,
        message: impl Fn(&Letterhead, &EmailAddress, &str) -> Message,
    ) -> Result<(), store::Error> {
        for address in addresses {
            let message = message(&self.letterhead, address, &self.account_url);
            queue::queue(tx, self.key, &message, now).await?;
        }
        Ok(())
    }
}
