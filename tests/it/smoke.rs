//! The harness itself: both pairs give a test its own back ends.

use crate::harness::Env;
use crate::on_both;

on_both! {
    /// Two tests never meet in one database.
    async fn each_test_has_a_database(env: &Env) {
        let other = Env::new(env.pair);
        assert_ne!(env.database_url().await, other.database_url().await);
    }
}
