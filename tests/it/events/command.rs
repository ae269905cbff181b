//! `samesake webhooks`, by the program itself.

use serde_json::{Value, json};

use super::order::put_aside;
use super::receiver::{Receiver, Reply, SECRET};
use super::{customer, happen, whats};
use crate::harness::{Env, Gateway, until};
use crate::on_both;

fn status(gateway: &Gateway) -> Vec<Value> {
    let output = gateway.run(&["webhooks", "status", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn told(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

on_both! {
    async fn people_see_how_receivers_stand_and_have_them_told_again(env: &Env) {
        let receiver = Receiver::start().await;
        let table = |id: &str, url: &str| {
            format!("[[webhooks]]\nid = \"{id}\"\nurl = \"{url}\"\ninternal = true\nsecret = \"{SECRET}\"\n")
        };
        let both = table("crm", receiver.url.as_str()) + &table("inside", "http://10.255.255.1/events");
        let gateway = Gateway::start(env, &both).await;
        let store = env.store().await;
        until("the receivers to be known", async || status(&gateway).len() == 2).await;
        let ann = customer(&store, &env.clock).await;
        happen(&store, &env.clock, ann, "it").await;
        until("one to be up to date and one to fail", async || {
            let states: Vec<Value> = status(&gateway).iter().map(|it| it["state"].clone()).collect();
            states == [json!("up to date"), json!("failing")] && whats(&receiver) == ["it"]
        })
        .await;
        let [crm, inside] = status(&gateway).try_into().unwrap();
        assert_eq!((&crm["cursor"], &crm["behind"], &crm["delivered"]), (&json!(2), &json!(0), &json!(2)));
        assert_eq!((&inside["cursor"], &inside["behind"]), (&json!(0), &json!(2)));
        let why = "10.255.255.1: its address is not a public one, and not on the list of allowed ones";
        assert_eq!(inside["last_error"], why);
        let text = told(&gateway.run(&["webhooks", "status"]));
        assert!(text.contains(why) && text.contains("up to date"), "{text}");
        assert!(!text.contains(SECRET) && !text.contains("whsec"));

        let replay = gateway.run(&["webhooks", "replay", "crm", "--from", "2"]);
        assert!(replay.status.success(), "{}", told(&replay));
        until("it to come again", async || whats(&receiver) == ["it", "it"]).await;
        for (arguments, why) in [
            (["webhooks", "replay", "crm", "--from", "9"], "there is no such event; the last one is 2"),
            (["webhooks", "replay", "nobody", "--from", "1"], "there is no webhook nobody"),
        ] {
            let refused = gateway.run(&arguments);
            assert_eq!(refused.status.code(), Some(1));
            assert!(told(&refused).contains(why), "{}", told(&refused));
        }
    }

    /// `samesake webhooks retry`: one event, or all until one is refused; and `samesake events`.
    async fn what_was_put_aside_is_delivered_from_the_command_line(env: &Env) {
        let receiver = Receiver::start().await;
        let table = format!(
            "[events]\nkeep = \"30d\"\n[[webhooks]]\nid = \"crm\"\nurl = \"{}\"\ninternal = true\nsecret = \"{SECRET}\"\n",
            receiver.url,
        );
        let gateway = Gateway::start(env, &table).await;
        let store = env.store().await;
        until("the receiver to be known", async || status(&gateway).len() == 1).await;
        let ann = customer(&store, &env.clock).await;
        for what in ["one", "two"] {
            happen(&store, &env.clock, ann, what).await;
        }
        until("it to be told", async || whats(&receiver) == ["one", "two"]).await;
        put_aside(env, &[1, 2, 3]).await;
        let retry = |more: &[&str]| {
            let output = gateway.run(&[&["webhooks", "retry", "crm"], more].concat());
            (output.status.code().unwrap(), told(&output))
        };
        // Events 1 and 2 are the same customer's, and go first.
        assert_eq!(retry(&["--event", "2"]), (0, "2 event(s) were delivered\n".to_owned()));
        assert_eq!((whats(&receiver), status(&gateway)[0]["put_aside"].clone()), (vec!["one".into(), "two".into(), "one".into()], json!(1)));
        let (code, said) = retry(&["--event", "2"]);
        assert!(code == 1 && said.contains("event 2 was not put aside"), "{said}");
        receiver.answer(|body| Reply::Status(if body["data"]["kind"] == "two" { 422 } else { 200 }));
        let (code, said) = retry(&[]);
        assert!(code == 1 && said.contains("0 event(s) were delivered") && said.contains("it answered 422"), "{said}");
        assert_eq!(status(&gateway)[0]["dead_letters"][0]["sequence"], 3, "the refused one stays aside");
        receiver.take_all();
        assert_eq!(retry(&[]), (0, "1 event(s) were delivered\n".to_owned()));
        assert_eq!(retry(&[]), (0, "0 event(s) were delivered\n".to_owned()));
        let nobody = gateway.run(&["webhooks", "retry", "nobody"]);
        assert!(nobody.status.code() == Some(1) && told(&nobody).contains("no webhook nobody"), "{}", told(&nobody));

        let events = || serde_json::from_slice::<Value>(&gateway.run(&["events", "--json"]).stdout).unwrap();
        until("the search for duplicates to have seen them", async || events()["slowest"]["cursor"] == 3).await;
        let said = events();
        assert_eq!((&said["first"], &said["last"], &said["keep_seconds"]), (&json!(1), &json!(3), &json!(2_592_000)));
        let text = told(&gateway.run(&["events"]));
        assert!(text.contains("events 1 to 3") && text.contains("kept for 30 days"), "{text}");
    }

    async fn a_receiver_that_stopped_is_resumed(env: &Env) {
        let receiver = Receiver::start().await;
        receiver.answer(|_| Reply::Status(410));
        let table = format!(
            "[[webhooks]]\nid = \"crm\"\nurl = \"{}\"\ninternal = true\nsecret = \"{SECRET}\"\n",
            receiver.url,
        );
        let gateway = Gateway::start(env, &table).await;
        let store = env.store().await;
        until("the receiver to be known", async || status(&gateway).len() == 1).await;
        customer(&store, &env.clock).await;
        until("it to stop", async || status(&gateway)[0]["state"] == "stopped").await;
        receiver.take_all();
        let resumed = gateway.run(&["webhooks", "resume", "crm"]);
        assert!(resumed.status.success(), "{}", told(&resumed));
        until("it to be told", async || status(&gateway)[0]["state"] == "up to date").await;
        assert_eq!(receiver.kinds(), ["customer.created"]);
    }
}
