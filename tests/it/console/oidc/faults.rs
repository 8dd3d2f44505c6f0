//! What goes wrong at the provider or on the way: tokens that are not right, refusals, other keys, a provider that is
//! down or has a private authority.

use serde_json::{Value, json};

use super::{
    audit,
    provider::{Person, Provider, SECRET, begin, sign_in},
    text,
};
use crate::{
    console::visitor::Visitor,
    support::{
        admin,
        deployment::Deployment,
        process::{until, wait_until},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn id_tokens_that_are_not_right_are_refused() {
    let mut provider = Provider::start().await;
    let fixture = provider.world_with("sign_in_failures_per_minute_max = 1000\n", "").await;
    for (fault, why) in [
        ("nonce", "belongs to another sign-in"),
        ("no nonce", "belongs to another sign-in"),
        ("audience", "is for another client"),
        ("further audience", "is for another client"),
        ("issuer", "is of another issuer"),
        ("expired", "has expired"),
        ("at_hash", "belongs to another access token"),
        ("foreign key", "its signature is wrong"),
        ("unknown key", "no key of the provider has signed it"),
        ("no signature", "signed with no algorithm that is accepted"),
        ("shared secret", "signed with no algorithm that is accepted"),
        ("changed", "its signature is wrong"),
    ] {
        provider.set("tamper", fault.into());
        let mut visitor = Visitor::of(&fixture.node);
        let refused = sign_in(&mut visitor, "vera").await;
        assert_eq!(refused.status, 403, "{fault}: {refused:?}");
        assert!(
            text(&refused).contains("oidc_token_refused") && text(&refused).contains(why),
            "{fault}: {refused:?}"
        );
        assert!(visitor.cookie.is_none(), "{fault}");
        let entry = &audit(&fixture).await[0];
        assert_eq!(
            (&entry["action"], &entry["detail"]),
            (&"single_sign_on.refuse".into(), &"oidc_token_refused".into())
        );
    }
    for fault in [json!("right at_hash"), Value::Null] {
        provider.set("tamper", fault);
        assert_eq!(sign_in(&mut Visitor::of(&fixture.node), "vera").await.status, 200);
    }
    // The provider has new keys: they are fetched when the first token names one.
    provider.set("key", json!(2));
    assert_eq!(sign_in(&mut Visitor::of(&fixture.node), "vera").await.status, 200);
    // A token that was signed before, with a key that the provider no longer has.
    provider.set("tamper", "unknown key".into());
    assert_eq!(sign_in(&mut Visitor::of(&fixture.node), "vera").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_provider_is_shown_by_its_word_alone() {
    let mut provider = Provider::start().await;
    let fixture = provider.world_with("sign_in_failures_per_minute_max = 3\n", "").await;
    let mut visitor = Visitor::of(&fixture.node);
    for (denies, shown) in [("access_denied", "(access_denied)"), ("<b>x</b>", "(an unknown error)")] {
        provider.set("denies", denies.into());
        let refused = sign_in(&mut visitor, "vera").await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(text(&refused).contains("oidc_refused") && text(&refused).contains(shown), "{refused:?}");
        assert!(!text(&refused).contains("<b>") && !text(&refused).contains("alert("), "{refused:?}");
    }
    // Refusals count as failed sign-ins: after the third one no way to sign in is tried.
    sign_in(&mut visitor, "vera").await;
    let limited = visitor.get("/console/sign-in/oidc").await;
    assert!(limited.status == 429 && text(&limited).contains("too_many_sign_ins"), "{limited:?}");
    assert!(limited.header("retry-after").is_some());
    assert_eq!(visitor.get("/console/sign-in/oidc/callback?code=a&state=b").await.status, 429);
    assert_eq!(visitor.sign_in(&fixture.node.admin_key()).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_leaves_the_other_ways_open_and_is_found_again() {
    let mut provider = Provider::start().await;
    let fixture = provider.fixture().await;
    let mut waiting = Visitor::of(&fixture.node);
    let url = begin(&mut waiting, "%2Fconsole").await;
    let back = Person::new().sign_in(&url, "vera").await;
    provider.stop();
    until("the end of the provider", async || reqwest::get(&provider.issuer).await.is_err().then_some(()))
        .await;
    let down = waiting.get(&back).await;
    assert!(down.status == 503 && text(&down).contains("oidc_unreachable"), "{down:?}");
    assert!(text(&down).contains("localhost cannot be connected to"), "with a cause: {down:?}");
    assert_eq!(waiting.sign_in(&fixture.node.admin_key()).await.status, 303, "by an admin key");

    // A node that starts meanwhile does not need it, and finds it when it is back.
    let mut later = Provider::start().await;
    later.stop();
    let fixture = later.fixture().await;
    let mut visitor = Visitor::of(&fixture.node);
    let down = visitor.get("/console/sign-in/oidc").await;
    assert!(down.status == 503 && text(&down).contains("oidc_unreachable"), "{down:?}");
    assert!(text(&down).contains("Admin key") && visitor.pending.is_none(), "{down:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_with_a_private_authority_needs_its_certificate() {
    let provider = Provider::with_tls().await;
    let fixture = provider.fixture().await;
    let mut visitor = Visitor::of(&fixture.node);
    assert_eq!(sign_in(&mut visitor, "vera").await.status, 200);
    assert!(visitor.is_signed_in().await);

    let unknown = provider.without_authority();
    let fixture = unknown.fixture().await;
    let refused = Visitor::of(&fixture.node).get("/console/sign-in/oidc").await;
    assert!(refused.status == 503 && text(&refused).contains("ca_file of [admin.oidc]"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_another_issuer_are_reported_to_operators() {
    let provider = Provider::start().await;
    let deployment = Deployment::new();
    for (wrong, right, code, named) in [
        (SECRET, SECRET, None, "1 signing key, with userinfo; scopes openid profile email groups"),
        (&provider.issuer, &format!("{}/", provider.issuer), Some("oidc_malformed"), "names another issuer"),
        (&provider.issuer, "http://localhost:1", Some("oidc_unreachable"), "cannot be connected to"),
    ] {
        let section = provider.section("https://larder.example.com", "").replacen(wrong, right, 1);
        let node = deployment.node("node", &section);
        let checked = node.run(&["check", "--connect"]).expect(i32::from(code.is_some()));
        let line = checked.stdout.lines().find(|line| line.contains("single sign-on")).unwrap();
        assert!(line.contains(named), "{line}");
        assert!(code.is_none_or(|code| line.contains(code)), "{line}");
        assert!(!checked.stdout.contains(SECRET));
    }
    let fixture = provider.fixture().await;
    let mut visitor = Visitor::of(&fixture.node);
    let url = begin(&mut visitor, "%2Fconsole").await;
    let back = Person::new().sign_in(&url, "vera").await;
    let config =
        std::fs::read_to_string(fixture.node.config_path()).unwrap().replace(SECRET, "another secret");
    std::fs::write(fixture.node.config_path(), config).unwrap();
    let mut node = fixture.node;
    super::restart(&mut node).await;
    let refused = until("the publishing side", async || {
        let answer = visitor.get(&back).await;
        (answer.status != 503 || answer.text().contains("oidc")).then_some(answer)
    })
    .await;
    assert!(refused.status == 503 && text(&refused).contains("oidc_client_refused"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_code_token_claim_or_secret_is_in_a_log() {
    let mut provider = Provider::start().await;
    let deployment = Deployment::new();
    let node = deployment.node("node", &provider.section("http://127.0.0.1:1", ""));
    let mut server = node.serve_with(&[("LARDER_LOG", "trace")]).await;
    let address = server.admin().await;
    let key = admin::key(address, node.path()).await;
    wait_until("the first admin key", async || {
        admin::ask(address, &key, "GET", "/admin/v1/whoami", None).await.json()["role"] == "admin"
    })
    .await;
    let mut secrets = vec![SECRET.to_owned(), "larder viewers".to_owned(), "eyJ".to_owned()];
    for (account, fault, status) in
        [("vera", None, 200), ("no groups", None, 403), ("vera", Some("foreign key"), 403)]
    {
        provider.set("tamper", json!(fault));
        let mut visitor = Visitor::at(address);
        let url = begin(&mut visitor, "%2Fconsole").await;
        secrets.extend(visitor.pending.clone().unwrap().split('.').next().map(str::to_owned));
        let back = Person::new().sign_in(&url, account).await;
        let values = back.split(['=', '&']).filter(|part| part.len() > 20 && !part.starts_with("http"));
        secrets.extend(values.map(str::to_owned));
        assert_eq!(visitor.get(&back).await.status, status);
        secrets.extend(visitor.cookie.map(|cookie| cookie.rsplit('_').next().unwrap().to_owned()));
    }
    let log = until("the log of refusals", async || {
        let log = server.log();
        (log.matches("a single sign-on was refused").count() >= 2).then_some(log)
    })
    .await;
    assert!(log.contains("oidc_no_role") && log.contains("oidc_token_refused"));
    assert!(secrets.len() >= 10, "{secrets:?}");
    for secret in secrets {
        assert!(!log.contains(&secret), "the log has {secret}");
    }
}
