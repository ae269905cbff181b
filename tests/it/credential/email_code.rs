//! A mailed code is right once, for what it was made for, within five tries, however many try at once.

use futures::future::join_all;
use samesake::credential::email_code::{
    self, Binding, CODE_LIFETIME, Code, Issued, MAX_CODES, MAX_TRIES, Outcome, Purpose,
};
use samesake::identity::address::EmailAddress;
use samesake::kv::Kv;
use samesake::secret::DerivedKey;

use super::key;
use crate::harness::{Env, Pair};
use crate::on_both;

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

async fn issue(kv: &Kv, key: &DerivedKey, binding: &Binding<'_>) -> Code {
    match email_code::issue(kv, key, binding).await.unwrap() {
        Issued::Code(code) => code,
        Issued::TooMany => panic!("the flow has had its codes"),
    }
}

/// Another code than this one.
fn wrong(code: &Code) -> Code {
    let number: u32 = code.expose().parse().unwrap();
    Code::parse(&format!("{:06}", (number + 1) % 1_000_000)).unwrap()
}

/// Tries all codes at once, each on a task of its own.
async fn check_at_once(kv: &Kv, key: &DerivedKey, codes: Vec<Code>) -> Vec<Outcome> {
    let tasks = codes.into_iter().map(|code| {
        let (kv, key) = (kv.clone(), key.clone());
        tokio::spawn(async move {
            let address = address("alice@example.com");
            let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
            email_code::check(&kv, &key, &binding, &code).await.unwrap()
        })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

on_both! {
    async fn a_code_is_right_once(env: &Env) {
        let (kv, key, address) = (env.kv().await, key(), address("Alice@Example.com"));
        let binding = Binding { purpose: Purpose::SignUp, address: &address, flow: "flow" };
        let code = issue(&kv, &key, &binding).await;
        // Another spelling of the same address is the same address.
        let typed = EmailAddress::parse("alice@EXAMPLE.com").unwrap();
        let binding = Binding { address: &typed, ..binding };
        assert_eq!(email_code::check(&kv, &key, &binding, &code).await.unwrap(), Outcome::Right);
        assert_eq!(email_code::check(&kv, &key, &binding, &code).await.unwrap(), Outcome::Void);
    }

    async fn of_twenty_right_answers_at_once_exactly_one_is_let_in(env: &Env) {
        let (kv, key, address) = (env.kv().await, key(), address("alice@example.com"));
        let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
        let code = issue(&kv, &key, &binding).await;
        let outcomes = check_at_once(&kv, &key, vec![code; 20]).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Right).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Void).count(), 19);
    }

    async fn fifty_guesses_at_once_use_up_exactly_five_tries(env: &Env) {
        let (kv, key, address) = (env.kv().await, key(), address("alice@example.com"));
        let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
        let code = issue(&kv, &key, &binding).await;
        let mut outcomes = check_at_once(&kv, &key, vec![wrong(&code); 50]).await;
        outcomes.retain(|outcome| *outcome != Outcome::Void);
        let mut left: Vec<u64> = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Wrong { tries_left } => tries_left,
                Outcome::Right | Outcome::Void => panic!("a wrong code is {outcome:?}"),
            })
            .collect();
        left.sort_unstable();
        assert_eq!(left, [1, 2, 3, 4], "the fifth wrong try leaves nothing to try");
        // Too late for the right one too.
        assert_eq!(email_code::check(&kv, &key, &binding, &code).await.unwrap(), Outcome::Void);
    }

    async fn the_fifth_try_may_still_be_right(env: &Env) {
        let (kv, key, address) = (env.kv().await, key(), address("alice@example.com"));
        let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
        let code = issue(&kv, &key, &binding).await;
        for tries_left in (1..MAX_TRIES).rev() {
            let outcome = email_code::check(&kv, &key, &binding, &wrong(&code)).await.unwrap();
            assert_eq!(outcome, Outcome::Wrong { tries_left });
        }
        assert_eq!(email_code::check(&kv, &key, &binding, &code).await.unwrap(), Outcome::Right);
    }

    async fn a_code_of_one_flow_purpose_or_address_is_refused_in_another(env: &Env) {
        let (kv, key, alice, eve) = (env.kv().await, key(), address("alice@example.com"), address("eve@example.com"));
        let asked = Binding { purpose: Purpose::Login, address: &alice, flow: "flow" };
        let others = [
            Binding { flow: "another flow", ..asked },
            Binding { flow: "", ..asked },
            Binding { purpose: Purpose::Link, ..asked },
            Binding { purpose: Purpose::Reset, ..asked },
            Binding { address: &eve, ..asked },
        ];
        let code = issue(&kv, &key, &asked).await;
        for other in &others {
            assert_eq!(email_code::check(&kv, &key, other, &code).await.unwrap(), Outcome::Void, "{other:?}");
        }
        // Also when there has been a code in the other one.
        for other in &others {
            let theirs = issue(&kv, &key, other).await;
            if theirs != code {
                let outcome = email_code::check(&kv, &key, other, &code).await.unwrap();
                assert!(matches!(outcome, Outcome::Wrong { .. }), "{other:?}: {outcome:?}");
            }
        }
        // And none of it has used up a try of the flow that asked.
        for tries_left in (1..MAX_TRIES).rev() {
            let outcome = email_code::check(&kv, &key, &asked, &wrong(&code)).await.unwrap();
            assert_eq!(outcome, Outcome::Wrong { tries_left });
        }
        assert_eq!(email_code::check(&kv, &key, &asked, &code).await.unwrap(), Outcome::Right);
    }

    async fn another_installations_key_does_not_open_a_code(env: &Env) {
        let (kv, address) = (env.kv().await, address("alice@example.com"));
        let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
        let code = issue(&kv, &key(), &binding).await;
        assert_eq!(email_code::check(&kv, &key(), &binding, &code).await.unwrap(), Outcome::Void);
    }

    async fn only_the_newest_code_works_and_it_has_five_tries_of_its_own(env: &Env) {
        let (kv, key, address) = (env.kv().await, key(), address("alice@example.com"));
        let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
        let first = issue(&kv, &key, &binding).await;
        for _ in 0..MAX_TRIES + 2 {
            email_code::check(&kv, &key, &binding, &wrong(&first)).await.unwrap();
        }
        let mut second = issue(&kv, &key, &binding).await;
        while second == first {
            second = issue(&kv, &key, &binding).await;
        }
        let outcome = email_code::check(&kv, &key, &binding, &first).await.unwrap();
        assert_eq!(outcome, Outcome::Wrong { tries_left: MAX_TRIES - 1 });
        assert_eq!(email_code::check(&kv, &key, &binding, &second).await.unwrap(), Outcome::Right);
    }

    async fn a_flow_gets_four_codes_and_no_more_even_at_once(env: &Env) {
        let (kv, key) = (env.kv().await, key());
        let tasks = (0..20).map(|_| {
            let (kv, key) = (kv.clone(), key.clone());
            tokio::spawn(async move {
                let address = address("alice@example.com");
                let binding = Binding { purpose: Purpose::SignUp, address: &address, flow: "flow" };
                email_code::issue(&kv, &key, &binding).await.unwrap()
            })
        });
        let issued: Vec<Issued> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        let codes = issued.iter().filter(|issued| matches!(issued, Issued::Code(_))).count();
        assert_eq!(u64::try_from(codes).unwrap(), MAX_CODES);
        let address = address("alice@example.com");
        let another = Binding { purpose: Purpose::SignUp, address: &address, flow: "another flow" };
        issue(&kv, &key, &another).await;
    }

    async fn a_wrong_try_is_one_round_trip_and_a_right_one_two(env: &Env) {
        let (kv, key, address) = (env.kv().await, key(), address("alice@example.com"));
        let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
        let start = kv.round_trips();
        let code = issue(&kv, &key, &binding).await;
        let issued = kv.round_trips();
        email_code::check(&kv, &key, &binding, &wrong(&code)).await.unwrap();
        let tried = kv.round_trips();
        email_code::check(&kv, &key, &binding, &code).await.unwrap();
        assert_eq!((issued - start, tried - issued, kv.round_trips() - tried), (2, 1, 2));
    }
}

#[tokio::test]
async fn a_code_ends_after_ten_minutes() {
    // In process, where the test owns the clock.
    let env = Env::new(Pair::SqliteInProcess);
    let (kv, key, address) = (env.kv().await, key(), address("alice@example.com"));
    let binding = Binding { purpose: Purpose::Login, address: &address, flow: "flow" };
    let code = issue(&kv, &key, &binding).await;
    env.clock.advance(CODE_LIFETIME);
    assert_eq!(email_code::check(&kv, &key, &binding, &code).await.unwrap(), Outcome::Void);
    // The late try does not count against the next code.
    let next = issue(&kv, &key, &binding).await;
    assert_eq!(email_code::check(&kv, &key, &binding, &next).await.unwrap(), Outcome::Right);
}
