//! What the commands do, one file each: they read the configuration, call the parts, and print.

mod check_config;

pub use check_config::check_config;
