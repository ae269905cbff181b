//! The demonstration: a shop, a second app, a personalization page and a stand-in social provider around a gateway.

pub mod pages;
