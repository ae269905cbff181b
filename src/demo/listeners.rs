//! The demonstration's ports: all bound before anything is configured, or a message that names the one that is taken.

use std::io;
use std::net::Ipv4Addr;

use anyhow::bail;
use tokio::net::TcpListener;

/// The only address anything here listens on.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// One listener for each part.
pub(super) struct Listeners {
    pub(super) gateway: TcpListener,
    pub(super) shop: TcpListener,
    pub(super) second: TcpListener,
    pub(super) back_end: TcpListener,
    pub(super) personalization: TcpListener,
    pub(super) provider: TcpListener,
}

/// The origins of the parts, without a slash at the end.
#[derive(Clone, Debug)]
pub struct Urls {
    /// The gateway: the issuer of all tokens.
    pub gateway: String,
    /// The shop, Fernweh Outfitters.
    pub shop: String,
    /// The second app, Fernweh Magazine.
    pub second: String,
    /// The shop's back end.
    pub back_end: String,
    /// The page that sees signed identities only.
    pub personalization: String,
    /// Chirp, the stand-in social provider.
    pub provider: String,
}

impl Urls {
    /// Where admins look after customers.
    pub fn desk(&self) -> String {
        format!("{}/admin", self.gateway)
    }

    /// Where the gateway's mails can be read.
    pub fn mailbox(&self) -> String {
        format!("{}/mailbox", self.shop)
    }
}

impl Listeners {
    /// Binds six ports from `base` on, or any six free ones if it is 0.
    pub(super) async fn bind(base: u16) -> anyhow::Result<Self> {
        Ok(Self {
            gateway: bind(base, 0, "gateway").await?,
            shop: bind(base, 1, "shop").await?,
            second: bind(base, 2, "second app").await?,
            back_end: bind(base, 3, "back end").await?,
            personalization: bind(base, 4, "personalization page").await?,
            provider: bind(base, 5, "stand-in provider").await?,
        })
    }

    pub(super) fn urls(&self) -> io::Result<Urls> {
        let origin = |listener: &TcpListener| Ok::<_, io::Error>(format!("http://{}", listener.local_addr()?));
        Ok(Urls {
            gateway: origin(&self.gateway)?,
            shop: origin(&self.shop)?,
            second: origin(&self.second)?,
            back_end: origin(&self.back_end)?,
            personalization: origin(&self.personalization)?,
            provider: origin(&self.provider)?,
        })
    }
}

async fn bind(base: u16, offset: u16, part: &str) -> anyhow::Result<TcpListener> {
    let port = match base {
        0 => 0,
        base => base.saturating_add(offset),
    };
    match TcpListener::bind((HOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
            "port {port}, wanted by the {part}, is taken; end what listens there, or move all ports: \
             samesake demo --port-base {}",
            if base < 9000 { 9080 } else { 18080 }
        ),
        Err(error) => Err(anyhow::Error::new(error).context(format!("the {part} cannot listen on port {port}"))),
    }
}
