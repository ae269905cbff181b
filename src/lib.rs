//! The customer identity gateway.
#![doc = ""]
#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connector;
pub mod credential;
pub mod demo;
pub mod events;
pub mod handoff;
pub mod http;
pub mod identity;
pub mod ids;
pub mod keys;
pub mod kv;
pub mod mail;
pub mod oidc;
pub mod outbound;
pub mod protocol;
pub mod secret;
pub mod serve;
pub mod session;
pub mod store;
pub mod telemetry;
