//! `[sources.NAME]` of type `athena`.

use std::sync::Arc;

use reqwest::Url;

use super::Athena;
use crate::{
    settings::{item::Item, section::Section},
    source::{
        driver::{Driver, OpenOptions},
        http::Endpoint,
    },
    store::{Service, bucket_of},
};

const OUTPUT_HINT: &str = "write output = \"s3://bucket/prefix\"";

/// Reads `region`, `output`, how its bucket is reached, `workgroup`, `catalog`, `database`, `url` and `ca_file`.
pub(super) fn open(section: &Section<'_>, options: &OpenOptions<'_>) -> Option<Arc<dyn Driver>> {
    let region = section.need("region", "write region = \"eu-central-1\"").and_then(|item| {
        let region = item.printable_word()?;
        let is_name = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_name { Some(region) } else { item.fail("is not the name of a region", None) }
    });
    let output = section.need("output", OUTPUT_HINT).and_then(|item| {
        let bucket = bucket_of(section, &item, options.dir, options.env, OUTPUT_HINT)?;
        if bucket.service == Service::S3 {
            Some(bucket)
        } else {
            item.fail("is not a bucket of S3", OUTPUT_HINT.to_owned())
        }
    });
    let workgroup = section.read("workgroup", Item::printable_word);
    let catalog = section.read("catalog", Item::printable_word);
    let database = section.read("database", Item::printable_word);
    let address = |region: &String| Url::parse(&format!("https://athena.{region}.amazonaws.com/")).ok();
    let default = region.as_ref().and_then(address);
    let file_path = |item: &Item<'_>| item.file_path(options.dir);
    let endpoint = Endpoint::read_or(section, default, file_path, options.connect_timeout);
    Some(Arc::new(Athena {
        endpoint: endpoint?,
        region: region?,
        output: output?,
        workgroup: workgroup?,
        catalog: catalog?,
        database: database?,
    }))
}
