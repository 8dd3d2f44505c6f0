//! A replica that reads a copy of the bucket, whose objects arrive late and in any order.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder, path::Path};

use super::fixture::{Fixture, await_note, note};
use crate::support::{
    process::{until, version},
    s3::{S3, section},
};

/// A client of a bucket, past all of the product's code.
async fn client(bucket: &str) -> impl ObjectStore {
    let endpoint = format!("http://{}", S3::server().await.address());
    let builder =
        AmazonS3Builder::new().with_bucket_name(bucket).with_endpoint(endpoint).with_allow_http(true);
    builder
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap()
}

/// Copies objects of one bucket whose path contains `part` to another; how many.
async fn copy(from: &impl ObjectStore, to: &impl ObjectStore, part: &str) -> usize {
    let objects: Vec<_> = from.list(None).try_collect().await.unwrap();
    let named = objects.iter().filter(|object| object.location.as_ref().contains(part));
    let mut copied = 0;
    for object in named {
        let bytes = from.get(&object.location).await.unwrap().bytes().await.unwrap();
        to.put(&Path::from(object.location.as_ref()), PutPayload::from_bytes(bytes)).await.unwrap();
        copied += 1;
    }
    copied
}

#[tokio::test(flavor = "multi_thread")]
async fn version_is_served_once_all_its_objects_have_arrived() {
    let fixture = Fixture::new(30).await;
    let store = fixture.store().await;
    let hub = fixture.publisher("hub", store, "manual");
    let key = hub.key().await;
    fixture.announce(&hub, 1).await;

    let copied = S3::bucket().await;
    let (original, copy_store) = (client(&fixture.bucket).await, client(&copied).await);
    copy(&original, &copy_store, "").await;
    let frame = format!(
        "[node]\nregion = \"eu\"\nroles = [\"replica\"]\ndata_dir = \"eu\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
         admin_listen = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n[storage]\nurl = \"s3://{}/larder\"\n\
         read_url = \"s3://{copied}/larder\"\npoll_interval = \"50ms\"\n{}",
        fixture.bucket,
        section(store)
    );
    let mut eu = fixture.deployment.node_from("eu", frame, "").serve().await;
    await_note(&eu, &key, 1).await;

    // Head first, then the document, the manifest, and the segments at last.
    fixture.announce(&hub, 2).await;
    let steps = ["catalog/head", "catalog/0", "manifest.json"];
    for (at, part) in steps.into_iter().enumerate() {
        assert!(copy(&original, &copy_store, part).await > 0);
        // The node has seen it: it lacks something else now.
        until("a look", async || {
            let status = eu.status().await;
            let lacks =
                if at == 0 { &status["problem"] } else { &status["collections"]["person"]["problem"] };
            (lacks["code"] == "object_missing").then_some(())
        })
        .await;
        assert_eq!(note(&eu, &key).await, Some(1), "after {part}");
        assert_eq!(version(&eu.get(&key, "person", 1).await), 1);
    }
    assert!(copy(&original, &copy_store, "segment").await > 0);
    await_note(&eu, &key, 2).await;
}
