//! Real clients: Liquid engines render messages that call a whole server, filled by real syncs. Shopify's
//! engine stands for Braze, with a `connected_content` tag written after Braze's documentation; brazejs, with
//! which Braze's users preview messages, has its own.

mod callers;
mod case;
mod engine;
mod fixture;
mod forms;
mod misses;
mod posts;
mod records;

use self::{
    case::{Case, prove},
    engine::Engine,
    fixture::Fixture,
};

fn cases() -> Vec<Case> {
    [
        records::pages(),
        records::values(),
        misses::cases(),
        callers::identifiers(),
        callers::credentials(),
        forms::gets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_read_as_expected_in_shopifys_liquid() {
    let fixture = Fixture::start().await;
    let rendered = prove(Engine::Ruby, &fixture, &cases()).await;
    // It accepts gzip. The server need not use it; where it does, the record above came through it.
    for (name, rendered) in rendered {
        for call in rendered.calls {
            assert!(matches!(call.encoding.as_deref(), None | Some("gzip")), "{name}: {call:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_read_as_expected_in_brazejs() {
    let fixture = Fixture::start().await;
    let rendered = prove(Engine::Brazejs, &fixture, &cases()).await;
    // It accepts no compression, so nothing may be compressed.
    for (name, rendered) in rendered {
        for call in rendered.calls {
            assert_eq!(call.encoding, None, "{name}: {call:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_ask_by_post_read_as_expected_in_both() {
    let fixture = Fixture::start().await;
    for engine in [Engine::Ruby, Engine::Brazejs] {
        prove(engine, &fixture, &posts::cases()).await;
        prove(engine, &fixture, &forms::posts()).await;
    }
}
